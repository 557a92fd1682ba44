import { type HistogramName, outcomeOf, type Telemetry, timed } from '../telemetry/index.ts'
import type { CreateTransferStatus, Ledger } from './port.ts'

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

  const observed = async <T>(operation: keyof Ledger, work: () => Promise<T>): Promise<T> => {
    const run = () =>
      timed(times, work, (error) => ({ operation, outcome: error === undefined ? 'ok' : outcomeOf(error) }))
    // What the ledger does of its own accord belongs to nobody.
    if (!telemetry.traces || tracing.carried() === undefined) return await run()
    return await tracing.span(`ledger.${operation}`, { kind: 'client' }, run)
  }

  const countStatuses = (statuses: readonly CreateTransferStatus[]) => {
    for (const status of statuses) transfers.add(1, { status })
  }

  return {
    createAccounts: (accounts) => observed('createAccounts', () => ledger.createAccounts(accounts)),
    createTransfers: (events) =>
      observed('createTransfers', () =>
        timed(moves, async () => {
          const statuses = await ledger.createTransfers(events)
          countStatuses(statuses)
          return statuses
        }),
      ),
    lookupAccounts: (ids) => observed('lookupAccounts', () => timed(reads, () => ledger.lookupAccounts(ids))),
    lookupTransfers: (ids) => observed('lookupTransfers', () => ledger.lookupTransfers(ids)),
    queryTransfers: (filter) => observed('queryTransfers', () => ledger.queryTransfers(filter)),
    close: () => ledger.close(),
  }
}
