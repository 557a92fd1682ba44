import { type HistogramName, outcomeOf, type Telemetry, timed } from '../telemetry/index.ts'
import type { CreateTransferStatus, Ledger, TransferEvent } from './port.ts'

/** Names under which dashboards look for the two ledgers. */
const names = {
  postgres: { move: 'psql_create_transfer_ms', read: 'psql_get_account_balances' },
  tigerbeetle: { move: 'tb_create_transfer_ms', read: 'tb_get_account_balances' },
} as const satisfies Record<string, Record<'move' | 'read', HistogramName>>

/** Times the ledger's calls, counts what it said, and puts each call into a span of the work that made it. */
export function observeLedger(telemetry: Telemetry, ledger: Ledger, store: keyof typeof names): Ledger {
  const { instruments, tracing } = telemetry
  const times = instruments.histogram('upesi_ledger_call_ms')
  const transfers = instruments.counter('upesi_ledger_transfers')
  const moves = instruments.histogram(names[store].move)
  const reads = instruments.histogram(names[store].read)

  const inSpan = <T>(operation: keyof Ledger, run: () => Promise<T>): Promise<T> =>
    // What the ledger does of its own accord belongs to nobody.
    telemetry.traces && tracing.carried() !== undefined
      ? tracing.span(`ledger.${operation}`, { kind: 'client' }, run)
      : run()

  const observed = <T>(operation: keyof Ledger, work: () => Promise<T>): Promise<T> =>
    inSpan(operation, () =>
      timed(times, work, (error) => ({ operation, outcome: error === undefined ? 'ok' : outcomeOf(error) })),
    )

  const countStatuses = (statuses: readonly CreateTransferStatus[]) => {
    for (const status of statuses) transfers.add(1, { status })
  }

  /** Twice for a packet: both times are taken at once. */
  const move = (events: readonly TransferEvent[]): Promise<CreateTransferStatus[]> => {
    const startedAt = performance.now()
    const record = (outcome: string) => {
      const tookMs = performance.now() - startedAt
      moves.record(tookMs)
      times.record(tookMs, { operation: 'createTransfers', outcome })
    }
    return ledger.createTransfers(events).then(
      (statuses) => {
        countStatuses(statuses)
        record('ok')
        return statuses
      },
      (error: unknown) => {
        record(outcomeOf(error))
        throw error
      },
    )
  }

  return {
    createAccounts: (accounts) => observed('createAccounts', () => ledger.createAccounts(accounts)),
    createTransfers: (events) => inSpan('createTransfers', () => move(events)),
    lookupAccounts: (ids) => observed('lookupAccounts', () => timed(reads, () => ledger.lookupAccounts(ids))),
    lookupTransfers: (ids) => observed('lookupTransfers', () => ledger.lookupTransfers(ids)),
    queryTransfers: (filter) => observed('queryTransfers', () => ledger.queryTransfers(filter)),
    close: () => ledger.close(),
  }
}
