import { assert } from '../../platform/index.ts'
import { transferRefusal } from '../checks.ts'
import type { StoredAccount, StoredTransfer } from '../contents.ts'
import {
  type Account,
  accountCode,
  type LedgerId,
  movementOfClose,
  type NewAccount,
  type Transfer,
  type TransferEvent,
} from '../port.ts'
import { toU128, toUuid } from './ids.ts'
import { AMOUNT_ALL, accountFlag, type NativeAccount, type NativeTransfer, transferFlag } from './native.ts'

const flag = (isSet: boolean | undefined, bit: number): number => (isSet ? bit : 0)
const optionalId = (id: LedgerId | undefined): bigint => (id === undefined ? 0n : toU128(id))

/** The accounts whose past balances are worth keeping (accounting.md §1). */
const withHistory: ReadonlySet<number> = new Set([accountCode.assetLiquidity, accountCode.settlement])

export const encodeAccount = (account: NewAccount): NativeAccount => ({
  id: toU128(account.id),
  debits_pending: 0n,
  debits_posted: 0n,
  credits_pending: 0n,
  credits_posted: 0n,
  user_data_128: optionalId(account.userData128),
  user_data_64: account.userData64 ?? 0n,
  user_data_32: account.userData32 ?? 0,
  reserved: 0,
  ledger: account.ledger,
  code: account.code,
  flags:
    flag(account.linked, accountFlag.linked) |
    flag(account.debitsMustNotExceedCredits, accountFlag.debitsMustNotExceedCredits) |
    flag(account.creditsMustNotExceedDebits, accountFlag.creditsMustNotExceedDebits) |
    flag(withHistory.has(account.code), accountFlag.history),
  timestamp: 0n,
})

/**
 * An event that the port refuses and TigerBeetle would take (an amount of 0, a pending transfer without an end, an account that it needs
 * and cannot have) is spoilt: it must fail in its place, with its chain, and still be compared with a transfer that exists under its id.
 */
export function encodeTransfer(
  event: TransferEvent,
  isSpoilt = transferRefusal(event) !== undefined,
): NativeTransfer {
  const common = {
    id: toU128(event.id),
    user_data_128: optionalId(event.userData128),
    user_data_64: event.userData64 ?? 0n,
    user_data_32: event.userData32 ?? 0,
    timestamp: 0n,
  }
  const linked = flag(event.linked, transferFlag.linked)
  switch (event.kind) {
    case 'posted':
    case 'pending':
      return {
        ...common,
        debit_account_id: toU128(event.debitAccountId),
        credit_account_id: toU128(event.creditAccountId),
        amount: event.amount,
        pending_id: isSpoilt ? 1n : 0n,
        timeout: event.kind === 'pending' ? event.timeoutSeconds : 0,
        ledger: event.ledger,
        code: event.code,
        flags: linked | flag(event.kind === 'pending', transferFlag.pending),
      }
    case 'close': {
      const movement = movementOfClose(event)
      return {
        ...common,
        debit_account_id: toU128(movement.debitAccountId),
        credit_account_id: toU128(movement.creditAccountId),
        amount: 0n,
        pending_id: isSpoilt ? 1n : 0n,
        timeout: 0,
        ledger: event.ledger,
        code: event.code,
        flags: linked | transferFlag.pending | transferFlag.closingCredit,
      }
    }
    case 'post':
    case 'void':
      return {
        ...common,
        ...inherited,
        amount: event.kind === 'post' ? (event.amount ?? AMOUNT_ALL) : 0n,
        pending_id: toU128(event.pendingId),
        flags:
          linked |
          flag(event.kind === 'post', transferFlag.post) |
          flag(event.kind === 'void' || isSpoilt, transferFlag.void),
      }
  }
}

/** As it was created elsewhere. That it was closed is done by the transfer that closed it. */
export const encodeCopiedAccount = (account: StoredAccount): NativeAccount => {
  const encoded = encodeAccount(account)
  return { ...encoded, flags: encoded.flags | accountFlag.imported, timestamp: account.timestamp }
}

/** As it was created elsewhere; but TigerBeetle takes no timeout for it. */
export const encodeCopiedTransfer = (transfer: StoredTransfer): NativeTransfer => {
  const flags =
    flag(transfer.linked, transferFlag.linked) | copiedFlags[transfer.kind] | transferFlag.imported
  const isResolution = transfer.kind === 'post' || transfer.kind === 'void'
  const movement = {
    debit_account_id: toU128(transfer.debitAccountId),
    credit_account_id: toU128(transfer.creditAccountId),
    timeout: 0,
    ledger: transfer.ledger,
    code: transfer.code,
  }
  return {
    id: toU128(transfer.id),
    ...(isResolution ? inherited : movement),
    amount: transfer.kind === 'void' ? 0n : transfer.amount,
    pending_id: optionalId(transfer.pendingId),
    user_data_128: toU128(transfer.userData128),
    user_data_64: transfer.userData64,
    user_data_32: transfer.userData32,
    timestamp: transfer.timestamp,
    flags,
  }
}

const copiedFlags = {
  posted: 0,
  pending: transferFlag.pending,
  post: transferFlag.post,
  void: transferFlag.void,
  close: transferFlag.pending | transferFlag.closingCredit,
} as const satisfies Record<Transfer['kind'], number>

/** What posts and voids take from their pending transfer. */
const inherited = { debit_account_id: 0n, credit_account_id: 0n, timeout: 0, ledger: 0, code: 0 } as const

/** Of a pending transfer, and left behind by nobody: it fails, and says in which state the transfer is. */
export const encodeProbe = (id: bigint, pendingId: bigint): NativeTransfer[] => {
  const rest = {
    ...inherited,
    amount: 0n,
    user_data_128: 0n,
    user_data_64: 0n,
    user_data_32: 0,
    timestamp: 0n,
  }
  return [
    { ...rest, id, pending_id: pendingId, flags: transferFlag.void | transferFlag.linked },
    { ...rest, id: 0n, pending_id: 0n, flags: 0 },
  ]
}

const has = (flags: number, bit: number): boolean => (flags & bit) !== 0
const NANOSECONDS_PER_MILLISECOND = 1_000_000n
const toDate = (timestamp: bigint): Date => new Date(Number(timestamp / NANOSECONDS_PER_MILLISECOND))

export const decodeAccount = (account: NativeAccount): Account => ({
  id: toUuid(account.id),
  ledger: account.ledger,
  code: account.code,
  debitsMustNotExceedCredits: has(account.flags, accountFlag.debitsMustNotExceedCredits),
  creditsMustNotExceedDebits: has(account.flags, accountFlag.creditsMustNotExceedDebits),
  userData128: toUuid(account.user_data_128),
  userData64: account.user_data_64,
  userData32: account.user_data_32,
  debitsPending: account.debits_pending,
  debitsPosted: account.debits_posted,
  creditsPending: account.credits_pending,
  creditsPosted: account.credits_posted,
  closed: has(account.flags, accountFlag.closed),
  createdAt: toDate(account.timestamp),
})

function kindOf(flags: number): Transfer['kind'] {
  if (has(flags, transferFlag.closingCredit)) return 'close'
  if (has(flags, transferFlag.pending)) return 'pending'
  if (has(flags, transferFlag.post)) return 'post'
  return has(flags, transferFlag.void) ? 'void' : 'posted'
}

/** `state` is what became of a pending transfer. */
export function decodeTransfer(transfer: NativeTransfer, state: Transfer['state']): Transfer {
  const kind = kindOf(transfer.flags)
  const hasState = has(transfer.flags, transferFlag.pending)
  assert(hasState === (state !== undefined), 'pending transfers have a state', transfer.id)
  const createdAt = toDate(transfer.timestamp)
  return {
    id: toUuid(transfer.id),
    debitAccountId: toUuid(transfer.debit_account_id),
    creditAccountId: toUuid(transfer.credit_account_id),
    ledger: transfer.ledger,
    code: transfer.code,
    amount: transfer.amount,
    kind,
    ...(state !== undefined && { state }),
    // Copies have none (copy.ts): theirs ended before they were made.
    ...(kind === 'pending' &&
      !has(transfer.flags, transferFlag.imported) && {
        timeoutSeconds: transfer.timeout,
        expiresAt: new Date(createdAt.getTime() + transfer.timeout * 1000),
      }),
    ...(transfer.pending_id !== 0n && { pendingId: toUuid(transfer.pending_id) }),
    userData128: toUuid(transfer.user_data_128),
    userData64: transfer.user_data_64,
    userData32: transfer.user_data_32,
    createdAt,
  }
}
