import { type ConfigOf, configuration, optionalVariable, variable } from '../platform/index.ts'

const { boolean, httpUrl, integer, listOf, oneOf, port, text } = configuration

export type CollectorProtocol = 'grpc' | 'http/protobuf' | 'http/json'

/** A share from 0 to 1. */
const share: configuration.Parse<number> = (value) => {
  const number = /^\d(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= 0 && number <= 1)) throw new Error('must be a decimal number from 0 to 1')
  return number
}

/** What every deployable reads about being watched (contracts/admin/environment.md §1). */
export const telemetryVariables = {
  metricsPort: optionalVariable('METRICS_PORT', port, {
    about: 'a listener for /metrics and health, for any deployable; default: none',
  }),
  enableTelemetry: variable('ENABLE_TELEMETRY', boolean, {
    about: 'send metrics to OPEN_TELEMETRY_COLLECTOR_URLS',
    default: false,
  }),
  enableTelemetryTraces: variable('ENABLE_TELEMETRY_TRACES', boolean, {
    about: 'send spans to OPEN_TELEMETRY_TRACE_COLLECTOR_URLS',
    default: false,
  }),
  metricCollectorUrls: variable<string[]>('OPEN_TELEMETRY_COLLECTOR_URLS', listOf(httpUrl), {
    about: 'collectors of metrics (OTLP), several with commas',
    default: [],
  }),
  traceCollectorUrls: variable<string[]>('OPEN_TELEMETRY_TRACE_COLLECTOR_URLS', listOf(httpUrl), {
    about: 'collectors of spans (OTLP), several with commas',
    default: [],
  }),
  collectorProtocol: variable<CollectorProtocol>(
    'OPEN_TELEMETRY_PROTOCOL',
    oneOf('grpc', 'http/protobuf', 'http/json'),
    { about: 'what collectors speak', default: 'grpc' },
  ),
  exportIntervalMs: variable('OPEN_TELEMETRY_EXPORT_INTERVAL', integer({ min: 100, max: 3_600_000 }), {
    about: 'ms between two exports of metrics',
    default: 15_000,
  }),
  traceShare: variable('OPEN_TELEMETRY_TRACE_SHARE', share, {
    about: 'share of traces that is recorded, from 0 to 1; a payment is recorded whole or not at all',
    default: 1,
  }),
  instanceName: optionalVariable('INSTANCE_NAME', text, {
    about: 'name shown to peers and in telemetry',
  }),
}

export type TelemetryVariables = ConfigOf<typeof telemetryVariables>

/** Switched on, and nobody is named to send to: nothing is sent (decisions: Telemetry is off unless a collector is named). */
export const telemetryWarnings = (config: TelemetryVariables): string[] => [
  ...(config.enableTelemetry && config.metricCollectorUrls.length === 0
    ? ['ENABLE_TELEMETRY=true sends nothing: OPEN_TELEMETRY_COLLECTOR_URLS names no collector']
    : []),
  ...(config.enableTelemetryTraces && config.traceCollectorUrls.length === 0
    ? ['ENABLE_TELEMETRY_TRACES=true sends nothing: OPEN_TELEMETRY_TRACE_COLLECTOR_URLS names no collector']
    : []),
]
