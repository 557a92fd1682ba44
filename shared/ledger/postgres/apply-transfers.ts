import pg from 'pg'
import { canonicalEvents } from '../checks.ts'
import { accountsNeededBy, makeNeededAccounts } from '../needed-accounts.ts'
import type { CreateAccountStatus, CreateTransferStatus, NewAccount, TransferEvent } from '../port.ts'
import { type Arena, CapitalLetters, createArena } from './binary.ts'
import { type CleanBatch, noteApplied, planClean } from './clean-batch.ts'
import { APPLY_CLEAN, APPLY_CLEAN_WITH_ACCOUNTS, encodeClean } from './clean-parameters.ts'
import { type Connections, OUTCOME_UNKNOWN } from './connections.ts'
import {
  APPLY_IN_ORDER,
  CREATE_ACCOUNTS,
  encodeAccounts,
  encodeInOrder,
  parseAccountStatuses,
  parseStatuses,
} from './ordered-batch.ts'
import { type Hold, type Reservations, reservedBy } from './reservations.ts'
import { createShortages } from './shortages.ts'

/** How batches are applied; both ways give the same results. `auto` chooses the cheaper. */
export type Path = 'auto' | 'clean' | 'ordered'

interface Context {
  connections: Connections
  reservations: Reservations
  /** `undefined`: the database's clock. */
  now: () => Date | undefined
  onBatch: (batch: { path: 'clean' | 'ordered'; events: number }) => void
}

/** Memory for the parameters of one batch at a time: its transfers, and the accounts that these need. */
interface Arenas {
  transfers: Arena
  accounts: Arena
}

/** After attempts that failed one after the other, so many batches at most go straight to the ordered path. */
const SKIPPED_MAX = 15

/** Applies batches of transfers: on the fast path when every event should succeed, otherwise one after the other. */
export function transferApplier(ctx: Context, path: Path) {
  const arenas = { transfers: createArena(), accounts: createArena() }
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
    const statuses = await applyInOrder(ctx, arenas, events)
    shortages.note(events, statuses)
    return statuses
  }
  const apply = async (
    events: readonly TransferEvent[],
    isApart: boolean,
  ): Promise<CreateTransferStatus[]> => {
    try {
      const plan = !isApart && shouldTry() ? planClean(events, ctx.reservations) : undefined
      if (!plan) return await inOrder(events)
      const statuses = await applyClean(ctx, arenas, plan)
      noteAttempt(statuses !== undefined)
      return statuses ?? (await inOrder(events))
    } catch (error) {
      // Nobody writes ids in capitals, so nobody pays for looking: encoding them comes across it, before anything is sent.
      if (error instanceof CapitalLetters) return apply(canonicalEvents(events), isApart)
      throw error
    }
  }
  return { apply, ...(path === 'auto' && { isApart: shortages.concern }) }
}

/** `undefined` when not every event would succeed. */
async function applyClean(
  ctx: Context,
  arenas: Arenas,
  plan: CleanBatch,
): Promise<CreateTransferStatus[] | undefined> {
  const accounts = accountsNeededBy(plan.events)
  if (accounts.length > 0) return await applyCleanWithAccounts(ctx, arenas, plan, accounts)
  const { events } = plan
  const now = ctx.now()
  const { transfers: arena } = arenas
  const clean = { text: APPLY_CLEAN, values: encodeClean(arena, plan, now) }
  // Repeats go in order: the first attempt may have been applied, and what it reserved is no longer known here.
  const [row] = await ctx.connections.run(
    (attempt) =>
      attempt === 0 ? clean : { text: APPLY_IN_ORDER, values: encodeInOrder(arena, events, now, NONE) },
    OUTCOME_UNKNOWN,
  )
  if (row && 'statuses' in row) return noteOrdered(ctx, events, row.statuses as string)
  return row?.applied === true ? noteClean(ctx, plan) : undefined
}

const NONE: ReadonlySet<TransferEvent> = new Set()

/** The same, in the one statement, for a batch that needs accounts. */
async function applyCleanWithAccounts(
  ctx: Context,
  arenas: Arenas,
  plan: CleanBatch,
  accounts: readonly NewAccount[],
): Promise<CreateTransferStatus[] | undefined> {
  const now = ctx.now()
  const made = encodeAccounts(arenas.accounts, accounts, now)
  const clean = encodeClean(arenas.transfers, plan, now)
  let isRepeat = false
  const [row] = await ctx.connections.run((attempt) => {
    isRepeat = attempt > 0
    return isRepeat
      ? // As without accounts: what was perhaps applied is found in order, once the accounts are known to be there.
        { text: CREATE_ACCOUNTS, values: made }
      : { text: APPLY_CLEAN_WITH_ACCOUNTS, values: [...clean, ...made.slice(1)] }
  }, OUTCOME_UNKNOWN)
  return !isRepeat && row?.applied === true ? noteClean(ctx, plan) : undefined
}

function noteClean(ctx: Context, plan: CleanBatch): CreateTransferStatus[] {
  const { events } = plan
  noteApplied(plan, ctx.reservations)
  ctx.onBatch({ path: 'clean', events: events.length })
  return events.map(() => 'created')
}

export async function applyAccounts(
  connections: Connections,
  arena: Arena,
  accounts: readonly NewAccount[],
  now: Date | undefined,
): Promise<CreateAccountStatus[]> {
  const values = encodeAccounts(arena, accounts, now)
  const [row] = await connections.run(() => ({ text: CREATE_ACCOUNTS, values }), OUTCOME_UNKNOWN)
  return parseAccountStatuses(row?.statuses as string)
}

/** Another process created a transfer under one of the ids, on other ledgers, while this batch was decided. */
const isTakenId = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' && error.schema === 'ledger'
const TAKEN_ID_ATTEMPTS = 5

async function applyInOrder(
  ctx: Context,
  arenas: Arenas,
  events: readonly TransferEvent[],
): Promise<CreateTransferStatus[]> {
  const now = ctx.now()
  const refused = await makeNeededAccounts(events, (accounts) =>
    applyAccounts(ctx.connections, arenas.accounts, accounts, now),
  )
  for (let attempt = 1; ; attempt++) {
    try {
      const values = encodeInOrder(arenas.transfers, events, now, refused)
      const [row] = await ctx.connections.run(() => ({ text: APPLY_IN_ORDER, values }), OUTCOME_UNKNOWN)
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
    if ((event.kind === 'pending' || event.kind === 'close') && hold) {
      const shared = holds.get(hold.id) ?? { id: hold.id, size: hold.size }
      holds.set(hold.id, shared)
      ctx.reservations.add(reservedBy(event), shared, hold.bit)
    } else if ('pendingId' in event) ctx.reservations.remove(event.pendingId)
  }
  return results.map((result) => result.status)
}
