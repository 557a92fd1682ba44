import { isObject } from '../platform/index.ts'
import { startTestHttpServer, type TestHttpServer } from './http-server.ts'

export interface ReceivedSpan {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  links: { traceId: string; spanId: string }[]
  attributes: Record<string, unknown>
  /** Deployable that sent it. */
  service: string
  /** OTLP status code: 2 is an error. */
  status: number
}

export interface ReceivedPoint {
  metric: string
  kind: 'sum' | 'gauge' | 'histogram'
  attributes: Record<string, unknown>
  /** Of a histogram: how many. */
  value: number
  sum?: number
  service: string
  unit: string
}

/** A collector that takes OTLP as JSON over HTTP, and understands it. */
export interface TestCollector {
  url: string
  spans: ReceivedSpan[]
  /** The last of each series. */
  points(): ReceivedPoint[]
  close(): Promise<void>
}

type Json = Record<string, unknown>
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : [])

const anyValue = (value: unknown): unknown => {
  if (!isObject(value)) return undefined
  const { stringValue, intValue, doubleValue, boolValue } = value
  return stringValue ?? (intValue === undefined ? undefined : Number(intValue)) ?? doubleValue ?? boolValue
}
const attributesOf = (holder: Json): Record<string, unknown> =>
  Object.fromEntries(list(holder.attributes).map(({ key, value }) => [String(key), anyValue(value)]))
const serviceOf = ({ resource }: Json): string =>
  isObject(resource) ? String(attributesOf(resource)['service.name']) : ''

const toSpan = (span: Json, service: string): ReceivedSpan => ({
  name: String(span.name),
  traceId: String(span.traceId),
  spanId: String(span.spanId),
  ...(typeof span.parentSpanId === 'string' &&
    span.parentSpanId !== '' && { parentSpanId: span.parentSpanId }),
  links: list(span.links).map(({ traceId, spanId }) => ({
    traceId: String(traceId),
    spanId: String(spanId),
  })),
  attributes: attributesOf(span),
  service,
  status: isObject(span.status) ? Number(span.status.code ?? 0) : 0,
})

function toPoints(metric: Json, service: string): ReceivedPoint[] {
  const about = { metric: String(metric.name), service, unit: String(metric.unit ?? '') }
  for (const kind of ['sum', 'gauge', 'histogram'] as const) {
    const data = metric[kind]
    if (!isObject(data)) continue
    return list(data.dataPoints).map((point) => ({
      ...about,
      kind,
      attributes: attributesOf(point),
      value: Number(kind === 'histogram' ? point.count : (point.asDouble ?? point.asInt)),
      ...(kind === 'histogram' && { sum: Number(point.sum) }),
    }))
  }
  return []
}

export async function startTestCollector(): Promise<TestCollector> {
  const spans: ReceivedSpan[] = []
  const last = new Map<string, ReceivedPoint>()
  const server: TestHttpServer = await startTestHttpServer(({ path, body }) => {
    const message = JSON.parse(body) as Json
    if (path === '/v1/traces')
      for (const resource of list(message.resourceSpans))
        for (const scope of list(resource.scopeSpans))
          spans.push(...list(scope.spans).map((span) => toSpan(span, serviceOf(resource))))
    if (path === '/v1/metrics')
      for (const resource of list(message.resourceMetrics))
        for (const scope of list(resource.scopeMetrics))
          for (const point of list(scope.metrics).flatMap((metric) => toPoints(metric, serviceOf(resource))))
            last.set(JSON.stringify([point.service, point.metric, point.attributes]), point)
    return { headers: { 'content-type': 'application/json' }, body: '{}' }
  })
  return { url: server.url, spans, points: () => [...last.values()], close: () => server.close() }
}
