// What being watched costs, in ns per call: node shared/telemetry/telemetry.bench.ts
import { configuration, silentLogger } from '../platform/index.ts'
import { createTelemetry, type Telemetry, traced } from './index.ts'
import { telemetryVariables } from './variables.ts'

const CALLS = 300_000
const ROUNDS = 7

const start = (env: Record<string, string>): Promise<Telemetry> =>
  createTelemetry(configuration.loadConfig(telemetryVariables, env), { name: 'bench', log: silentLogger })

/** The median of several rounds. */
async function nanoseconds(work: () => unknown): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = process.hrtime.bigint()
    for (let call = 0; call < CALLS; call++) await work()
    rounds.push(Number(process.hrtime.bigint() - startedAt) / CALLS)
  }
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0
}

const off = await start({})
const counter = off.instruments.counter('transactions_total')
const labelled = off.instruments.counter('upesi_packet_rejects')
const histogram = off.instruments.histogram('pay_time_ms')
const labels = { code: 'T04', origin: 'self' }
const useCase = async (_ctx: object, n: number) => n
const wrapped = traced('bench', useCase)
const timed = traced('bench', useCase, { timer: 'pay_time_ms' })

const rows: [string, () => unknown][] = [
  ['the bare call', () => useCase({}, 1)],
  ['traced, no telemetry in the context', () => wrapped({}, 1)],
  ['traced, no collector', () => wrapped({ telemetry: off }, 1)],
  ['traced and timed, no collector', () => timed({ telemetry: off }, 1)],
  ['span() where nobody collects', () => off.tracing.span('x', {}, () => useCase({}, 1))],
  ['a counter', () => counter.add(1)],
  ['a counter with two labels', () => labelled.add(1, labels)],
  ['a histogram', () => histogram.record(3)],
  ['awaiting nothing, in each of these', () => undefined],
]
for (const [name, work] of rows)
  console.log(`${(await nanoseconds(work)).toFixed(0).padStart(6)} ns  ${name}`)
await off.close()

const on = await start({
  ENABLE_TELEMETRY_TRACES: 'true',
  // Nobody listens: what is measured is making spans and dropping them.
  OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: 'http://127.0.0.1:9',
})
const recorded = await nanoseconds(() => on.tracing.span('x', {}, () => useCase({}, 1)))
console.log(`${recorded.toFixed(0).padStart(6)} ns  span(), recorded`)
await on.close()
