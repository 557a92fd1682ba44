import { Agent, type Dispatcher } from 'undici'
import { Fault, type HttpClient, messageOf } from '../../shared/platform/index.ts'
import type { PeerTransport } from '../pipeline/index.ts'
import type { Peer } from '../routing/index.ts'
import { REPEATS_HEADER } from './packet-server.ts'

export interface PeerTransportOptions {
  /** Peers of other tenants than the operator, and those made by URL, did not get their endpoints from this node's operator: the guarded client. */
  isTrusted: (peer: Peer) => boolean
  guarded: Pick<HttpClient, 'request'>
}

/** Keep-alive connections per peer: without pipelining this is how many packets can be on their way to it. */
const CONNECTIONS_PER_PEER = 256
/** An idle connection ends before the peer ends it (its `Keep-Alive` hint counts too), or packets would die on closed ones. */
const KEEP_ALIVE_MS = 30_000
const CONNECT_MS = 5_000
/** A Fulfill or Reject with all its data and some room. */
const ANSWER_SIZE_MAX = 64 * 1024

/**
 * ILP over HTTP (RFC 35), synchronous: POST the Prepare, the answer is the body. undici's dispatch without its conveniences: this
 * is most of what a forwarded packet costs (contracts/ilp/libraries.md §3).
 */
export function createPeerTransport(
  options: PeerTransportOptions,
): PeerTransport & { close(): Promise<void> } {
  const agent = new Agent({
    connections: CONNECTIONS_PER_PEER,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectTimeout: CONNECT_MS,
    // The packet's own expiry ends every request.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  // Endpoints whose last answer said so. As many as there are peers.
  const knowRepeats = new Set<string>()
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

  return {
    async post(peer, body, timeoutMs) {
      if (options.isTrusted(peer)) return await dispatch(agent, targetOf(peer), body, timeoutMs, knowRepeats)
      const response = await options.guarded.request({
        method: 'POST',
        url: peer.endpoint,
        headers: targetOf(peer).headers,
        body,
        timeoutMs,
        responseSizeMax: ANSWER_SIZE_MAX,
      })
      if (response.status < 200 || response.status > 299) throw answered(response.status)
      return response.body
    },
    // Packets under way are over when the node drains; idle connections end now.
    close: () => agent.destroy(),
  }
}

interface Target {
  origin: string
  path: string
  headers: Record<string, string>
}

function toTarget(peer: Peer): Target {
  const url = new URL(peer.endpoint)
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    headers: {
      authorization: `Bearer ${peer.outgoingToken}`,
      'content-type': 'application/octet-stream',
      accept: 'application/octet-stream',
    },
  }
}

const answered = (status: number, isLost = false) =>
  new Fault(isLost ? 'answer_lost' : 'peer_refused', {
    retryable: true,
    message: `the peer answered HTTP ${status}`,
  })

const connectionFailed = (error: unknown, isLost = false) =>
  new Fault(isLost ? 'answer_lost' : 'connection_failed', {
    retryable: true,
    message: messageOf(error),
    cause: error,
  })

function dispatch(
  agent: Agent,
  target: Target,
  body: Buffer,
  timeoutMs: number,
  knowRepeats: Set<string>,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  let running: Dispatcher.DispatchController | undefined
  const endpoint = target.origin + target.path
  const fail = (fault: Fault) => {
    clearTimeout(timer)
    reject(fault)
    running?.abort(fault)
  }
  const timer = setTimeout(() => {
    fail(new Fault('request_timeout', { retryable: true, message: `no answer within ${timeoutMs} ms` }))
  }, timeoutMs)

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(controller) {
      running = controller
    },
    onResponseStart(_controller, status, headers) {
      const knows = headers[REPEATS_HEADER] === 'known'
      if (knows) knowRepeats.add(endpoint)
      else if (status === 200) knowRepeats.delete(endpoint)
      if (status < 200 || status > 299) fail(answered(status, knows))
    },
    onResponseData(_controller, chunk) {
      size += chunk.length
      if (size > ANSWER_SIZE_MAX)
        fail(new Fault('response_too_large', { retryable: false, message: 'the peer answered too much' }))
      else chunks.push(chunk)
    },
    onResponseEnd() {
      clearTimeout(timer)
      const [first] = chunks
      resolve(chunks.length === 1 && first ? first : Buffer.concat(chunks))
    },
    onResponseError(_controller, error) {
      // Before a request has begun on a connection nothing can have arrived.
      fail(connectionFailed(error, running !== undefined && knowRepeats.has(endpoint)))
    },
  }
  try {
    agent.dispatch({ ...target, method: 'POST', body }, handler)
  } catch (error) {
    fail(connectionFailed(error))
  }
  return promise
}
