import { accountRefusal, transferRefusal } from '../checks.ts'
import {
  type CreateAccountStatus,
  type CreateTransferStatus,
  type LedgerId,
  movementOfClose,
  type NewAccount,
  type TransferEvent,
  ZERO_ID,
} from '../port.ts'
import {
  type Arena,
  bigintArray,
  booleanArray,
  integerArray,
  placeholders,
  resetArena,
  textArray,
  uuidArray,
} from './binary.ts'

const KIND = { posted: 0, pending: 1, post: 2, void: 3, close: 4 } as const

export const APPLY_IN_ORDER = `select ledger.apply_in_order(${placeholders(19)}) as statuses`
/** How many parameters {@link CREATE_ACCOUNTS} has. */
export const ACCOUNT_PARAMETERS = 12
export const CREATE_ACCOUNTS = `select ledger.create_accounts(${placeholders(ACCOUNT_PARAMETERS)}) as statuses`

/** Numbers things in the order of their first mention, from 1. */
function numbering() {
  const places = new Map<LedgerId, number>()
  return {
    places,
    of(id: LedgerId): number {
      const known = places.get(id)
      if (known !== undefined) return known
      places.set(id, places.size + 1)
      return places.size
    },
  }
}

/** For each event, the place (from 1) of the last event of its chain; and which refusal an open chain ends in. */
function chains(events: readonly { linked?: boolean }[]): { ends: number[]; isOpen: boolean } {
  const ends: number[] = new Array(events.length)
  let end = events.length
  for (let index = events.length - 1; index >= 0; index--) {
    if (!events[index]?.linked) end = index + 1
    ends[index] = end
  }
  return { ends, isOpen: events.at(-1)?.linked === true }
}

const nonZero = <T extends bigint | number>(value: T | undefined): T | undefined =>
  value === 0 || value === 0n ? undefined : value
const tagOf = (id: LedgerId | undefined): LedgerId | undefined => (id === ZERO_ID ? undefined : id)
/** u32 as the i32 of the same bits. */
const signed = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : value | 0

/** The parameters of {@link APPLY_IN_ORDER}. `refused`: events whose accounts could not be made. */
export function encodeInOrder(
  arena: Arena,
  events: readonly TransferEvent[],
  now: Date | undefined,
  refused: ReadonlySet<TransferEvent>,
): unknown[] {
  resetArena(arena)
  const accounts = numbering()
  const keys = numbering()
  const { ends, isOpen } = chains(events)
  const key = events.map((event) => keys.of(event.id))
  const pending = events.map((event) => ('pendingId' in event ? keys.of(event.pendingId) : 0))
  const movements = events.map((event) => {
    if (event.kind === 'close') return movementOfClose(event)
    return event.kind === 'posted' || event.kind === 'pending' ? event : undefined
  })
  const debit = movements.map((event) => event && accounts.of(event.debitAccountId))
  const credit = movements.map((event) => event && accounts.of(event.creditAccountId))
  const refusals: (string | undefined)[] = events.map(
    (event) => transferRefusal(event) ?? (refused.has(event) ? 'needed_account_refused' : undefined),
  )
  if (isOpen) refusals[events.length - 1] = 'linked_event_chain_open'
  return [
    now ?? null,
    uuidArray(arena, [...accounts.places.keys()]),
    integerArray(arena, [...new Set(movements.flatMap((event) => event?.ledger ?? []))]),
    uuidArray(arena, [...keys.places.keys()]),
    integerArray(arena, key),
    integerArray(arena, pending),
    integerArray(arena, ends),
    textArray(refusals),
    integerArray(
      arena,
      events.map((event) => KIND[event.kind]),
    ),
    booleanArray(
      arena,
      events.map((event) => event.linked === true),
    ),
    integerArray(arena, debit),
    integerArray(arena, credit),
    integerArray(
      arena,
      movements.map((event) => event?.ledger),
    ),
    integerArray(
      arena,
      movements.map((event) => event?.code),
    ),
    textArray(
      events.map((event, index) => (event.kind === 'post' ? event.amount : movements[index]?.amount)),
    ),
    integerArray(
      arena,
      events.map((event) => (event.kind === 'pending' ? event.timeoutSeconds : undefined)),
    ),
    uuidArray(
      arena,
      events.map((event) => tagOf(event.userData128)),
    ),
    bigintArray(
      arena,
      events.map((event) => nonZero(event.userData64)),
    ),
    integerArray(
      arena,
      events.map((event) => signed(nonZero(event.userData32))),
    ),
  ]
}

/** The parameters of {@link CREATE_ACCOUNTS}. */
export function encodeAccounts(
  arena: Arena,
  accounts: readonly NewAccount[],
  now: Date | undefined,
): unknown[] {
  resetArena(arena)
  const { ends, isOpen } = chains(accounts)
  const refusals: (string | undefined)[] = accounts.map(accountRefusal)
  if (isOpen) refusals[accounts.length - 1] = 'linked_event_chain_open'
  return [
    now ?? null,
    uuidArray(
      arena,
      accounts.map((account) => account.id.toLowerCase()),
    ),
    integerArray(arena, ends),
    textArray(refusals),
    integerArray(
      arena,
      accounts.map((account) => account.ledger),
    ),
    integerArray(
      arena,
      accounts.map((account) => account.code),
    ),
    booleanArray(
      arena,
      accounts.map((account) => account.debitsMustNotExceedCredits === true),
    ),
    booleanArray(
      arena,
      accounts.map((account) => account.creditsMustNotExceedDebits === true),
    ),
    booleanArray(
      arena,
      accounts.map((account) => account.linked === true),
    ),
    uuidArray(
      arena,
      accounts.map((account) => account.userData128?.toLowerCase() ?? ZERO_ID),
    ),
    bigintArray(
      arena,
      accounts.map((account) => account.userData64 ?? 0n),
    ),
    integerArray(
      arena,
      accounts.map((account) => signed(account.userData32 ?? 0)),
    ),
  ]
}

export const parseAccountStatuses = (text: string): CreateAccountStatus[] =>
  text.split(',') as CreateAccountStatus[]

export interface OrderedResult {
  status: CreateTransferStatus
  /** Of pending and closing transfers that were created: `hold id:bit:size`. */
  hold?: { id: LedgerId; bit: number; size: number }
}

export function parseStatuses(text: string): OrderedResult[] {
  return text.split(',').map((item) => {
    const [status, id, bit, size] = item.split(':')
    if (id === undefined) return { status: status as CreateTransferStatus }
    return {
      status: status as CreateTransferStatus,
      hold: { id, bit: Number(bit), size: Number(size) },
    }
  })
}
