import pg from 'pg'
import { canonicalEvents } from '../checks.ts'
import type { CreateTransferStatus, TransferEvent } from '../port.ts'
import { type Arena, CapitalLetters, createArena } from './binary.ts'
import { type CleanBatch, noteApplied, planClean } from './clean-batch.ts'
import { APPLY_CLEAN, encodeClean } from './clean-parameters.ts'
import { type Connections, OUTCOME_UNKNOWN } from './connections.ts'
import { APPLY_IN_ORDER, encodeInOrder, parseStatuses } from './ordered-batch.ts'
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

/** After attempts that failed one after the other, so many batches at most go straight to the ordered path. */
const SKIPPED_MAX = 15

/** Applies batches of transfers: on the fast path when every event should succeed, otherwise one after the other. */
export function transferApplier(ctx: Context, path: Path) {
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
  const apply = async (
    events: readonly TransferEvent[],
    isApart: boolean,
  ): Promise<CreateTransferStatus[]> => {
    try {
      const plan = !isApart && shouldTry() ? planClean(events, ctx.reservations) : undefined
      if (!plan) return await inOrder(events)
      const statuses = await applyClean(ctx, arena, plan)
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
  arena: Arena,
  plan: CleanBatch,
): Promise<CreateTransferStatus[] | undefined> {
  const { events } = plan
  const now = ctx.now()
  const clean = { text: APPLY_CLEAN, values: encodeClean(arena, plan, now) }
  // Repeats go in order: the first attempt may have been applied, and what it reserved is no longer known here.
  const [row] = await ctx.connections.run(
    (attempt) =>
      attempt === 0 ? clean : { text: APPLY_IN_ORDER, values: encodeInOrder(arena, events, now) },
    OUTCOME_UNKNOWN,
  )
  if (row && 'statuses' in row) return noteOrdered(ctx, events, row.statuses as string)
  if (row?.applied !== true) return undefined
  noteApplied(plan, ctx.reservations)
  ctx.onBatch({ path: 'clean', events: events.length })
  return events.map(() => 'created')
}

/** Another process created a transfer under one of the ids, on other ledgers, while this batch was decided. */
const isTakenId = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' && error.schema === 'ledger'
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
