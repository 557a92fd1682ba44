import type { ThreatTable } from '../guard.ts'

const routes = 'connector/routing/route-table.ts'
const answerPeer = 'connector/pipeline/answer-peer.ts'
const peerProtocols = 'connector/peer-protocols.test.ts'

/** Packets from peers, on one connector and on several. */
export const connectorThreats: ThreatTable = {
  title: 'Connector',
  about: 'Each through real HTTP and PostgreSQL; where Redis is named, through a real one.',
  threats: [
    {
      name: 'Packets that go in circles, or where nobody sent them (attacks 27, 34)',
      guards: [
        {
          name: 'a packet never goes back to where it came from',
          file: routes,
          text: 'if (peer.id === incomingPeerId) continue',
          without: 'void incomingPeerId',
          test: {
            file: 'connector/multi-hop.test.ts',
            name: 'a packet never goes back to where it came from',
          },
        },
        {
          name: 'every hop takes a second of its life',
          file: 'connector/pipeline/shorten-expiry.ts',
          text: 'sourceExpiry.getTime() - EXPIRATION_WINDOW_MS, nowMs',
          without: 'sourceExpiry.getTime(), nowMs',
          test: {
            file: 'connector/multi-hop.test.ts',
            name: 'two nodes that route in a circle end by the expiry',
          },
        },
        {
          name: 'an own address does not leave on a shorter route',
          file: routes,
          text: 'end > tooShort',
          without: 'end > 0 * tooShort',
          test: { file: peerProtocols, name: 'an own address that means nobody is unknown here' },
        },
        {
          name: 'what is for this node alone is not forwarded',
          file: answerPeer,
          text: "if (!prepare.destination.startsWith('peer.')) return await next(packet)",
          without: 'if (prepare.destination !== ILDCP_DESTINATION) return await next(packet)',
          test: { file: peerProtocols, name: 'what is for this node alone is never forwarded' },
        },
        {
          name: 'a question about configuration moves no money',
          file: answerPeer,
          text: 'if (prepare.amount !== 0n)',
          without: 'if (false)',
          test: { file: peerProtocols, name: 'a question that is late' },
        },
      ],
    },
  ],
}
