import { AMOUNT_ALL, accountFlag, type NativeAccount, type NativeTransfer, transferFlag } from './native.ts'

/**
 * A chain that is sent again: TigerBeetle stops at its first event, which exists, and fails the others. Whether that is the same
 * chain as before is seen by reading it. `flags` holds "linked" for both kinds of event.
 */
export interface Repeat {
  first: number
  /** One past its last event. */
  end: number
}

const LINKED = 1

/** The closed chains of more than `lengthMin` events whose first event `mayBeRepeated`. */
export function findRepeats(
  events: readonly { flags: number }[],
  lengthMin: number,
  mayBeRepeated: (index: number) => boolean,
): Repeat[] {
  const repeats: Repeat[] = []
  for (let first = 0; first < events.length; ) {
    let end = first + 1
    while (end < events.length && isLinked(events[end - 1])) end++
    const isOpen = isLinked(events[end - 1])
    if (!isOpen && end - first >= lengthMin && mayBeRepeated(first)) repeats.push({ first, end })
    first = end
  }
  return repeats
}

export const isImported = (transfer: NativeTransfer): boolean =>
  (transfer.flags & transferFlag.imported) !== 0

export const isLinked = (event: { flags: number } | undefined): boolean =>
  event !== undefined && (event.flags & LINKED) !== 0

/** Whether an account was created from these fields. That it was closed since, or came from another ledger, is not one of them. */
export const isSameAccount = (asked: NativeAccount, stored: NativeAccount | undefined): boolean =>
  stored !== undefined &&
  without(asked.flags, accountFlag.imported) ===
    without(stored.flags, accountFlag.closed | accountFlag.imported) &&
  asked.user_data_128 === stored.user_data_128 &&
  asked.user_data_64 === stored.user_data_64 &&
  asked.user_data_32 === stored.user_data_32 &&
  asked.ledger === stored.ledger &&
  asked.code === stored.code

const without = (flags: number, bits: number): number => flags & ~bits

const RESOLUTION = transferFlag.post | transferFlag.void

/**
 * Whether a transfer was created from these fields, by TigerBeetle's own rule (docs/reference/requests/create_transfers.md, `exists`);
 * but one that came from another ledger is the one that was created there. Of such a pending transfer the timeout is not known.
 */
export function isSameTransfer(
  asked: NativeTransfer,
  storedBy: ReadonlyMap<bigint, NativeTransfer>,
): boolean {
  const stored = storedBy.get(asked.id)
  if (!stored || asked.pending_id !== stored.pending_id) return false
  if (without(asked.flags, transferFlag.imported) !== without(stored.flags, transferFlag.imported))
    return false
  if ((asked.flags & RESOLUTION) !== 0) return isSameResolution(asked, stored, storedBy.get(asked.pending_id))
  return (
    (isImported(stored) || asked.timeout === stored.timeout) &&
    asked.debit_account_id === stored.debit_account_id &&
    asked.credit_account_id === stored.credit_account_id &&
    asked.amount === stored.amount &&
    asked.user_data_128 === stored.user_data_128 &&
    asked.user_data_64 === stored.user_data_64 &&
    asked.user_data_32 === stored.user_data_32 &&
    asked.ledger === stored.ledger &&
    asked.code === stored.code
  )
}

/** What a post or void left out was taken from its pending transfer. */
function isSameResolution(
  asked: NativeTransfer,
  stored: NativeTransfer,
  pending: NativeTransfer | undefined,
): boolean {
  if (!pending) return false
  const isAll =
    (asked.flags & transferFlag.void) !== 0 || asked.amount === AMOUNT_ALL || asked.amount === pending.amount
  return (
    stored.amount === (isAll ? pending.amount : asked.amount) &&
    stored.user_data_128 === (asked.user_data_128 || pending.user_data_128) &&
    stored.user_data_64 === (asked.user_data_64 || pending.user_data_64) &&
    stored.user_data_32 === (asked.user_data_32 || pending.user_data_32)
  )
}
