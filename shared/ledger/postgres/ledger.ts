import type { Clock, Logger } from '../../platform/index.ts'
import { batchedCalls } from '../batched-calls.ts'
import { createBatcher } from '../batcher.ts'
import { OUTCOME_TIMEOUT_MS } from '../deadlines.ts'
import { EVENTS_PER_CALL_MAX, type Ledger, type NewAccount } from '../port.ts'
import { applyAccounts, type Path, transferApplier } from './apply-transfers.ts'
import { createArena } from './binary.ts'
import { createConnections } from './connections.ts'
import { readAccounts, readTransfers, searchTransfers } from './reads.ts'
import { createReservations } from './reservations.ts'
import { startSweeper, sweep } from './sweeper.ts'

export interface PostgresLedgerOptions {
  connectionString: string
  log: Logger
  /** For tests. Absent: the database's clock, which all processes share. */
  clock?: Clock
  /** Connections at most, and never less than three: two that write, and the others. */
  poolSizeMax?: number
  /** Prepares statements once per connection. Off behind a proxy that pins sessions on them. */
  prepared?: boolean
  /** How long a batch is repeated, under the same ids, while its outcome is unknown. */
  outcomeTimeoutMs?: number
  /** Events that wait at most. */
  queueSizeMax?: number
  /** How often expired reservations are released; 0: only by {@link PostgresLedger.sweep}. */
  sweepIntervalMs?: number
  path?: Path
  /** Told of each batch of transfers, for metrics. */
  onBatch?: (batch: { path: 'clean' | 'ordered'; events: number }) => void
}

export interface PostgresLedger extends Ledger {
  /** Releases what expired. Returns the number of groups of reservations that it released. */
  sweep(): Promise<number>
}

const RESERVATIONS_MAX = 100_000
/** Every process sweeps, and what expired stands in nobody's way before that. */
const SWEEP_INTERVAL_MS = 5_000
/** Transfers, and accounts. */
const WRITERS = 2
/** Movements wait for others for so long at most: a commit on a slow disk. */
const GATHER_MS_MAX = 5

/** A ledger in Postgres. The schema must be there: see `migrateLedger`. Any number of processes may share it. */
export function createPostgresLedger(options: PostgresLedgerOptions): PostgresLedger {
  const timeoutMs = options.outcomeTimeoutMs ?? OUTCOME_TIMEOUT_MS
  const reservations = createReservations(RESERVATIONS_MAX)
  const connect = (sizeMax: number) =>
    createConnections({
      connectionString: options.connectionString,
      log: options.log,
      sizeMax,
      timeoutMs,
      prepared: options.prepared ?? true,
      onLost: () => reservations.clear(),
    })
  // Apart from each other, so that no batch waits behind somebody's search.
  const writes = connect(WRITERS)
  const reads = connect(Math.max(1, (options.poolSizeMax ?? 4) - WRITERS))
  const now = () => options.clock?.now()
  const limits = {
    batchSizeMax: EVENTS_PER_CALL_MAX,
    queueSizeMax: options.queueSizeMax ?? 20_000,
    waitMsMax: timeoutMs,
  }
  // Each kind of batch has one in flight at a time, and memory of its own for it.
  const [accountArena, accountReadArena, transferReadArena] = [createArena(), createArena(), createArena()]
  const transfers = createBatcher({
    ...limits,
    gatherMsMax: GATHER_MS_MAX,
    ...transferApplier(
      { connections: writes, reservations, now, onBatch: options.onBatch ?? (() => undefined) },
      options.path ?? 'auto',
    ),
  })
  const accounts = createBatcher({
    ...limits,
    apply: (events: readonly NewAccount[]) => applyAccounts(writes, accountArena, events, now()),
  })
  const accountReads = createBatcher({
    ...limits,
    apply: (ids: readonly string[]) => readAccounts(reads, accountReadArena, ids),
  })
  const transferReads = createBatcher({
    ...limits,
    apply: (ids: readonly string[]) => readTransfers(reads, transferReadArena, ids, now(), reservations),
  })
  const sweeper = startSweeper(
    { connections: reads, now },
    options.sweepIntervalMs ?? SWEEP_INTERVAL_MS,
    options.log,
  )

  return {
    ...batchedCalls({
      accounts,
      transfers,
      accountReads,
      transferReads,
      readSizeMax: EVENTS_PER_CALL_MAX,
      search: (filter) => searchTransfers(reads, filter, now()),
    }),
    sweep: () => sweep({ connections: reads, now }),
    async close() {
      await sweeper.stop()
      await Promise.all([transfers.close(), accounts.close(), accountReads.close(), transferReads.close()])
      await Promise.all([writes.close(), reads.close()])
    },
  }
}
