/**
 * The ledger port: TigerBeetle's semantics (contracts/ilp/accounting.md §1–§4), whichever store is behind it. Accounts carry
 * running debits and credits, pending and posted; transfers are posted, or pending and then posted or voided; linked events
 * succeed or fail together; the same id with the same fields is success.
 */

/** Account and transfer ids are UUID text; TigerBeetle sees the same 128 bits. */
export type LedgerId = string

/** What an account is for (TigerBeetle `code`). */
export const accountCode = {
  webMonetization: 1,
  assetLiquidity: 2,
  peer: 3,
  incomingPayment: 4,
  outgoingPayment: 5,
  settlement: 101,
} as const

/** What a transfer is (TigerBeetle `code`). Posts and voids inherit the code of their pending transfer. */
export const transferCode = { transfer: 1, deposit: 2, withdrawal: 3 } as const

export interface NewAccount {
  id: LedgerId
  /** The asset's ledger number. Transfers stay within one ledger. */
  ledger: number
  code: number
  /** Credit-normal accounts: liquidity, payments, peers. */
  debitsMustNotExceedCredits?: boolean
  /** Debit-normal accounts: settlement. */
  creditsMustNotExceedDebits?: boolean
  /** This account is created only if the next one is. */
  linked?: boolean
  /** Asset id. */
  userData128?: LedgerId
  /** Tenant surrogate (see {@link tenantSurrogate}). */
  userData64?: bigint
  userData32?: number
}

export interface Account {
  id: LedgerId
  ledger: number
  code: number
  debitsMustNotExceedCredits: boolean
  creditsMustNotExceedDebits: boolean
  userData128: LedgerId
  userData64: bigint
  userData32: number
  debitsPending: bigint
  debitsPosted: bigint
  creditsPending: bigint
  creditsPosted: bigint
  /** See {@link CloseTransfer}. */
  closed: boolean
  createdAt: Date
}

interface TransferBase {
  /** Derived from what the transfer is for, so that a repeat is the same transfer. */
  id: LedgerId
  /** Succeeds only if the next event of the batch does; a chain ends at the first event without it. */
  linked?: boolean
  /** Payment or resource id. */
  userData128?: LedgerId
  /** Tenant surrogate. */
  userData64?: bigint
  /** Reason. */
  userData32?: number
}

interface Movement extends TransferBase {
  debitAccountId: LedgerId
  creditAccountId: LedgerId
  ledger: number
  code: number
  /** Greater than zero, at most 2^64 − 1. */
  amount: bigint
  /**
   * Accounts that are made before it where they are missing, in the same trip: as if {@link Ledger.createAccounts} had been called
   * first. Where one of them is refused, so is this event (`needed_account_refused`), with its chain. They stay when the event fails,
   * are no part of what is stored, and are not linked.
   */
  needs?: readonly NewAccount[]
}

/** Moves money at once. */
export interface PostedTransfer extends Movement {
  kind: 'posted'
}

/** Reserves money until it is posted, voided, or `timeoutSeconds` (whole, at least 1) have passed. */
export interface PendingTransfer extends Movement {
  kind: 'pending'
  timeoutSeconds: number
}

/** Posts a pending transfer: all of it, or `amount` of it, the rest being released. Fields of the movement are inherited. */
export interface PostTransfer extends TransferBase {
  kind: 'post'
  pendingId: LedgerId
  /** At most the pending amount. Absent: all. */
  amount?: bigint
}

/** Releases a pending transfer. */
export interface VoidTransfer extends TransferBase {
  kind: 'void'
  pendingId: LedgerId
}

/**
 * Closes an account: whatever would debit or credit it from now on is refused (`…_already_closed`), reservations that exist can be
 * voided and run out, but not be posted. Voiding this transfer opens the account again; in one chain with a movement it lets that
 * one through and nothing else. Stored as a pending transfer of nothing from the ledger's settlement account, which must exist.
 */
export interface CloseTransfer extends TransferBase {
  kind: 'close'
  accountId: LedgerId
  ledger: number
  code: number
}

export type TransferEvent = PostedTransfer | PendingTransfer | PostTransfer | VoidTransfer | CloseTransfer

/** `created` and `exists` are success: an exact repeat changes nothing. */
export type CreateAccountStatus =
  | 'created'
  | 'exists'
  | 'linked_event_failed'
  | 'linked_event_chain_open'
  | 'exists_with_different_fields'
  | 'flags_are_mutually_exclusive'
  | 'id_must_not_be_zero'
  | 'ledger_must_not_be_zero'
  | 'code_must_not_be_zero'

/**
 * `created` and `exists` are success. Refusals for lack of money: `exceeds_credits` (the debit account has not enough) and
 * `exceeds_debits` (the credit account may not be credited so far). TigerBeetle burns the id of such a refusal
 * (`id_already_failed` on repeats); the Postgres ledger does not. Callers use a new attempt number either way.
 */
export type CreateTransferStatus =
  | 'created'
  | 'exists'
  | 'linked_event_failed'
  | 'linked_event_chain_open'
  | 'exists_with_different_fields'
  | 'id_already_failed'
  | 'id_must_not_be_zero'
  | 'accounts_must_be_different'
  | 'accounts_must_have_the_same_ledger'
  | 'transfer_must_have_the_same_ledger_as_accounts'
  | 'debit_account_not_found'
  | 'credit_account_not_found'
  | 'debit_account_already_closed'
  | 'credit_account_already_closed'
  | 'amount_must_not_be_zero'
  | 'timeout_must_not_be_zero'
  | 'code_must_not_be_zero'
  | 'needed_account_refused'
  | 'pending_transfer_not_found'
  | 'pending_transfer_not_pending'
  | 'pending_transfer_already_posted'
  | 'pending_transfer_already_voided'
  | 'pending_transfer_expired'
  | 'exceeds_pending_transfer_amount'
  | 'exceeds_credits'
  | 'exceeds_debits'
  | 'overflows'

export const isSuccess = (status: CreateTransferStatus | CreateAccountStatus): boolean =>
  status === 'created' || status === 'exists'

/** A transfer as stored. A post or void is a transfer of its own with `pendingId`; a pending one keeps its final `state`. */
export interface Transfer {
  id: LedgerId
  debitAccountId: LedgerId
  creditAccountId: LedgerId
  ledger: number
  code: number
  amount: bigint
  kind: TransferEvent['kind']
  /** Of pending and closing transfers only: what became of it. `expired` as soon as its time has passed. */
  state?: 'pending' | 'posted' | 'voided' | 'expired'
  pendingId?: LedgerId
  timeoutSeconds?: number
  expiresAt?: Date
  userData128: LedgerId
  userData64: bigint
  userData32: number
  createdAt: Date
}

/** What a query looks for: an account, user data, or both at once; one of them must be named. */
export interface TransferFilter {
  accountId?: LedgerId
  userData128?: LedgerId
  /** With `accountId`: which side. Default both. */
  side?: 'debits' | 'credits'
  limit: number
  /** Newest first when true. */
  reversed?: boolean
}

/**
 * One result per event, in order. Faults, all retryable with the same events under the same ids:
 * - `ledger_outcome_unknown`: a lost connection or a missed deadline. Never assume that the events failed;
 * - `ledger_overloaded`: too much waits, or waited too long. Nothing of the call was or will be applied;
 * - `ledger_moved`: the books are in another ledger now, where an operator copied them. Nothing of the call was or will be applied here;
 * - `ledger_unavailable`: a read found nobody to answer.
 *
 * Repeats: a chain that is sent again whole gives `exists` for each of its events. A chain of which only a part exists fails
 * as a whole: the first event that exists says so, the others are `linked_event_failed`. Whether an event is linked is one
 * of its fields, so a link sent again alone is `exists_with_different_fields`.
 */
export interface Ledger {
  createAccounts(accounts: readonly NewAccount[]): Promise<CreateAccountStatus[]>
  /** Concurrent calls are batched together; a call's events stay contiguous and in order. At most {@link EVENTS_PER_CALL_MAX}. */
  createTransfers(events: readonly TransferEvent[]): Promise<CreateTransferStatus[]>
  /** In the order of `ids`; `undefined` where there is none. */
  lookupAccounts(ids: readonly LedgerId[]): Promise<(Account | undefined)[]>
  lookupTransfers(ids: readonly LedgerId[]): Promise<(Transfer | undefined)[]>
  /** In the order of creation. */
  queryTransfers(filter: TransferFilter): Promise<Transfer[]>
  /** Finishes what was accepted, and refuses what comes after with a Fault `ledger_closed`. */
  close(): Promise<void>
}

export const EVENTS_PER_CALL_MAX = 1000
export const ZERO_ID: LedgerId = '00000000-0000-0000-0000-000000000000'

/** The settlement account of an asset has the ledger number as its id (accounting.md §1). */
export const settlementAccountId = (ledger: number): LedgerId =>
  `00000000-0000-0000-0000-${ledger.toString(16).padStart(12, '0')}`

/** First 64 bits of the tenant's UUID: enough to query by, short enough for `user_data_64`. */
export const tenantSurrogate = (tenantId: string): bigint =>
  BigInt(`0x${tenantId.slice(0, 8)}${tenantId.slice(9, 13)}${tenantId.slice(14, 18)}`)

/** A close as the movement that it is stored as. */
export const movementOfClose = (event: CloseTransfer) => ({
  debitAccountId: settlementAccountId(event.ledger),
  creditAccountId: event.accountId,
  ledger: event.ledger,
  code: event.code,
  amount: 0n,
})

/** What a credit-normal account can still pay: posted credits less posted and pending debits. */
export const availableCredit = (account: Account): bigint =>
  account.creditsPosted - account.debitsPosted - account.debitsPending
