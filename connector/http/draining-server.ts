import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '../../shared/platform/index.ts'

/** A node:http server that can end without losing an answer. */
export interface DrainingServer {
  readonly server: Server
  /** From now on `/readyz` says no and every answer ends its connection, so that others send elsewhere; all else goes on. */
  announceEnd(): void
  /** Takes no new connection, answers what is under way for up to `timeoutMs`, and closes. */
  drain(timeoutMs: number): Promise<void>
}

/** Longer than clients keep idle connections, so that it is they who end them and no request meets a closing one. */
export const KEEP_ALIVE_MS = 75_000
export const HEADERS_MS = 10_000
export const BODY_MS = 20_000

/** Who reads connections before node:http does, and answers what it can by itself. */
export interface DirectConnections {
  /** `leaveToNode` gives the connection away, with what is unread of it. */
  receive(socket: Socket, leaveToNode: () => void): void
  /** Requests that are not answered yet. */
  readonly underWay: number
  /** From now on every answer ends its connection. */
  announceEnd(): void
  closeIdle(): void
  closeAll(): void
}

export function createDrainingServer(
  ctx: { log: Logger },
  handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  direct?: DirectConnections,
): DrainingServer {
  let ending = false
  let open = 0
  const responses = new Set<ServerResponse>()
  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: BODY_MS },
    (request, response) => {
      open++
      responses.add(response)
      const closed = new Promise<void>((resolve) =>
        response.once('close', () => {
          responses.delete(response)
          resolve()
        }),
      )
      if (ending) response.setHeader('connection', 'close')
      const handled = ending && request.url === '/readyz' ? notReady(response) : handle(request, response)
      const answered = handled.catch((error: unknown) => {
        ctx.log.warn({ reason: messageOf(error) }, 'request failed')
        if (response.headersSent || response.destroyed) response.destroy()
        else text(response, 500, 'Internal Server Error')
      })
      // What was asked for goes on when its client has gone, and must not be cut off.
      void Promise.all([closed, answered]).then(() => open--)
    },
  )
  /** Node takes a connection for idle whose answer is still being written, and would cut it off. */
  const closeIdle = server.closeIdleConnections.bind(server)
  server.closeIdleConnections = () => {
    if (![...responses].some(({ writableEnded }) => writableEnded)) closeIdle()
  }
  if (direct) receiveFirst(server, direct)
  const announceEnd = () => {
    ending = true
    direct?.announceEnd()
  }

  return {
    server,
    announceEnd,
    async drain(timeoutMs) {
      announceEnd()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const deadlineMs = Date.now() + timeoutMs
      while (open + (direct?.underWay ?? 0) > 0 && Date.now() < deadlineMs) {
        server.closeIdleConnections()
        direct?.closeIdle()
        await sleep(10)
      }
      server.closeAllConnections()
      direct?.closeAll()
      await closed
    },
  }
}

async function notReady(response: ServerResponse): Promise<void> {
  text(response, 503, 'Not Ready')
}

/** node:http takes any connection that it is told of (its documentation of the event says so), also one that others have read before. */
function receiveFirst(server: Server, direct: DirectConnections): void {
  const own = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) =>
    direct.receive(socket, () => {
      for (const listener of own) listener.call(server, socket)
    }),
  )
}

/** Listens on all addresses, both families where there are two, and returns the port. */
export async function listen(server: Server, port: number): Promise<number> {
  try {
    server.listen({ port, host: '::' })
    await once(server, 'listening')
  } catch (error) {
    // No IPv6 on this machine.
    if ((error as { code?: string }).code !== 'EAFNOSUPPORT') throw error
    server.listen({ port, host: '0.0.0.0' })
    await once(server, 'listening')
  }
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}

/** `undefined` when there is more than `sizeMax`. Rejects when the other side goes away. */
export function readBody(request: IncomingMessage, sizeMax: number): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > sizeMax) return Promise.resolve(undefined)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
  const chunks: Buffer[] = []
  let size = 0
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= sizeMax) chunks.push(chunk)
    else resolve(undefined)
  })
  request.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
  request.on('error', reject)
  request.on('close', () => {
    if (!request.complete) reject(new Error('the other side went away'))
  })
  return promise
}

/** Answers `/livez`, `/healthz` and `/readyz`; false for other paths. */
export async function answerHealth(
  ctx: { ready: () => Promise<void>; log: Logger },
  path: string,
  response: ServerResponse,
): Promise<boolean> {
  if (path !== '/livez' && path !== '/healthz' && path !== '/readyz') return false
  try {
    if (path !== '/livez') await ctx.ready()
    text(response, 200, 'OK')
  } catch (error) {
    ctx.log.warn({ reason: messageOf(error) }, 'not ready')
    text(response, path === '/healthz' ? 500 : 503, 'Not Ready')
  }
  return true
}

export function text(response: ServerResponse, status: number, body: string): void {
  // The rest of a body that is not wanted is not worth waiting for.
  if (status === 413) response.setHeader('connection', 'close')
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
