import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type HttpAnswer, type HttpRequest, toAlbEvent, toHttpAnswer, toHttpApiEvent } from './http-events.ts'
import { type FunctionOptions, FunctionTimedOut, invokeFunction, type LambdaHandler } from './invoke.ts'

/** The most that an HTTP API takes. */
const BODY_BYTES_MAX = 10 * 1024 * 1024

export interface GatewayOptions extends FunctionOptions {
  /** `httpApi`: events of an HTTP API, format 2.0. `alb`: events of a load balancer with multi-value headers. */
  front: 'httpApi' | 'alb'
  /** What clients call, when that is not this server's own address: scheme and host of it reach the function. */
  publicUrl?: string
  port?: number
  /** Where it listens; default: loopback of IPv4. */
  host?: string
  /** It speaks https then, as a gateway does. */
  tls?: { cert: string; key: string }
  /** Hears why the client got no answer of the function. */
  onError?: (error: unknown) => void
}

export interface LambdaGateway {
  url: string
  close(): Promise<void>
}

const fronts = {
  httpApi: {
    toEvent: toHttpApiEvent,
    failed: { status: 500, message: 'Internal Server Error' },
    timedOut: { status: 503, message: 'Service Unavailable' },
  },
  alb: {
    toEvent: toAlbEvent,
    failed: { status: 502, message: 'Bad Gateway' },
    timedOut: { status: 502, message: 'Bad Gateway' },
  },
} as const

const refusal = ({ status, message }: { status: number; message: string }): HttpAnswer => ({
  status,
  headers: [['content-type', 'application/json']],
  body: Buffer.from(JSON.stringify({ message })),
})

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= BODY_BYTES_MAX) chunks.push(chunk)
  }
  return size > BODY_BYTES_MAX ? undefined : Buffer.concat(chunks)
}

function send(response: ServerResponse, { status, headers, body }: HttpAnswer, method: string): void {
  for (const [name, value] of headers) {
    if (/^(?:content-length|connection|transfer-encoding)$/i.test(name)) continue
    response.appendHeader(name, value)
  }
  response.writeHead(status)
  response.end(method === 'HEAD' ? undefined : body)
}

/**
 * An HTTP server on loopback that stands where an HTTP API or a load balancer stands: it turns requests into events, has the
 * handler invoked in this process, and turns its answers into responses. One handler serves requests at the same time here,
 * where there each has a sandbox of its own.
 */
export async function startLambdaGateway(
  handler: LambdaHandler,
  { front, publicUrl, port = 0, host = '127.0.0.1', tls, onError, ...functionOptions }: GatewayOptions,
): Promise<LambdaGateway> {
  const { toEvent, failed, timedOut } = fronts[front]
  const scheme = tls ? 'https' : 'http'
  const answer = async (request: HttpRequest): Promise<HttpAnswer> => {
    try {
      const result = await invokeFunction(handler, toEvent(request), functionOptions)
      return toHttpAnswer(result) ?? refusal(failed)
    } catch (error) {
      onError?.(error)
      return refusal(error instanceof FunctionTimedOut ? timedOut : failed)
    }
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = request.method ?? 'GET'
    const body = await readBody(request)
    const result =
      body === undefined
        ? refusal({ status: 413, message: 'Request Entity Too Large' })
        : await answer({
            method,
            target: request.url ?? '/',
            rawHeaders: request.rawHeaders,
            body,
            sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
            publicUrl: new URL(publicUrl ?? `${scheme}://${request.headers.host ?? '127.0.0.1'}`),
          })
    send(response, result, method)
  }
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response).catch(() => response.destroy())
  }
  const server = tls ? createTlsServer(tls, onRequest) : createServer(onRequest)
  await new Promise<void>((listening, reject) => {
    server.once('error', reject)
    server.listen(port, host, listening)
  })
  const address = server.address()
  return {
    url: `${scheme}://127.0.0.1:${typeof address === 'object' && address ? address.port : port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}
