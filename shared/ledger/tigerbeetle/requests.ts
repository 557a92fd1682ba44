import { randomUUID } from 'node:crypto'
import { assert } from '../../platform/index.ts'
import { transferRefusal } from '../checks.ts'
import { expiryIds } from '../contents.ts'
import { makeNeededAccounts } from '../needed-accounts.ts'
import {
  type CreateAccountStatus,
  type CreateTransferStatus,
  type LedgerId,
  type NewAccount,
  type Transfer,
  type TransferEvent,
  type TransferFilter,
  ZERO_ID,
} from '../port.ts'
import { encodeAccount, encodeProbe, encodeTransfer } from './encode.ts'
import { toU128, toUuid } from './ids.ts'
import { inMessages, type MessageLimit, withinLimit } from './messages.ts'
import { filterFlag, type NativeAccount, type NativeTransfer, queryFlag, transferFlag } from './native.ts'
import { findRepeats, isImported, isLinked, isSameAccount, isSameTransfer } from './repeats.ts'
import type { Session } from './session.ts'
import type { Statuses } from './statuses.ts'

export interface RequestContext {
  session: Session
  statuses: Statuses
  limits: { events: MessageLimit; lookups: MessageLimit; queries: MessageLimit }
}

/** The Fault's code when a write's outcome, or a read, could not be had in time. */
export const OUTCOME_UNKNOWN = 'ledger_outcome_unknown'
export const UNAVAILABLE = 'ledger_unavailable'

const never = () => false

export async function applyAccounts(
  ctx: RequestContext,
  accounts: readonly NewAccount[],
): Promise<CreateAccountStatus[]> {
  const events = accounts.map(encodeAccount)
  const statuses = (await sendAccounts(ctx, events)).map(ctx.statuses.account)
  // A single account is looked at too: one that was closed since has other flags than those it was created with.
  const repeats = findRepeats(events, 1, (first) => {
    const status = statuses[first]
    return status === 'exists_with_different_fields' || (status === 'exists' && isLinked(events[first]))
  })
  if (repeats.length === 0) return statuses
  const repeated = repeats.flatMap(({ first, end }) => events.slice(first, end))
  const stored = await readAccounts(
    ctx,
    repeated.map(({ id }) => id),
    OUTCOME_UNKNOWN,
  )
  for (const { first, end } of repeats)
    if (events.slice(first, end).every((event) => isSameAccount(event, stored.get(event.id))))
      statuses.fill('exists', first, end)
  return statuses
}

/** What the ledger knows better than the port's own refusal of an event. */
const abovePort: ReadonlySet<string> = new Set<CreateTransferStatus>([
  'exists_with_different_fields',
  'linked_event_failed',
  'linked_event_chain_open',
  'id_already_failed',
])

export async function applyTransfers(
  ctx: RequestContext,
  events: readonly TransferEvent[],
): Promise<CreateTransferStatus[]> {
  const refused = await makeNeededAccounts(events, (accounts) => applyAccounts(ctx, accounts))
  const refusalOf = (event: TransferEvent) =>
    transferRefusal(event) ?? (refused.has(event) ? 'needed_account_refused' : undefined)
  const encoded = events.map((event) => encodeTransfer(event))
  const sent =
    refused.size === 0
      ? encoded
      : events.map((event) => encodeTransfer(event, refusalOf(event) !== undefined))
  const results = await sendTransfers(ctx, sent, OUTCOME_UNKNOWN)
  const statuses = results.map((code, index): CreateTransferStatus => {
    const status = ctx.statuses.transfer(code)
    const refusal = refusalOf(events[index] as TransferEvent)
    if (refusal && !abovePort.has(status)) return refusal
    assert(status !== 'refused_by_port', 'what is spoilt is refused', { code })
    return status
  })
  await nameExpiries(ctx, encoded, statuses)
  const repeats = findRepeats(encoded, 1, (first) => {
    const status = statuses[first]
    // A copy has another flag than what it is a copy of.
    return status === 'exists_with_different_fields' || (status === 'exists' && isLinked(encoded[first]))
  })
  if (repeats.length === 0) return statuses
  const repeated = repeats.flatMap(({ first, end }) => encoded.slice(first, end))
  const ids = repeated.flatMap(({ id, pending_id }) => (pending_id === 0n ? [id] : [id, pending_id]))
  const stored = await readTransfers(ctx, ids, OUTCOME_UNKNOWN)
  for (const { first, end } of repeats)
    if (encoded.slice(first, end).every((event) => isSameTransfer(event, stored)))
      statuses.fill('exists', first, end)
  return statuses
}

/** What a copy ended in the place of time (see `expiryId`) is answered as what it was. */
async function nameExpiries(
  ctx: RequestContext,
  events: readonly NativeTransfer[],
  statuses: CreateTransferStatus[],
): Promise<void> {
  const voided = events.filter((_event, index) => statuses[index] === 'pending_transfer_already_voided')
  if (voided.length === 0) return
  const expired = await readExpired(
    ctx,
    voided.map((event) => event.pending_id),
    OUTCOME_UNKNOWN,
  )
  for (const [index, event] of events.entries())
    if (statuses[index] === 'pending_transfer_already_voided' && expired.has(event.pending_id))
      statuses[index] = 'pending_transfer_expired'
}

/** Those of the voided transfers that had expired in the ledger they were copied from. */
async function readExpired(
  ctx: RequestContext,
  pendingIds: readonly bigint[],
  onTimeout: string,
): Promise<Set<bigint>> {
  const ends = pendingIds.map((id) => expiryIds(toUuid(id)).map(toU128))
  const found = await readTransfers(ctx, [...new Set(ends.flat())], onTimeout)
  return new Set(
    pendingIds.filter((id, index) => ends[index]?.some((end) => found.get(end)?.pending_id === id)),
  )
}

/** TigerBeetle's own numbers, one per event. */
export async function sendAccounts(
  { session, limits }: RequestContext,
  events: readonly NativeAccount[],
): Promise<number[]> {
  const results = await inMessages(events, limits.events, isLinked, (part) =>
    session.run((client) => client.createAccounts(part), OUTCOME_UNKNOWN),
  )
  return results.map(({ status }) => status)
}

/** The same for transfers. */
export async function sendTransfers(
  { session, limits }: RequestContext,
  events: readonly NativeTransfer[],
  onTimeout: string,
): Promise<number[]> {
  const results = await inMessages(events, limits.events, isLinked, (part) =>
    session.run((client) => client.createTransfers(part), onTimeout),
  )
  return results.map(({ status }) => status)
}

export async function readAccounts(
  { session, limits }: RequestContext,
  ids: readonly bigint[],
  onTimeout: string,
): Promise<Map<bigint, NativeAccount>> {
  const found = await inMessages(ids, limits.lookups, never, (part) =>
    session.run((client) => client.lookupAccounts(part), onTimeout),
  )
  return new Map(found.map((account) => [account.id, account]))
}

export async function readTransfers(
  { session, limits }: RequestContext,
  ids: readonly bigint[],
  onTimeout: string,
): Promise<Map<bigint, NativeTransfer>> {
  const found = await inMessages(ids, limits.lookups, never, (part) =>
    session.run((client) => client.lookupTransfers(part), onTimeout),
  )
  return new Map(found.map((transfer) => [transfer.id, transfer]))
}

const stateAfter: Partial<Record<CreateTransferStatus, Transfer['state']>> = {
  // The void would have passed, and was undone with its chain.
  linked_event_failed: 'pending',
  pending_transfer_already_posted: 'posted',
  pending_transfer_already_voided: 'voided',
  pending_transfer_expired: 'expired',
}

/**
 * What became of pending transfers. TigerBeetle keeps that to itself: no look-up tells it, and none finds the post or void of a
 * transfer. It answers a void of it, though; so each is voided in a chain that is bound to fail, and stays as it was.
 */
export async function readStates(
  ctx: RequestContext,
  transfers: Iterable<NativeTransfer>,
): Promise<Map<bigint, Transfer['state']>> {
  const pending = [...transfers].filter(({ flags }) => (flags & transferFlag.pending) !== 0)
  const probes = pending.flatMap(({ id }) => encodeProbe(toU128(randomUUID()), id))
  const codes = await sendTransfers(ctx, probes, UNAVAILABLE)
  const states = new Map(
    pending.map(({ id }, index) => {
      const status = ctx.statuses.transfer(codes[2 * index] as number)
      const state = stateAfter[status as CreateTransferStatus]
      assert(state !== undefined, 'a pending transfer is in one of its states', { id, status })
      return [id, state]
    }),
  )
  const copied = pending.filter((transfer) => isImported(transfer) && states.get(transfer.id) === 'voided')
  if (copied.length === 0) return states
  const expired = await readExpired(
    ctx,
    copied.map(({ id }) => id),
    UNAVAILABLE,
  )
  for (const id of expired) states.set(id, 'expired')
  return states
}

/** In the order of creation, as many as the filter asks for. */
export async function searchTransfers(
  ctx: RequestContext,
  filter: TransferFilter,
): Promise<NativeTransfer[]> {
  // To TigerBeetle a zero is no condition; to the port nothing has it.
  if (filter.accountId === ZERO_ID || filter.userData128 === ZERO_ID) return []
  const found: NativeTransfer[] = []
  while (found.length < filter.limit) {
    const limit = Math.min(filter.limit - found.length, ctx.limits.queries.max)
    const page = await withinLimit(ctx.limits.queries, limit, () =>
      ctx.session.run((client) => readPage(client, filter, limit, found.at(-1)), UNAVAILABLE),
    )
    if (!page) continue
    found.push(...page)
    if (page.length < limit) break
  }
  return found
}

function readPage(
  client: Parameters<Parameters<Session['run']>[0]>[0],
  filter: TransferFilter,
  limit: number,
  last: NativeTransfer | undefined,
): Promise<NativeTransfer[]> {
  const idOf = (id: LedgerId | undefined): bigint => (id === undefined ? 0n : toU128(id))
  const isReversed = filter.reversed === true
  const common = {
    user_data_128: idOf(filter.userData128),
    user_data_64: 0n,
    user_data_32: 0,
    code: 0,
    timestamp_min: last && !isReversed ? last.timestamp + 1n : 0n,
    timestamp_max: last && isReversed ? last.timestamp - 1n : 0n,
    limit,
  }
  if (filter.accountId === undefined)
    return client.queryTransfers({ ...common, ledger: 0, flags: isReversed ? queryFlag.reversed : 0 })
  const sides = {
    debits: filterFlag.debits,
    credits: filterFlag.credits,
    both: filterFlag.debits | filterFlag.credits,
  }
  const flags = sides[filter.side ?? 'both'] | (isReversed ? filterFlag.reversed : 0)
  return client.getAccountTransfers({ ...common, account_id: idOf(filter.accountId), flags })
}
