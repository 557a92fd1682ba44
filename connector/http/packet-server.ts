import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '../../shared/platform/index.ts'
import { createReject, InvalidPacket, serializeReject, serializeReply } from '../packet/index.ts'
import { AnswerUnknown, type IncomingAccount, type Pipeline } from '../pipeline/index.ts'
import type { Peer, PeerDirectory } from '../routing/index.ts'

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

export interface PacketServer {
  readonly server: Server
  /** Takes no new connection, answers what is under way, and closes. */
  drain(timeoutMs: number): Promise<void>
}

/** 32 KiB of data, an address and the rest; anything larger is no packet. */
const BODY_SIZE_MAX = 64 * 1024
/** Longer than clients keep idle connections, so that it is they who end them and no packet meets a closing one. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_MS = 10_000
const BODY_MS = 20_000

/**
 * ILP over HTTP as peers see it (connector.md §1): any method and path; the peer is who its bearer token says; the answer comes
 * back in the same exchange, HTTP 200 for Fulfill and Reject alike. Bytes that are no Prepare are answered with F01, as RFC 27
 * has it, in place of Rafiki's HTTP 500. On node:http without a framework: this is the hot path.
 */
export function createPacketServer(options: PacketServerOptions): PacketServer {
  let draining = false
  let open = 0

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (isHealthCheck(request)) return await answerHealth(options, request, response)
    const token = bearerToken(request)
    if (token === undefined) return text(response, 401, 'Bearer token required in Authorization header')
    const peer = await options.directory.findPeerByToken(token)
    if (!peer) return text(response, 401, 'Access Denied - Invalid Token')
    if (!isPacketType(request.headers['content-type']))
      return text(response, 400, 'Expected Content-Type of application/octet-stream')
    const body = await readBody(request)
    if (!body) return text(response, 413, 'Packet Too Large')
    await answerPacket(options, peer, body, response)
  }

  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: BODY_MS },
    (request, response) => {
      open++
      response.once('close', () => {
        open--
      })
      if (draining) response.setHeader('connection', 'close')
      handle(request, response).catch((error: unknown) => {
        options.log.warn({ reason: messageOf(error) }, 'request failed')
        if (response.headersSent || response.destroyed) response.destroy()
        else text(response, 500, 'Internal Server Error')
      })
    },
  )

  return {
    server,
    async drain(timeoutMs) {
      draining = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const deadlineMs = Date.now() + timeoutMs
      while (open > 0 && Date.now() < deadlineMs) await sleep(10)
      server.closeAllConnections()
      await closed
    },
  }
}

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
    if (error instanceof AnswerUnknown) return text(response, 500, 'the outcome of this packet is not known')
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
  packetsPerMinute: peer.packetsPerMinute ?? packetsPerMinute,
  ...(peer.maxPacketAmount !== undefined && { maxPacketAmount: peer.maxPacketAmount }),
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

/** `undefined` when there is too much of it. Rejects when the peer goes away. */
function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_SIZE_MAX) return Promise.resolve(undefined)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
  const chunks: Buffer[] = []
  let size = 0
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= BODY_SIZE_MAX) chunks.push(chunk)
    else resolve(undefined)
  })
  request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
  request.on('error', reject)
  request.on('close', () => {
    if (!request.complete) reject(new Error('the peer went away'))
  })
  return promise
}

const healthPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz'])

const isHealthCheck = ({ method, url }: IncomingMessage): boolean =>
  (method === 'GET' || method === 'HEAD') && healthPaths.has(url ?? '')

async function answerHealth(
  { ready, log }: PacketServerOptions,
  { url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (url === '/livez') return text(response, 200, 'OK')
  try {
    await ready()
    text(response, 200, 'OK')
  } catch (error) {
    log.warn({ reason: messageOf(error) }, 'not ready')
    text(response, url === '/healthz' ? 500 : 503, 'Not Ready')
  }
}

function octets(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length })
  response.end(body)
}

function text(response: ServerResponse, status: number, body: string): void {
  // The rest of a body that is not wanted is not worth waiting for.
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
