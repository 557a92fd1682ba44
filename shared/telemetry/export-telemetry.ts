import { context, type HrTime, ROOT_CONTEXT, ValueType } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type ReadableSpan,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { type Logger, messageOf } from '../platform/index.ts'
import { type CollectorTransport, createCollectorTransport, type Signal } from './collector-transport.ts'
import { BOUNDS, type Instruments, type Reading } from './instruments.ts'
import type { TracePlace } from './payment-trace.ts'
import type { TracerParts } from './tracing.ts'
import type { TelemetryVariables } from './variables.ts'

/**
 * The only file that knows the OpenTelemetry SDK, loaded when a collector is named. Metrics come from {@link Instruments}: the SDK
 * carries them, and does not count.
 */
export interface ExportContext {
  log: Logger
  instruments: Instruments
  config: TelemetryVariables
  /** Of the deployable. */
  name: string
  instanceId: string
}

export interface TelemetryExport {
  tracer?: TracerParts
  flush(): Promise<void>
  close(): Promise<void>
}

const SCOPE = { name: 'upesi' }
/** The last export when the process ends: a collector that is away must not keep it. */
const CLOSE_MS = 2_000
/** Spans that wait to be sent; further ones are dropped. */
const SPANS_MAX = 4_096
/** An outage of a collector is said once in so many ms, not with every export. */
const WARN_MS = 60_000

type Done = (result: { code: number; error?: Error }) => void

function exporter<Items>(
  ctx: ExportContext,
  signal: Signal,
  transport: CollectorTransport,
  serialize: (items: Items) => Uint8Array | undefined,
) {
  const exports = ctx.instruments.counter('upesi_telemetry_exports')
  let warnedAtMs = Number.NEGATIVE_INFINITY
  const failed = (error: unknown): Error => {
    exports.add(1, { signal, outcome: 'failed' })
    if (performance.now() - warnedAtMs > WARN_MS) {
      warnedAtMs = performance.now()
      ctx.log.warn({ signal, reason: messageOf(error) }, 'telemetry was not taken by its collector')
    }
    return error instanceof Error ? error : new Error(messageOf(error))
  }
  return {
    export(items: Items, done: Done): void {
      Promise.resolve()
        .then(() => serialize(items))
        .then((bytes) => bytes && transport.send(bytes))
        .then(
          () => {
            exports.add(1, { signal, outcome: 'ok' })
            done({ code: 0 })
          },
          (error: unknown) => done({ code: 1, error: failed(error) }),
        )
    },
    forceFlush: async () => undefined,
    shutdown: () => transport.close(),
  }
}

const transportTo = (ctx: ExportContext, url: string, signal: Signal) =>
  createCollectorTransport({ url, protocol: ctx.config.collectorProtocol, signal })

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]

function toMetricData(
  reading: Reading,
  source: string | undefined,
  startTime: HrTime,
  endTime: HrTime,
): MetricData {
  const { name, entry } = reading
  const fixed = { ...entry.fixed, ...(source !== undefined && { source }) }
  const point = <Value>(labels: Readonly<Record<string, string>>, value: Value) => ({
    startTime,
    endTime,
    attributes: { ...labels, ...fixed },
    value,
  })
  const base = {
    descriptor: {
      name: entry.exposedAs ?? name,
      description: entry.about,
      unit: '',
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  if ('histogram' in reading)
    return {
      ...base,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: reading.histogram.map(({ labels, value: { count, sum, buckets } }) =>
        point(labels, { count, sum, buckets: { boundaries: [...BOUNDS], counts: [...buckets] } }),
      ),
    }
  const dataPoints = reading.points.map(({ labels, value }) => point(labels, value))
  return entry.kind === 'counter'
    ? { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...base, dataPointType: DataPointType.GAUGE, dataPoints }
}

function producerOf(ctx: ExportContext, resource: Resource): MetricProducer {
  const startTime = hrTime(Date.now())
  return {
    async collect(): Promise<CollectionResult> {
      const readings = await ctx.instruments.collect()
      const endTime = hrTime(Date.now())
      const metrics = readings.map((reading) =>
        toMetricData(reading, ctx.config.instanceName, startTime, endTime),
      )
      return { resourceMetrics: { resource, scopeMetrics: [{ scope: SCOPE, metrics }] }, errors: [] }
    },
  }
}

function exportMetrics(ctx: ExportContext, resource: Resource): MeterProvider {
  const serializer =
    ctx.config.collectorProtocol === 'http/json' ? JsonMetricsSerializer : ProtobufMetricsSerializer
  const readers = ctx.config.metricCollectorUrls.map(
    (url) =>
      new PeriodicExportingMetricReader({
        exporter: exporter<ResourceMetrics>(ctx, 'metrics', transportTo(ctx, url, 'metrics'), (items) =>
          serializer.serializeRequest(items),
        ) satisfies PushMetricExporter,
        exportIntervalMillis: ctx.config.exportIntervalMs,
        exportTimeoutMillis: ctx.config.exportIntervalMs,
        metricProducers: [producerOf(ctx, resource)],
      }),
  )
  return new MeterProvider({ resource, readers })
}

/** Random ids, but for spans whose place is decided before they start. */
function createIds() {
  const random = new RandomIdGenerator()
  let given: TracePlace | undefined
  return {
    generator: {
      generateTraceId: () => given?.traceId ?? random.generateTraceId(),
      generateSpanId: () => given?.spanId ?? random.generateSpanId(),
    },
    /** `start` starts one span, and nothing that waits. */
    withIds<T>(place: TracePlace, start: () => T): T {
      given = place
      try {
        return start()
      } finally {
        given = undefined
      }
    },
  }
}

function exportTraces(ctx: ExportContext, resource: Resource) {
  const { traceShare, collectorProtocol, traceCollectorUrls } = ctx.config
  const serializer = collectorProtocol === 'http/json' ? JsonTraceSerializer : ProtobufTraceSerializer
  const byShare = new TraceIdRatioBasedSampler(traceShare)
  const ids = createIds()
  const provider = new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: byShare }),
    idGenerator: ids.generator,
    spanProcessors: traceCollectorUrls.map(
      (url) =>
        new BatchSpanProcessor({
          exporter: exporter<ReadableSpan[]>(ctx, 'traces', transportTo(ctx, url, 'traces'), (items) =>
            serializer.serializeRequest(items),
          ) satisfies SpanExporter,
          maxQueueSize: SPANS_MAX,
          maxExportBatchSize: 512,
          scheduledDelayMillis: 1_000,
        }),
    ),
  })
  // Several deployables of one process share it; a context carries its own spans.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const tracer: TracerParts = {
    tracer: provider.getTracer(SCOPE.name),
    isSampled: (traceId) =>
      byShare.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED,
    withIds: ids.withIds,
  }
  return { provider, tracer }
}

/** Whatever the collectors do, it ends. */
async function inTime(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS)
  })
  await Promise.race([work.catch(() => undefined), late])
  clearTimeout(timer)
}

/** Starts to send what the configuration names collectors for. */
export function startExport(
  ctx: ExportContext,
  signals: { metrics: boolean; traces: boolean },
): TelemetryExport {
  const resource = resourceFromAttributes({
    'service.name': `upesi-${ctx.name}`,
    'service.instance.id': ctx.instanceId,
    ...(ctx.config.instanceName !== undefined && { instance: ctx.config.instanceName }),
  })
  const meters = signals.metrics ? exportMetrics(ctx, resource) : undefined
  const traces = signals.traces ? exportTraces(ctx, resource) : undefined
  let metricsAtMs = performance.now()
  /** As often as a timer would: readings of a whole process are many bytes, and each costs whoever waits for the flush. */
  const dueMetrics = async () => {
    if (performance.now() - metricsAtMs < ctx.config.exportIntervalMs) return
    metricsAtMs = performance.now()
    await meters?.forceFlush()
  }
  return {
    ...(traces && { tracer: traces.tracer }),
    async flush() {
      await inTime(Promise.all([dueMetrics(), traces?.provider.forceFlush()]))
    },
    async close() {
      await inTime(Promise.all([meters?.shutdown(), traces?.provider.shutdown()]))
    },
  }
}
