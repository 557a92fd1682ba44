import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../shared/platform/index.ts'
import { createReject, InvalidPacket, serializeReject, serializeReply } from '../packet/index.ts'
import { AnswerUnknown, type IncomingAccount, type Pipeline } from '../pipeline/index.ts'
import type { Peer, PeerDirectory } from '../routing/index.ts'
import { answerHealth, createDrainingServer, type DrainingServer, readBody, text } from './draining-server.ts'

export interface PacketServerOptions {
  pipeline: Pick<Pipeline, 'receive'>
  directory: Pick<PeerDirectory, 'findPeerByToken'>
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
 * has it, in place of Rafiki's HTTP 500. On node:http without a framework: this is the hot path.
 */
export const createPacketServer = (options: PacketServerOptions): DrainingServer =>
  createDrainingServer({ log: options.log }, async (request, response) => {
    if (request.method === 'GET' || request.method === 'HEAD') {
      if (await answerHealth(options, request.url ?? '', response)) return
    }
    const token = bearerToken(request)
    if (token === undefined) return text(response, 401, 'Bearer token required in Authorization header')
    const peer = await options.directory.findPeerByToken(token)
    if (!peer) return text(response, 401, 'Access Denied - Invalid Token')
    if (!isPacketType(request.headers['content-type']))
      return text(response, 400, 'Expected Content-Type of application/octet-stream')
    const body = await readBody(request, BODY_SIZE_MAX)
    if (!body) return text(response, 413, 'Packet Too Large')
    await answerPacket(options, peer, body, response)
  })

async function answerPacket(
  options: PacketServerOptions,
  peer: Peer,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  try {
    const reply = await options.pipeline.receive(accountOf(peer, options.packetsPerMinute), body)
    octets(response, reply.bytes ?? serializeReply(reply))
  } catch (error) {
    if (error instanceof AnswerUnknown) {
      response.setHeader(REPEATS_HEADER, 'known')
      return text(response, 500, 'the outcome of this packet is not known')
    }
    if (!(error instanceof InvalidPacket)) throw error
    const reject = createReject('F01', { triggeredBy: options.ilpAddress, message: error.message })
    octets(response, serializeReject(reject))
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

/** Scheme and token, one space between them. */
function bearerToken({ headers: { authorization } }: IncomingMessage): string | undefined {
  const parts = authorization?.split(' ')
  if (parts?.length !== 2 || parts[0]?.toLowerCase() !== 'bearer') return undefined
  return parts[1]
}

/** The second is what the JavaScript reference plugin sends; parameters do not matter. */
const packetTypes: ReadonlySet<string> = new Set(['application/octet-stream', 'application/ilp+octet-stream'])

function isPacketType(contentType: string | undefined): boolean {
  if (contentType === undefined) return false
  const end = contentType.indexOf(';')
  const type = end === -1 ? contentType : contentType.slice(0, end)
  return packetTypes.has(type.trim().toLowerCase())
}

function octets(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': body.length,
    [REPEATS_HEADER]: 'known',
  })
  response.end(body)
}
