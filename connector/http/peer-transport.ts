import {
  type Clock,
  Fault,
  type HttpClient,
  type HttpResponse,
  messageOf,
  wasSent,
} from '../../shared/platform/index.ts'
import { ildcpQuestion, serializePrepare } from '../packet/index.ts'
import type { PeerTransport } from '../pipeline/index.ts'
import type { Peer } from '../routing/index.ts'
import { type Answer, AnswerTooLarge } from './answer-reader.ts'
import { REPEATS_HEADER } from './packet-server.ts'
import { ConnectionFault, createPeerConnections } from './peer-connections.ts'
import { createRepeats } from './repeats.ts'

export interface PeerTransportOptions {
  /** Peers of other tenants than the operator, and those made by URL, did not get their endpoints from this node's operator: the guarded client. */
  isTrusted: (peer: Peer) => boolean
  guarded: Pick<HttpClient, 'request'>
  clock: Clock
}

/** Keep-alive connections per peer: without pipelining this is how many packets can be on their way to it. */
const CONNECTIONS_PER_PEER = 256
const KEEP_ALIVE_MS = 30_000
const CONNECT_MS = 5_000
/** A Fulfill or Reject with all its data and some room. */
const ANSWER_SIZE_MAX = 64 * 1024

/**
 * ILP over HTTP (RFC 35), synchronous: POST the Prepare, the answer is the body. To endpoints that the operator chose it goes over
 * connections of our own (ADR 12): HTTP is most of what a forwarded packet costs.
 */
export function createPeerTransport(
  options: PeerTransportOptions,
): PeerTransport & { close(): Promise<void> } {
  const connections = createPeerConnections({
    connectionsMax: CONNECTIONS_PER_PEER,
    keepAliveMs: KEEP_ALIVE_MS,
    connectMs: CONNECT_MS,
    answerSizeMax: ANSWER_SIZE_MAX,
  })
  const repeats = createRepeats()
  // Peers are rebuilt at every change, so what hangs on one is forgotten with it.
  const targets = new WeakMap<Peer, Target>()
  const targetOf = (peer: Peer): Target => {
    let target = targets.get(peer)
    if (!target) {
      target = toTarget(peer)
      targets.set(peer, target)
    }
    return target
  }
  const send = async (
    peer: Peer,
    body: Buffer,
    timeoutMs: number,
    /** Whether a lost answer is told from one of a peer that would take the packet for another one. */
    asks = true,
  ): Promise<Buffer> => {
    const target = targetOf(peer)
    const startedAtMs = performance.now()
    let failure: unknown
    try {
      const { status, header, content } = options.isTrusted(peer)
        ? ofOurs(await connections.exchange(target.origin, requestOf(target, body), timeoutMs))
        : ofGuarded(
            await options.guarded.request({
              method: 'POST',
              url: peer.endpoint,
              headers: target.headers,
              body,
              timeoutMs,
              responseSizeMax: ANSWER_SIZE_MAX,
            }),
          )
      repeats.note(target.endpoint, status, header)
      if (status > 199 && status < 300) return content
      failure = refusal(status, header)
    } catch (error) {
      failure = faultOf(error, timeoutMs)
    }
    if (!asks || !wasSent(failure)) throw failure
    const restMs = startedAtMs + timeoutMs - performance.now()
    const isKnown = await repeats.areKnown(target.endpoint, restMs, (ms) => askAbout(peer, ms))
    throw isKnown ? lost(failure) : failure
  }
  const askAbout = (peer: Peer, timeoutMs: number): Promise<Buffer> =>
    send(peer, serializePrepare(ildcpQuestion(options.clock.fromNow(timeoutMs))), timeoutMs, false)

  return {
    post: (peer, body, timeoutMs) => send(peer, body, timeoutMs),
    async knowsRepeats(peer, timeoutMs) {
      const { endpoint } = targetOf(peer)
      const said = await repeats.learn(endpoint, timeoutMs, (ms) => askAbout(peer, ms))
      return said === 'silent' ? undefined : said === 'known'
    },
    // Packets under way are over when the node drains; idle connections end now.
    async close() {
      repeats.close()
      connections.close()
    },
  }
}

/** Of an answer: its status, what it says of repeats, and its body. */
interface PlainAnswer {
  status: number
  header: unknown
  content: Buffer
}
const ofOurs = ({ head, body }: Answer): PlainAnswer => ({
  status: head.status,
  header: head.headers.get(REPEATS_HEADER),
  content: body,
})
const ofGuarded = ({ status, headers, body }: HttpResponse): PlainAnswer => ({
  status,
  header: headers[REPEATS_HEADER],
  content: body,
})

interface Target {
  endpoint: string
  origin: string
  headers: Record<string, string>
  /** Of a request, up to the value of its length. */
  head: string
}

/** What may stand in a header. Anything else, a line end above all, would make another request of it. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

function toTarget(peer: Peer): Target {
  const url = new URL(peer.endpoint)
  if (!FIELD_VALUE.test(peer.outgoingToken) || !/^https?:$/.test(url.protocol))
    throw new Fault('connection_failed', {
      retryable: false,
      message: 'the endpoint or the token of the peer cannot be used in HTTP',
    })
  const headers = {
    authorization: `Bearer ${peer.outgoingToken}`,
    'content-type': 'application/octet-stream',
    accept: 'application/octet-stream',
  }
  const lines = Object.entries({ host: url.host, connection: 'keep-alive', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return {
    endpoint: url.href,
    origin: url.origin,
    headers,
    head: `POST ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}content-length: `,
  }
}

function requestOf({ head }: Target, body: Buffer): Buffer {
  const text = `${head}${body.length}\r\n\r\n`
  const request = Buffer.allocUnsafe(text.length + body.length)
  request.write(text, 'latin1')
  body.copy(request, text.length)
  return request
}

/**
 * Not the answer to a packet. It may have been acted on all the same: a gateway before the peer says 502, 503 or 504 when the peer went
 * while it had the packet.
 */
const refusal = (status: number, repeatsHeader: unknown) =>
  new Fault('peer_refused', {
    retryable: true,
    message: `the peer answered HTTP ${status}`,
    details: { wasSent: repeatsHeader === 'known' || status > 499 },
  })

const lost = (error: unknown) =>
  new Fault('answer_lost', { retryable: true, message: messageOf(error), cause: error })

function faultOf(error: unknown, timeoutMs: number): unknown {
  if (!(error instanceof ConnectionFault)) return error
  if (error.kind === 'timeout')
    return new Fault('request_timeout', { retryable: true, message: `no answer within ${timeoutMs} ms` })
  if (error.cause instanceof AnswerTooLarge)
    return new Fault('response_too_large', { retryable: false, message: error.message })
  return new Fault('connection_failed', {
    retryable: true,
    message: error.message,
    cause: error,
    details: { wasSent: error.wasSent },
  })
}
