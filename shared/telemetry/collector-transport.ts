import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { createTrustedHttp } from '../platform/index.ts'
import type { CollectorProtocol } from './variables.ts'

/** One collector, for one signal. `send` rejects when it has not taken the bytes in time; nothing is kept or sent again. */
export interface CollectorTransport {
  send(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

export type Signal = 'metrics' | 'traces'

/** Of one export, connecting included. */
const SEND_MS = 5_000

const services = {
  metrics: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
  traces: 'opentelemetry.proto.collector.trace.v1.TraceService',
} as const

export const createCollectorTransport = (input: {
  url: string
  protocol: CollectorProtocol
  signal: Signal
}): CollectorTransport => (input.protocol === 'grpc' ? grpcTransport(input) : httpTransport(input))

/** A URL without a path is a collector's base. */
function signalUrl(url: string, signal: Signal): string {
  const parsed = new URL(url)
  if (parsed.pathname === '/') parsed.pathname = `/v1/${signal}`
  return parsed.href
}

function httpTransport({
  url,
  protocol,
  signal,
}: {
  url: string
  protocol: CollectorProtocol
  signal: Signal
}): CollectorTransport {
  const http = createTrustedHttp({ connectionsPerHost: 1 })
  const target = signalUrl(url, signal)
  const contentType = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf'
  return {
    async send(bytes) {
      const { status } = await http.request({
        method: 'POST',
        url: target,
        headers: { 'content-type': contentType },
        body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
        timeoutMs: SEND_MS,
      })
      if (status < 200 || status > 299) throw new Error(`the collector answered HTTP ${status}`)
    },
    close: () => http.close(),
  }
}

/** A gRPC message: a byte for compression, none here, and its length. */
function framed(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + bytes.length)
  frame.writeUInt32BE(bytes.length, 1)
  frame.set(bytes, 5)
  return frame
}

/**
 * The one unary call that OTLP needs, on HTTP/2 of Node's own: a whole gRPC library would be larger than all the rest of the
 * telemetry. The answer's message says nothing that matters; its status does.
 */
function grpcTransport({ url, signal }: { url: string; signal: Signal }): CollectorTransport {
  let session: ClientHttp2Session | undefined
  const sessionNow = (): ClientHttp2Session => {
    if (session && !session.closed && !session.destroyed) return session
    const next = connect(url)
    // Whoever is sending hears of it by the stream.
    next.on('error', () => next.destroy())
    next.on('goaway', () => next.close())
    next.unref()
    session = next
    return next
  }

  const send = (bytes: Uint8Array): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const used = sessionNow()
    const stream = used.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: `/${services[signal]}/Export`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const timer = setTimeout(() => {
      reject(new Error(`the collector did not answer within ${SEND_MS} ms`))
      stream.close(constants.NGHTTP2_CANCEL)
      // Where not even a connection came about, nothing else ends it.
      used.destroy()
    }, SEND_MS)
    let status: string | undefined
    const noteStatus = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status'])
    }
    stream.on('response', noteStatus)
    stream.on('trailers', noteStatus)
    stream.on('error', reject)
    stream.on('close', () => {
      clearTimeout(timer)
      if (status === '0') resolve()
      else reject(new Error(`the collector answered gRPC status ${status ?? 'none'}`))
    })
    stream.resume()
    stream.end(framed(bytes))
    return promise
  }

  return {
    send,
    async close() {
      session?.destroy()
    },
  }
}
