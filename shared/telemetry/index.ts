/**
 * Telemetry is how the node is watched: counters and timings of its own process, and spans of the work on a payment. Always true
 * here: nothing that is measured throws into what it measures or waits for a collector; every metric stands in the catalogue
 * with the only labels that it may have, and has a bounded number of series; without a collector no SDK is loaded and no span
 * is made.
 */
export type { CounterName, GaugeName, HistogramName, MetricName } from './catalog.ts'
export { type CatalogEntry, catalog } from './catalog.ts'
export { createInstruments, type Instruments, type Observation, silentInstruments } from './instruments.ts'
export { silentTelemetry, type Telemetry } from './model.ts'
export { observeHttpApp, serveMetrics } from './observe-http-app.ts'
export { observeHttpClient } from './observe-http-client.ts'
export type { PaymentRef } from './payment-trace.ts'
export { applyPrivacy } from './privacy.ts'
export { PROMETHEUS_CONTENT_TYPE, toPrometheus } from './prometheus.ts'
export { createTelemetry, type TelemetryConfig } from './telemetry.ts'
export { outcomeOf, timed } from './timed.ts'
export { traced } from './traced.ts'
export type { SpanOptions, Tracing } from './tracing.ts'
export { createUsd, type Usd } from './usd.ts'
export { telemetryVariables } from './variables.ts'
