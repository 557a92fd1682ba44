import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../shared/platform/index.ts'
import { createReject, InvalidPacket, serializeReject, serializeReply } from '../packet/index.ts'
import { AnswerUnknown, type IncomingAccount, type Pipeline } from '../pipeline/index.ts'
import type { Peer, PeerDirectory } from '../routing/index.ts'
import { answerHealth, createDrainingServer, type DrainingServer, readBody, text } from './draining-server.ts'
import { createPacketConnections, OUTCOME_UNKNOWN } from './packet-connections.ts'
import { bearerToken, isPacketType } from './packet-head.ts'

export interface PacketServerOptions {
  pipeline: Pick<Pipeline, 'receive'>
  directory: Pick<PeerDirectory, 'findPeerByToken' | 'findPeerByTokenHash'>
  /** The node's own address, for packets that cannot be read. */
  ilpAddress: string
  /** PEER_PACKETS_PER_MINUTE. */
  packetsPerMinute: number
  /** Throws when a dependency is away. */
  ready: () => Promise<void>
  log: Logger
}

/**
 * Tells peers that a packet may be sent again when its answer was lost: it is delivered once and answered as before. With every
 * answer, and with the HTTP 500 that stands for none.
 */
export const REPEATS_HEADER = 'ilp-repeats'

/** 32 KiB of data, an address and the rest; anything larger is no packet. */
const BODY_SIZE_MAX = 64 * 1024

/**
 * ILP over HTTP as peers see it (connector.md §1): any method and path; the peer is who its bearer token says; the answer comes
 * back in the same exchange, HTTP 200 for Fulfill and Reject alike. Bytes that are no Prepare are answered with F01, as RFC 27
 * has it, in place of Rafiki's HTTP 500. Ordinary packets are read without node:http; it takes the rest.
 */
export function createPacketServer(options: PacketServerOptions): DrainingServer {
  const { directory, log } = options
  const answer = answerPackets(options)
  const direct = createPacketConnections({
    directory,
    answer,
    header: `${REPEATS_HEADER}: known`,
    bodySizeMax: BODY_SIZE_MAX,
    log,
  })
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'GET' || request.method === 'HEAD') {
      if (await answerHealth(options, request.url ?? '', response)) return
    }
    const { authorization, 'content-type': contentType } = request.headers
    const token = bearerToken(authorization)
    if (token === undefined) return text(response, 401, 'Bearer token required in Authorization header')
    const peer = await directory.findPeerByToken(token)
    if (!peer) return text(response, 401, 'Access Denied - Invalid Token')
    if (!isPacketType(contentType))
      return text(response, 400, 'Expected Content-Type of application/octet-stream')
    const body = await readBody(request, BODY_SIZE_MAX)
    if (!body) return text(response, 413, 'Packet Too Large')
    const bytes = await answer(peer, body)
    response.setHeader(REPEATS_HEADER, 'known')
    if (bytes) octets(response, bytes)
    else text(response, 500, OUTCOME_UNKNOWN)
  }
  return createDrainingServer({ log }, handle, direct)
}

/** Undefined when no answer is true. */
function answerPackets(
  options: PacketServerOptions,
): (peer: Peer, body: Buffer) => Promise<Buffer | undefined> {
  // Peers are rebuilt at every change, so what hangs on one is forgotten with it.
  const accounts = new WeakMap<Peer, IncomingAccount>()
  const accountFor = (peer: Peer): IncomingAccount => {
    let account = accounts.get(peer)
    if (!account) {
      account = accountOf(peer, options.packetsPerMinute)
      accounts.set(peer, account)
    }
    return account
  }

  return async (peer, body) => {
    try {
      const reply = await options.pipeline.receive(accountFor(peer), body)
      return reply.bytes ?? serializeReply(reply)
    } catch (error) {
      if (error instanceof AnswerUnknown) return undefined
      if (!(error instanceof InvalidPacket)) throw error
      return serializeReject(createReject('F01', { triggeredBy: options.ilpAddress, message: error.message }))
    }
  }
}

const accountOf = (peer: Peer, packetsPerMinute: number): IncomingAccount => ({
  kind: 'peer',
  id: peer.id,
  tenantId: peer.tenantId,
  asset: peer.asset,
  peerAddress: peer.staticIlpAddress,
  packetsPerMinute: peer.packetsPerMinute ?? packetsPerMinute,
  ...(peer.maxPacketAmount !== undefined && { maxPacketAmount: peer.maxPacketAmount }),
  ...(peer.amountLimit && { amountLimit: peer.amountLimit }),
})

function octets(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': body.length,
  })
  response.end(body)
}
