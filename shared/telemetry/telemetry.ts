import type { FastifyInstance } from 'fastify'
import { createHttpApp, type Logger, listenOn, uuidv7 } from '../platform/index.ts'
import { createInstruments } from './instruments.ts'
import type { Telemetry } from './model.ts'
import { noTracing } from './no-tracing.ts'
import { serveMetrics } from './observe-http-app.ts'
import { observeProcess } from './process-metrics.ts'
import { type TelemetryVariables, telemetryWarnings } from './variables.ts'

export type TelemetryConfig = TelemetryVariables

export interface TelemetryOptions {
  /** Of the deployable. */
  name: string
  log: Logger
}

/** For one deployable. The SDK is loaded when a collector is named, and not before. */
export async function createTelemetry(
  config: TelemetryConfig,
  options: TelemetryOptions,
): Promise<Telemetry> {
  const { name, log } = options
  for (const warning of telemetryWarnings(config)) log.warn(warning)
  const instruments = createInstruments()
  let ofProcess: ReturnType<typeof observeProcess> | undefined
  const watchProcess = () => {
    ofProcess ??= observeProcess(instruments)
  }
  const signals = {
    metrics: config.enableTelemetry && config.metricCollectorUrls.length > 0,
    traces: config.enableTelemetryTraces && config.traceCollectorUrls.length > 0,
  }
  // Where nobody collects, what a process says of itself can be asked for only over a listener, and functions of Lambda have none.
  if (signals.metrics) watchProcess()
  const exported =
    signals.metrics || signals.traces
      ? (await import('./export-telemetry.ts')).startExport(
          { log, instruments, config, name, instanceId: uuidv7() },
          signals,
        )
      : undefined
  let app: FastifyInstance | undefined
  const telemetry: Telemetry = {
    instruments,
    tracing: exported?.tracer ? (await import('./tracing.ts')).createTracing(exported.tracer) : noTracing,
    traces: exported?.tracer !== undefined,
    exports: signals.metrics,
    async listen(ready) {
      watchProcess()
      if (config.metricsPort === undefined) return {}
      app = await createHttpApp({ log, ready })
      serveMetrics(telemetry, app)
      return { metrics: await listenOn(app, config.metricsPort) }
    },
    flush: async () => exported?.flush(),
    async close() {
      await app?.close()
      await exported?.close()
      ofProcess?.close()
    },
  }
  return telemetry
}
