import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { assert, type Clock, type Logger, messageOf } from '../../platform/index.ts'
import { createBatcher } from '../batcher.ts'
import { assertNewAccounts, assertTransferEvents } from '../checks.ts'
import {
  type CreateAccountStatus,
  type CreateTransferStatus,
  EVENTS_PER_CALL_MAX,
  type Ledger,
  type NewAccount,
  type PendingTransfer,
  type TransferEvent,
} from '../port.ts'
import { type Arena, createArena } from './binary.ts'
import { APPLY_CLEAN, encodeClean, noteApplied, planClean } from './clean-batch.ts'
import { type Connections, createConnections } from './connections.ts'
import {
  APPLY_IN_ORDER,
  CREATE_ACCOUNTS,
  encodeAccounts,
  encodeInOrder,
  parseAccountStatuses,
  parseStatuses,
} from './ordered-batch.ts'
import { readAccounts, readTransfers, searchTransfers } from './reads.ts'
import { createReservations, type Hold, type Reservations } from './reservations.ts'
import { createShortages } from './shortages.ts'

export interface PostgresLedgerOptions {
  connectionString: string
  log: Logger
  /** For tests. Absent: the database's clock, which all processes share. */
  clock?: Clock
  /** Connections at most; writes use one at a time. */
  poolSizeMax?: number
  /** Prepares statements once per connection. Off behind a proxy that pins sessions on them. */
  prepared?: boolean
  /** How long a batch is repeated, under the same ids, while its outcome is unknown. */
  outcomeTimeoutMs?: number
  /** Events that wait at most. */
  queueSizeMax?: number
  /** How often expired reservations are released; 0: only by {@link PostgresLedger.sweep}. */
  sweepIntervalMs?: number
  /** How batches are applied; both give the same results. `auto` chooses the cheaper. */
  path?: 'auto' | 'clean' | 'ordered'
  /** Told of each batch of transfers, for metrics. */
  onBatch?: (batch: { path: 'clean' | 'ordered'; events: number }) => void
}

export interface PostgresLedger extends Ledger {
  /** Releases what expired. Returns the number of groups of reservations that it released. */
  sweep(): Promise<number>
}

const SWEEP = 'select ledger.sweep($1, $2) as count'
const SWEEP_LIMIT = 1000
const RESERVATIONS_MAX = 100_000
const UNKNOWN = { onTimeout: 'ledger_outcome_unknown' }

interface Context {
  connections: Connections
  reservations: Reservations
  now: () => Date | undefined
  onBatch: NonNullable<PostgresLedgerOptions['onBatch']>
}

/** A ledger in Postgres. The schema must be there: see `migrateLedger`. Any number of processes may share it. */
export function createPostgresLedger(options: PostgresLedgerOptions): PostgresLedger {
  const timeoutMs = options.outcomeTimeoutMs ?? 10_000
  const reservations = createReservations(RESERVATIONS_MAX)
  const connections = createConnections({
    connectionString: options.connectionString,
    log: options.log,
    sizeMax: options.poolSizeMax ?? 4,
    timeoutMs,
    prepared: options.prepared ?? true,
    onLost: () => reservations.clear(),
  })
  const ctx: Context = {
    connections,
    reservations,
    now: () => options.clock?.now(),
    onBatch: options.onBatch ?? (() => undefined),
  }
  const limits = {
    batchSizeMax: EVENTS_PER_CALL_MAX,
    queueSizeMax: options.queueSizeMax ?? 20_000,
    waitMsMax: timeoutMs,
  }
  // Each kind of batch has one in flight at a time, and memory of its own for it.
  const [accountArena, accountReadArena, transferReadArena] = [createArena(), createArena(), createArena()]
  const transfers = createBatcher({ ...limits, ...transferApplier(ctx, options.path ?? 'auto') })
  const accounts = createBatcher({
    ...limits,
    apply: (events: readonly NewAccount[]) => applyAccounts(ctx, accountArena, events),
  })
  const accountReads = createBatcher({
    ...limits,
    apply: (ids: readonly string[]) => readAccounts(connections, accountReadArena, ids),
  })
  const transferReads = createBatcher({
    ...limits,
    apply: (ids: readonly string[]) => readTransfers(connections, transferReadArena, ids, ctx.now()),
  })
  const sweeper = startSweeper(ctx, options.sweepIntervalMs ?? 1000, options.log)

  return {
    async createAccounts(events) {
      assertNewAccounts(events)
      return accounts.submit(events)
    },
    async createTransfers(events) {
      assertTransferEvents(events)
      return transfers.submit(events)
    },
    lookupAccounts: (ids) => accountReads.submit(ids),
    lookupTransfers: (ids) => transferReads.submit(ids),
    async queryTransfers(filter) {
      assert(filter.accountId ?? filter.userData128, 'a query names an account or user data', filter)
      return searchTransfers(connections, filter, ctx.now())
    },
    sweep: () => sweep(ctx),
    async close() {
      await sweeper.stop()
      await Promise.all([transfers.close(), accounts.close(), accountReads.close(), transferReads.close()])
      await connections.close()
    },
  }
}

async function applyAccounts(
  ctx: Context,
  arena: Arena,
  events: readonly NewAccount[],
): Promise<CreateAccountStatus[]> {
  const values = encodeAccounts(arena, events, ctx.now())
  const [row] = await ctx.connections.run(() => ({ text: CREATE_ACCOUNTS, values }), UNKNOWN)
  return parseAccountStatuses(row?.statuses as string)
}

/** After attempts that failed one after the other, so many batches at most go straight to the ordered path. */
const SKIPPED_MAX = 15

function transferApplier(ctx: Context, path: 'auto' | 'clean' | 'ordered') {
  const arena = createArena()
  const shortages = createShortages()
  let skipping = 0
  let failures = 0
  const shouldTry = (): boolean => {
    if (path !== 'auto') return path === 'clean'
    if (skipping === 0) return true
    skipping--
    return false
  }
  const noteAttempt = (succeeded: boolean) => {
    failures = succeeded ? 0 : failures + 1
    skipping = Math.min(2 ** Math.max(0, failures - 1) - 1, SKIPPED_MAX)
  }
  const inOrder = async (events: readonly TransferEvent[]): Promise<CreateTransferStatus[]> => {
    const statuses = await applyInOrder(ctx, arena, events)
    shortages.note(events, statuses)
    return statuses
  }
  const apply = async (events: readonly TransferEvent[], isApart: boolean) => {
    const plan = !isApart && shouldTry() ? planClean(events, ctx.reservations) : undefined
    if (!plan) return inOrder(events)
    const now = ctx.now()
    // Repeats go in order: the first attempt may have been applied, and what it reserved is no longer known here.
    const [row] = await ctx.connections.run(
      (attempt) =>
        attempt === 0
          ? { text: APPLY_CLEAN, values: encodeClean(arena, plan, now) }
          : { text: APPLY_IN_ORDER, values: encodeInOrder(arena, events, now) },
      UNKNOWN,
    )
    if (row && 'statuses' in row) return noteOrdered(ctx, events, row.statuses as string)
    const isClean = row?.applied === true
    noteAttempt(isClean)
    if (!isClean) return inOrder(events)
    noteApplied(plan, ctx.reservations)
    ctx.onBatch({ path: 'clean', events: events.length })
    return events.map((): CreateTransferStatus => 'created')
  }
  return { apply, ...(path === 'auto' && { isApart: shortages.concern }) }
}

/** Another process created a transfer under one of the ids, on other ledgers, while this batch was decided. */
const isTakenId = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' && error.table === 'transfers'
const TAKEN_ID_ATTEMPTS = 5

async function applyInOrder(
  ctx: Context,
  arena: Arena,
  events: readonly TransferEvent[],
): Promise<CreateTransferStatus[]> {
  const now = ctx.now()
  for (let attempt = 1; ; attempt++) {
    try {
      const values = encodeInOrder(arena, events, now)
      const [row] = await ctx.connections.run(() => ({ text: APPLY_IN_ORDER, values }), UNKNOWN)
      return noteOrdered(ctx, events, row?.statuses as string)
    } catch (error) {
      if (!isTakenId(error) || attempt === TAKEN_ID_ATTEMPTS) throw error
    }
  }
}

function noteOrdered(ctx: Context, events: readonly TransferEvent[], text: string): CreateTransferStatus[] {
  ctx.onBatch({ path: 'ordered', events: events.length })
  const holds = new Map<string, Hold>()
  const results = parseStatuses(text)
  for (const [index, { status, hold }] of results.entries()) {
    const event = events[index]
    if (!event || status !== 'created') continue
    if (hold) {
      const shared = holds.get(hold.id) ?? { id: hold.id, size: hold.size }
      holds.set(hold.id, shared)
      ctx.reservations.add(event as PendingTransfer, shared, hold.bit)
    } else if ('pendingId' in event) ctx.reservations.remove(event.pendingId)
  }
  return results.map((result) => result.status)
}

async function sweep(ctx: Context): Promise<number> {
  let total = 0
  for (;;) {
    const values = [ctx.now() ?? null, SWEEP_LIMIT]
    const [row] = await ctx.connections.run(() => ({ text: SWEEP, values }), {
      onTimeout: 'ledger_unavailable',
    })
    const count = Number(row?.count)
    total += count
    if (count < SWEEP_LIMIT) return total
  }
}

function startSweeper(ctx: Context, intervalMs: number, log: Logger) {
  const ending = new AbortController()
  const run = async () => {
    while (!ending.signal.aborted) {
      await sleep(intervalMs, undefined, { ref: false, signal: ending.signal }).catch(() => undefined)
      if (ending.signal.aborted) return
      await sweep(ctx).catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'ledger sweep failed; the next one follows'),
      )
    }
  }
  const running = intervalMs > 0 ? run() : Promise.resolve()
  return {
    async stop() {
      ending.abort()
      await running
    },
  }
}
