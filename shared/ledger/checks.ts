import { assert } from '../platform/index.ts'
import {
  type CreateAccountStatus,
  type CreateTransferStatus,
  EVENTS_PER_CALL_MAX,
  type LedgerId,
  movementOfClose,
  type NewAccount,
  type TransferEvent,
  ZERO_ID,
} from './port.ts'

const AMOUNT_MAX = 2n ** 64n - 1n
const INTEGER_MAX = 2 ** 31 - 1
const CODE_MAX = 2 ** 16 - 1

/** Callers build events; one that is not even well-formed is a bug, and must not reach the batch of others. */
export function assertTransferEvents(events: readonly TransferEvent[]): void {
  assert(events.length <= EVENTS_PER_CALL_MAX, 'too many events in one call', events.length)
  for (const event of events) {
    assertTags(event)
    if (event.kind === 'post' && event.amount !== undefined) assertAmount(event.amount)
    if (event.kind === 'post' || event.kind === 'void') continue
    if (event.kind !== 'close') assertAmount(event.amount)
    assertLedger(event.ledger)
    assertCode(event.code)
    if (event.kind !== 'close' && event.needs) assertNeeds(event.needs)
    if (event.kind === 'pending')
      assert(isWithin(event.timeoutSeconds, INTEGER_MAX), 'a timeout is whole seconds', event.timeoutSeconds)
  }
}

/** The same events with their ids in lower case: two ways to write a UUID must not look like two accounts. */
export function canonicalEvents(events: readonly TransferEvent[]): readonly TransferEvent[] {
  return events.every(isCanonical) ? events : events.map(canonical)
}

const isLower = (id: LedgerId | undefined): boolean => id === undefined || id === id.toLowerCase()

const isCanonical = (event: TransferEvent): boolean =>
  isLower(event.id) &&
  isLower(event.userData128) &&
  (event.kind === 'post' || event.kind === 'void'
    ? isLower(event.pendingId)
    : event.kind === 'close'
      ? isLower(event.accountId)
      : isLower(event.debitAccountId) && isLower(event.creditAccountId))

function canonical(event: TransferEvent): TransferEvent {
  const tag = event.userData128 === undefined ? {} : { userData128: event.userData128.toLowerCase() }
  const common = { id: event.id.toLowerCase(), ...tag }
  if (event.kind === 'post' || event.kind === 'void')
    return { ...event, ...common, pendingId: event.pendingId.toLowerCase() }
  if (event.kind === 'close') return { ...event, ...common, accountId: event.accountId.toLowerCase() }
  return {
    ...event,
    ...common,
    debitAccountId: event.debitAccountId.toLowerCase(),
    creditAccountId: event.creditAccountId.toLowerCase(),
  }
}

export function assertNewAccounts(accounts: readonly NewAccount[]): void {
  assert(accounts.length <= EVENTS_PER_CALL_MAX, 'too many accounts in one call', accounts.length)
  for (const account of accounts) {
    assertTags(account)
    assert(isWithin(account.ledger, INTEGER_MAX), 'a ledger number is an integer', account.ledger)
    assertCode(account.code)
  }
}

function assertNeeds(accounts: readonly NewAccount[]): void {
  assertNewAccounts(accounts)
  assert(
    accounts.every(({ linked }) => linked !== true),
    'accounts that an event needs are made each for itself',
  )
}

const isWithin = (value: number, max: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= max

function assertAmount(amount: bigint): void {
  assert(typeof amount === 'bigint' && amount >= 0n && amount <= AMOUNT_MAX, 'an amount is a u64', amount)
}

function assertLedger(ledger: number): void {
  assert(isWithin(ledger, INTEGER_MAX) && ledger > 0, 'a ledger number is a positive integer', ledger)
}

function assertCode(code: number): void {
  assert(isWithin(code, CODE_MAX), 'a code is a u16', code)
}

function assertTags(event: { userData64?: bigint; userData32?: number }): void {
  const { userData64, userData32 } = event
  if (userData64 !== undefined)
    assert(userData64 >= 0n && userData64 <= AMOUNT_MAX, 'userData64 is a u64', userData64)
  if (userData32 !== undefined) assert(isWithin(userData32, 2 ** 32 - 1), 'userData32 is a u32', userData32)
}

/** What is wrong with an event by itself, whatever the ledger holds. A transfer that exists under the id comes first. */
export function transferRefusal(event: TransferEvent): CreateTransferStatus | undefined {
  if (event.id === ZERO_ID) return 'id_must_not_be_zero'
  if (event.kind === 'void') return undefined
  if (event.kind === 'post') return event.amount === 0n ? 'amount_must_not_be_zero' : undefined
  const { debitAccountId, creditAccountId } = event.kind === 'close' ? movementOfClose(event) : event
  if (debitAccountId === creditAccountId) return 'accounts_must_be_different'
  if (event.kind === 'pending' && event.timeoutSeconds === 0) return 'timeout_must_not_be_zero'
  if (event.kind !== 'close' && event.amount === 0n) return 'amount_must_not_be_zero'
  if (event.code === 0) return 'code_must_not_be_zero'
  return undefined
}

export function accountRefusal(account: NewAccount): CreateAccountStatus | undefined {
  if (account.id === ZERO_ID) return 'id_must_not_be_zero'
  if (account.debitsMustNotExceedCredits && account.creditsMustNotExceedDebits)
    return 'flags_are_mutually_exclusive'
  if (account.ledger === 0) return 'ledger_must_not_be_zero'
  if (account.code === 0) return 'code_must_not_be_zero'
  return undefined
}
