import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Telemetry } from './model.ts'
import { PROMETHEUS_CONTENT_TYPE, toPrometheus } from './prometheus.ts'
import type { OpenSpan } from './tracing.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** Probes and scrapes come every few seconds and say nothing. */
const UNTRACED = new Set(['/livez', '/healthz', '/readyz', '/metrics'])

export interface HttpAppObservation {
  /** Of the listener, as the deployable's ports have it. */
  listener: string
  /**
   * `node`: wallets and parts of this node, whose traces go on here. `anybody`: their headers may say what they like, and a trace
   * begins.
   */
  callers: 'node' | 'anybody'
}

/** Times every request by the pattern of its route, and puts it into a span. To be called before the app listens. */
export function observeHttpApp(
  telemetry: Telemetry,
  app: FastifyInstance,
  observation: HttpAppObservation,
): void {
  const { listener, callers } = observation
  const times = telemetry.instruments.histogram('upesi_http_request_ms')
  const spans = new WeakMap<FastifyRequest, OpenSpan>()
  const methodOf = (request: FastifyRequest) => (METHODS.has(request.method) ? request.method : 'other')
  const routeOf = (request: FastifyRequest) => request.routeOptions.url ?? 'none'

  if (telemetry.traces) {
    app.addHook('onRequest', (request, _reply, done) => {
      const route = routeOf(request)
      const method = methodOf(request)
      if (!UNTRACED.has(route))
        spans.set(
          request,
          telemetry.tracing.open(`${method} ${route}`, {
            kind: 'server',
            isEntry: true,
            attributes: { 'http.request.method': method, 'http.route': route, 'upesi.listener': listener },
            ...(callers === 'node' && { caller: request.headers }),
          }),
        )
      done()
    })
    // The body has been read: what comes now is one chain of calls, and the span stays active in it.
    app.addHook('preValidation', (request, _reply, done) => {
      const span = spans.get(request)
      if (span) span.within(() => done())
      else done()
    })
  }

  app.addHook('onResponse', (request, reply, done) => {
    const status = reply.statusCode
    times.record(reply.elapsedTime, {
      listener,
      method: methodOf(request),
      route: routeOf(request),
      status: String(status),
    })
    spans.get(request)?.end({ 'http.response.status_code': status }, status >= 500)
    done()
  })
}

/** `/metrics` on a listener that only the node's own network reaches. */
export function serveMetrics(telemetry: Telemetry, app: FastifyInstance): void {
  app.get('/metrics', async (_request, reply) =>
    reply.type(PROMETHEUS_CONTENT_TYPE).send(toPrometheus(await telemetry.instruments.collect())),
  )
}
