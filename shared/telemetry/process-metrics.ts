import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { GaugeName } from './catalog.ts'
import type { Instruments } from './instruments.ts'

const NANO = 1e9
const RESOLUTION_MS = 20
/** Several may look, and each at its own pace: lag is that of the last whole window. */
const WINDOW_MS = 10_000

/** The process itself, under the names that dashboards for Node know. */
export function observeProcess(instruments: Instruments): { close(): void } {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  // It samples a timer, whose own period is no lag.
  const seconds = (nanoseconds: number) => Math.max(0, (nanoseconds || 0) / NANO - RESOLUTION_MS / 1000)
  const look = () => ({
    mean: seconds(delay.mean),
    p99: seconds(delay.percentile(99)),
    max: seconds(delay.max),
  })
  let last: ReturnType<typeof look> | undefined
  const timer = setInterval(() => {
    last = look()
    delay.reset()
  }, WINDOW_MS)
  timer.unref()

  const observe = (name: GaugeName, read: () => number) =>
    instruments.observe(name, () => [{ value: read() }])
  instruments.observe('process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage()
    return [{ value: (user + system) / 1e6 }]
  })
  observe('process_resident_memory_bytes', () => process.memoryUsage.rss())
  observe('process_start_time_seconds', () => performance.timeOrigin / 1000)
  observe('nodejs_heap_size_used_bytes', () => process.memoryUsage().heapUsed)
  observe('nodejs_eventloop_lag_mean_seconds', () => (last ?? look()).mean)
  observe('nodejs_eventloop_lag_p99_seconds', () => (last ?? look()).p99)
  observe('nodejs_eventloop_lag_max_seconds', () => (last ?? look()).max)
  return {
    close() {
      clearInterval(timer)
      delay.disable()
    },
  }
}
