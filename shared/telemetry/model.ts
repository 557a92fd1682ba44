import { type Instruments, silentInstruments } from './instruments.ts'
import { noTracing } from './no-tracing.ts'
import type { Tracing } from './tracing.ts'

/** What a deployable is watched with. */
export interface Telemetry {
  instruments: Instruments
  tracing: Tracing
  /** Whether spans are collected: without, wrapping is not worth it. */
  traces: boolean
  /** Whether metrics go to a collector. */
  exports: boolean
  /** Listens on METRICS_PORT, where it is set; `ready` throws when a dependency is away. Returns the ports to show. */
  listen(ready: () => Promise<void>): Promise<Readonly<Record<string, number>>>
  /** Sends what waits to be sent, for a short while: for processes that stand still when their work is done. */
  flush(): Promise<void>
  /** Sends what is left, for a short while, and ends. */
  close(): Promise<void>
}

/** For what is built without a deployable around it. */
export const silentTelemetry: Telemetry = {
  instruments: silentInstruments,
  tracing: noTracing,
  traces: false,
  exports: false,
  listen: async () => ({}),
  flush: async () => undefined,
  close: async () => undefined,
}
