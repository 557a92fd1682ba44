import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { messageOf } from './errors.ts'
import { receiveTarget } from './gateway-request.ts'
import { parseJsonBody } from './json-body.ts'
import type { Logger } from './log.ts'
import { REQUEST_ID_HEADER, requestIdOf, withLogContext } from './log-context.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as received: what a content digest covers. */
    rawBody?: Buffer
    /** In logs, and in the answer's X-Request-Id. */
    requestId: string
  }
}

export interface HttpAppOptions {
  log: Logger
  /** Believe X-Forwarded-* and X-Request-Id (TRUST_PROXY). */
  trustProxy?: boolean
  /** Callers are parts of this node, or its wallets: their X-Request-Id goes on here. */
  believesCallers?: boolean
  /** Bytes; default 1 MiB. */
  bodyLimit?: number
  /** `Access-Control-Allow-Origin: *`, as every public listener answers. */
  cors?: boolean
  /** Bodies of any media type arrive, unparsed unless JSON: a validator behind says what is wrong with them. */
  takesAnyMediaType?: boolean
  /** Throws when a dependency is away: `/healthz` and `/readyz` then answer 500 and 503. */
  ready?: () => Promise<void>
}

/**
 * Only who connects to us is believed to say for whom: proxies add what they see behind what they were sent, so everything further
 * to the left may be the client's invention, and would let it count as another source with each request.
 */
const isNearestProxy = (_address: string, hop: number): boolean => hop === 0

/**
 * A Fastify instance with what all listeners share: health routes, text 404s, raw bodies, JSON errors for malformed JSON, no
 * 405s, case-insensitive paths and tolerated trailing slashes (contracts/open-payments/routes.md §0).
 */
export async function createHttpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    trustProxy: options.trustProxy ? isNearestProxy : false,
    bodyLimit: options.bodyLimit ?? 1024 * 1024,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 1024 },
    forceCloseConnections: 'idle',
    requestTimeout: 60_000,
    rewriteUrl: receiveTarget,
    // Requests are held against the specifications by `openapi`; what compiles schemas of Fastify would be loaded for nothing.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // `endWhileClosing` answers instead.
    return503OnClosing: false,
    clientErrorHandler: refuseNoRequest,
    // A path that cannot be decoded reaches no route and no error handler; what made this server is nobody's business.
    frameworkErrors: (_error, _request, reply) => {
      const answer = reply as FastifyReply
      // No hook has run either.
      if (options.cors) answer.headers({ 'access-control-allow-origin': '*', vary: 'Origin' })
      void answer.status(400).send({ error: { code: '400', description: 'Bad Request' } })
    },
  })
  nameRequests(app, options)
  if (options.cors) allowAnyOrigin(app)
  refuseTwoHosts(app)
  endWhileClosing(app)

  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<Buffer>(
    /^application\/(?:[a-z.-]+\+)?json\b/i,
    { parseAs: 'buffer' },
    (request, body, done) => {
      request.rawBody = body
      try {
        done(null, parseJsonBody(body))
      } catch (error) {
        done(error as Error, undefined)
      }
    },
  )

  if (options.takesAnyMediaType) {
    app.removeContentTypeParser('text/plain')
    app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
      request.rawBody = body
      done(null, undefined)
    })
  }

  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('OK'))
  const ready = (failureStatus: number) => async (_request: unknown, reply: FastifyReply) => {
    try {
      await options.ready?.()
      return reply.type('text/plain').send('OK')
    } catch (error) {
      options.log.warn({ reason: messageOf(error) }, 'not ready')
      return reply.status(failureStatus).type('text/plain').send('Not Ready')
    }
  }
  app.get('/healthz', ready(500))
  app.get('/readyz', ready(503))

  app.setNotFoundHandler((_request, reply) => reply.status(404).type('text/plain').send('Not Found'))
  return app
}

/** A route with a schema of Fastify's, which nothing here compiles: the start fails. */
function noSchemas(): never {
  throw new Error('routes have no schemas of their own')
}

const PROBES = new Set(['/livez', '/healthz', '/readyz', '/metrics'])

/**
 * Every request has an id, which all lines that are logged on its behalf carry, its answer, and what is asked of other parts of this
 * node. Only where callers are believed is it theirs: elsewhere strangers could make their lines look like another request's.
 */
function nameRequests(app: FastifyInstance, { log, trustProxy, believesCallers }: HttpAppOptions): void {
  app.addHook('onRequest', (request, reply, done) => {
    const given = trustProxy || believesCallers ? request.headers[REQUEST_ID_HEADER] : undefined
    // A gateway has named it already: its own logs are found by that name.
    request.requestId = requestIdOf(request.raw.gateway?.id ?? given)
    reply.header(REQUEST_ID_HEADER, request.requestId)
    done()
  })
  // The body has been read: what comes now is one chain of calls.
  app.addHook('preValidation', ({ requestId }, _reply, done) => {
    withLogContext({ requestId }, done)
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, requestId, routeOptions } = request
    if (log.isLevelEnabled('debug') && !PROBES.has(routeOptions.url ?? ''))
      log.debug(
        { requestId, method, route: routeOptions.url, status: reply.statusCode, ms: reply.elapsedTime },
        'answered',
      )
    done()
  })
}

/**
 * `Access-Control-Allow-Origin: *` on whatever is answered, and answers to preflights. OPTIONS that is no preflight asks for a path
 * that does not exist (contracts/open-payments/routes.md §0). By hand, because nothing of it depends on the request's origin.
 */
function allowAnyOrigin(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { method, headers } = request
    reply.header('access-control-allow-origin', '*')
    const isPreflight = method === 'OPTIONS' && headers.origin && headers['access-control-request-method']
    if (!isPreflight) {
      reply.header('vary', 'Origin')
      done()
      return
    }
    const askedHeaders = headers['access-control-request-headers']
    if (askedHeaders !== undefined) reply.header('access-control-allow-headers', askedHeaders)
    reply
      .status(204)
      .headers({
        vary: 'Origin, Access-Control-Request-Headers',
        'access-control-allow-methods': 'GET,HEAD,PUT,POST,DELETE,PATCH',
        'content-length': '0',
      })
      .send()
  })
}

const NO_REQUEST: Record<string, [status: string, description: string]> = {
  HPE_HEADER_OVERFLOW: ['431', 'Request Header Fields Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408', 'Request Timeout'],
}

/** What is no request of HTTP reaches no hook either, and is answered in the same words, which do not say what made this server. */
function refuseNoRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [code, description] = NO_REQUEST[error.code ?? ''] ?? ['400', 'Bad Request']
  const body = JSON.stringify({ error: { code, description } })
  if (socket.writable)
    socket.write(
      `HTTP/1.1 ${code} ${description}\r\nContent-Type: application/json; charset=utf-8\r\n` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
  socket.destroy(error)
}

/**
 * Of two Host headers we would take the first and a proxy before us perhaps the second: then what was signed, routed and looked up
 * is not the same (RFC 9112 §3.2: 400).
 */
function refuseTwoHosts(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw: { rawHeaders } }, reply, done) => {
    let hosts = 0
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index]
      if (name?.length === 4 && name.toLowerCase() === 'host') hosts++
    }
    if (hosts <= 1) return done()
    reply.status(400).send({ error: { code: '400', description: 'Bad Request' } })
  })
}

/** So long may connections finish what they have begun to send when the listener closes. */
const UNSENT_MS_MAX = 1_000
/** So long may clients take to read their answers then. */
const UNREAD_MS_MAX = 10_000
const NOTHING_ANSWERED = -1

/**
 * While the listener closes, what was asked for is answered and ends its connection, and so is what still arrives: who holds an open
 * connection has not heard yet, and a gateway asks nobody else for what may not be repeated. Probes hear that it ends. Node
 * would leave an answered connection open for as long as clients may keep one, and for ever one over which no whole request comes; and
 * it would take one for idle whose answer is still being written.
 */
function endWhileClosing(app: FastifyInstance): void {
  let isClosing = false
  /** Open ones, and what had been read of each when its last answer had been written. */
  const connections = new Map<Socket, number>()
  const underWay = new Map<IncomingMessage, ServerResponse>()
  const endThoseWithout = (requests: Iterable<IncomingMessage>, isToEnd: (socket: Socket) => boolean) => {
    const needed = new Set<Socket>()
    for (const { socket } of requests) needed.add(socket)
    for (const socket of connections.keys()) if (!needed.has(socket) && isToEnd(socket)) socket.destroy()
  }
  const endIdle = () =>
    endThoseWithout(underWay.keys(), (socket) => socket.bytesRead === connections.get(socket))
  const endUnsent = () =>
    endThoseWithout(
      [...underWay.keys()].filter(({ complete }) => complete),
      () => true,
    )
  const endUnread = (socket: Socket) => setTimeout(() => socket.destroy(), UNREAD_MS_MAX).unref()
  app.server.closeIdleConnections = endIdle
  app.server.on('connection', (socket: Socket) => {
    connections.set(socket, NOTHING_ANSWERED)
    socket.once('close', () => connections.delete(socket))
  })
  app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    underWay.set(request, response)
    response.once('close', () => {
      underWay.delete(request)
      if (connections.has(socket)) connections.set(socket, socket.bytesRead)
      // It may have been told that it can keep its connection.
      if (isClosing) endIdle()
    })
  })
  app.addHook('preClose', async () => {
    isClosing = true
    const timer = setTimeout(endUnsent, UNSENT_MS_MAX)
    app.server.once('close', () => clearTimeout(timer))
    for (const [{ socket }, { writableEnded }] of underWay) if (writableEnded) endUnread(socket)
  })
  app.addHook('onRequest', (request, reply, done) => {
    if (!isClosing || !PROBES.has(request.routeOptions.url ?? '')) return done()
    reply.status(503).type('text/plain').send('Service Unavailable')
  })
  app.addHook('onSend', ({ raw: { socket } }, reply, _payload, done) => {
    if (isClosing) {
      reply.header('connection', 'close')
      endUnread(socket)
    }
    done()
  })
}

/** Listens on all addresses, both families where there are two, and returns the port. */
export async function listenOn(app: FastifyInstance, port: number, host = '::'): Promise<number> {
  try {
    await app.listen({ port, host })
  } catch (error) {
    // No IPv6 on this machine.
    if (host !== '::' || (error as { code?: string }).code !== 'EAFNOSUPPORT') throw error
    await app.listen({ port, host: '0.0.0.0' })
  }
  const address = app.server.address()
  return typeof address === 'object' && address ? address.port : port
}
