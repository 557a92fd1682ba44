import type { Instruments } from '../shared/telemetry/index.ts'

/** What the connector counts. Operators watch the first two: each is money that the node may have to claim from somebody. */
export const counterNames = [
  /** A fulfilled packet's hold was gone: its movement was recorded afterwards. */
  'late_postings',
  /** The same, and the payer's account could not pay any more: the node covered it from settlement. */
  'covered_postings',
  /** Packets left without an ILP answer, because neither Fulfill nor Reject would have been true. */
  'unanswered_packets',
  'packets_received',
  'packets_fulfilled',
  'packets_rejected',
  'packets_forwarded',
  /** Times that the same packet was sent again, because its answer was lost on the way. */
  'packets_repeated',
  'packets_delivered',
  'duplicate_packets',
  /** Packets whose limit this connector decided by its own part, because Redis was away. */
  'unshared_limits',
  /** Packets fulfilled without the receipt that they asked for, because Redis was away. */
  'missing_receipts',
  /** Times that the progress of an incoming payment could not be recorded at once. */
  'progress_retries',
] as const
export type CounterName = (typeof counterNames)[number]

export interface Counters {
  count(name: CounterName): void
  read(): Readonly<Record<CounterName, number>>
}

export function createCounters(): Counters {
  const values = Object.fromEntries(counterNames.map((name) => [name, 0])) as Record<CounterName, number>
  return {
    count(name) {
      values[name]++
    },
    read: () => ({ ...values }),
  }
}

/** Shows them beside all other metrics. */
export function observeCounters(instruments: Instruments, counters: Counters): void {
  for (const name of counterNames)
    instruments.observe(`upesi_connector_${name}`, () => [{ value: counters.read()[name] }])
}
