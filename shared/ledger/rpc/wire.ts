import {
  amountOf,
  type Fields,
  fieldsOf,
  MalformedRpc,
  textOf,
  wholeOf,
} from '../../connector-client/index.ts'
import {
  type Account,
  type CreateAccountStatus,
  type CreateTransferStatus,
  EVENTS_PER_CALL_MAX,
  type LedgerId,
  type NewAccount,
  type Transfer,
  type TransferEvent,
  type TransferFilter,
} from '../port.ts'

// The ledger's port as JSON: amounts and balances as decimal text, instants as milliseconds, everything else as it is in the port. Both
// ends parse what they get; an event that does not parse is refused whole, before anything of its call is applied.

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const U32_MAX = 2 ** 32 - 1
/** Balances are u128. */
const DIGITS = /^[0-9]{1,39}$/

const idOf = (fields: Fields, name: string): LedgerId => {
  const id = textOf(fields, name)
  if (!UUID.test(id)) throw new MalformedRpc(`${name} must be a UUID`)
  return id
}

const flagOf = (fields: Fields, name: string): boolean => {
  const value = fields[name]
  if (typeof value !== 'boolean') throw new MalformedRpc(`${name} must be true or false`)
  return value
}

const balanceOf = (fields: Fields, name: string): bigint => {
  const value = fields[name]
  if (typeof value !== 'string' || !DIGITS.test(value))
    throw new MalformedRpc(`${name} must be decimal digits`)
  return BigInt(value)
}

const dateOf = (fields: Fields, name: string): Date => new Date(wholeOf(fields, name))

function listOf<T>(value: unknown, what: string, parse: (item: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new MalformedRpc(`${what} must be a list`)
  return value.map(parse)
}

function callOf<T>(value: unknown, what: string, parse: (item: unknown) => T): T[] {
  const list = listOf(value, what, parse)
  if (list.length > EVENTS_PER_CALL_MAX) throw new MalformedRpc(`${what}: at most ${EVENTS_PER_CALL_MAX}`)
  return list
}

/** A field that may be absent, and then is absent in the result. */
const maybe = <N extends string, T>(
  fields: Fields,
  name: N,
  parse: (fields: Fields, name: string) => T,
): { [K in N]?: T } => (fields[name] === undefined ? {} : { [name]: parse(fields, name) }) as { [K in N]?: T }

const ledgerNumberOf = (fields: Fields) => wholeOf(fields, 'ledger', U32_MAX)
const codeOf = (fields: Fields) => wholeOf(fields, 'code', 2 ** 16 - 1)
const userDataOf = (fields: Fields) => ({
  ...maybe(fields, 'userData128', idOf),
  ...maybe(fields, 'userData64', amountOf),
  ...maybe(fields, 'userData32', (from, name) => wholeOf(from, name, U32_MAX)),
})

/** bigint as decimal text and dates as milliseconds, for any object of the port. */
export const toWire = (value: unknown): unknown => {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Date) return value.getTime()
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : toWire(item)))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => (field === undefined ? [] : [[name, toWire(field)]])),
  )
}

export const parseNewAccounts = (value: unknown): NewAccount[] =>
  callOf(value, 'accounts', (item) => {
    const fields = fieldsOf(item, 'an account')
    return {
      id: idOf(fields, 'id'),
      ledger: ledgerNumberOf(fields),
      code: codeOf(fields),
      ...maybe(fields, 'debitsMustNotExceedCredits', flagOf),
      ...maybe(fields, 'creditsMustNotExceedDebits', flagOf),
      ...maybe(fields, 'linked', flagOf),
      ...userDataOf(fields),
    }
  })

export const parseTransferEvents = (value: unknown): TransferEvent[] =>
  callOf(value, 'events', (item) => {
    const fields = fieldsOf(item, 'an event')
    const base = { id: idOf(fields, 'id'), ...maybe(fields, 'linked', flagOf), ...userDataOf(fields) }
    const movement = () => ({
      ...base,
      debitAccountId: idOf(fields, 'debitAccountId'),
      creditAccountId: idOf(fields, 'creditAccountId'),
      ledger: ledgerNumberOf(fields),
      code: codeOf(fields),
      amount: amountOf(fields, 'amount'),
      ...maybe(fields, 'needs', (from, name) => parseNewAccounts(from[name])),
    })
    switch (fields.kind) {
      case 'posted':
        return { kind: 'posted', ...movement() }
      case 'pending':
        return {
          kind: 'pending',
          ...movement(),
          timeoutSeconds: wholeOf(fields, 'timeoutSeconds', 2 ** 31 - 1),
        }
      case 'post':
        return {
          kind: 'post',
          ...base,
          pendingId: idOf(fields, 'pendingId'),
          ...maybe(fields, 'amount', amountOf),
        }
      case 'void':
        return { kind: 'void', ...base, pendingId: idOf(fields, 'pendingId') }
      case 'close':
        return {
          kind: 'close',
          ...base,
          accountId: idOf(fields, 'accountId'),
          ledger: ledgerNumberOf(fields),
          code: codeOf(fields),
        }
      default:
        throw new MalformedRpc('kind must be posted, pending, post, void or close')
    }
  })

export const parseIds = (value: unknown): LedgerId[] =>
  callOf(value, 'ids', (item) => idOf({ id: item }, 'id'))

const SIDES = ['debits', 'credits'] as const

export function parseFilter(value: unknown): TransferFilter {
  const fields = fieldsOf(value, 'the filter')
  const side = SIDES.find((known) => known === fields.side)
  if (fields.side !== undefined && !side) throw new MalformedRpc('side must be debits or credits')
  if (fields.accountId === undefined && fields.userData128 === undefined)
    throw new MalformedRpc('the filter must name an account or user data')
  return {
    ...maybe(fields, 'accountId', idOf),
    ...maybe(fields, 'userData128', idOf),
    ...(side && { side }),
    limit: wholeOf(fields, 'limit'),
    ...maybe(fields, 'reversed', flagOf),
  }
}

/** A status that this version does not know comes from a newer other side, and what it means cannot be guessed. */
const statusesOf =
  <Status extends string>(known: Record<Status, true>) =>
  (value: unknown): Status[] =>
    listOf(value, 'statuses', (item) => {
      if (typeof item !== 'string' || !Object.hasOwn(known, item)) throw new MalformedRpc('unknown status')
      return item as Status
    })

export const parseAccountStatuses = statusesOf<CreateAccountStatus>({
  created: true,
  exists: true,
  linked_event_failed: true,
  linked_event_chain_open: true,
  exists_with_different_fields: true,
  flags_are_mutually_exclusive: true,
  id_must_not_be_zero: true,
  ledger_must_not_be_zero: true,
  code_must_not_be_zero: true,
})

export const parseTransferStatuses = statusesOf<CreateTransferStatus>({
  created: true,
  exists: true,
  linked_event_failed: true,
  linked_event_chain_open: true,
  exists_with_different_fields: true,
  id_already_failed: true,
  id_must_not_be_zero: true,
  accounts_must_be_different: true,
  accounts_must_have_the_same_ledger: true,
  transfer_must_have_the_same_ledger_as_accounts: true,
  debit_account_not_found: true,
  credit_account_not_found: true,
  debit_account_already_closed: true,
  credit_account_already_closed: true,
  amount_must_not_be_zero: true,
  timeout_must_not_be_zero: true,
  code_must_not_be_zero: true,
  needed_account_refused: true,
  pending_transfer_not_found: true,
  pending_transfer_not_pending: true,
  pending_transfer_already_posted: true,
  pending_transfer_already_voided: true,
  pending_transfer_expired: true,
  exceeds_pending_transfer_amount: true,
  exceeds_credits: true,
  exceeds_debits: true,
  overflows: true,
})

const storedUserDataOf = (fields: Fields) => ({
  userData128: idOf(fields, 'userData128'),
  userData64: amountOf(fields, 'userData64'),
  userData32: wholeOf(fields, 'userData32', U32_MAX),
})

function parseAccount(value: unknown): Account {
  const fields = fieldsOf(value, 'an account')
  return {
    id: idOf(fields, 'id'),
    ledger: ledgerNumberOf(fields),
    code: codeOf(fields),
    debitsMustNotExceedCredits: flagOf(fields, 'debitsMustNotExceedCredits'),
    creditsMustNotExceedDebits: flagOf(fields, 'creditsMustNotExceedDebits'),
    ...storedUserDataOf(fields),
    debitsPending: balanceOf(fields, 'debitsPending'),
    debitsPosted: balanceOf(fields, 'debitsPosted'),
    creditsPending: balanceOf(fields, 'creditsPending'),
    creditsPosted: balanceOf(fields, 'creditsPosted'),
    closed: flagOf(fields, 'closed'),
    createdAt: dateOf(fields, 'createdAt'),
  }
}

const KINDS = ['posted', 'pending', 'post', 'void', 'close'] as const
const STATES = ['pending', 'posted', 'voided', 'expired'] as const

function parseTransfer(value: unknown): Transfer {
  const fields = fieldsOf(value, 'a transfer')
  const kind = KINDS.find((known) => known === fields.kind)
  if (!kind) throw new MalformedRpc('unknown kind of transfer')
  const state = STATES.find((known) => known === fields.state)
  if (fields.state !== undefined && !state) throw new MalformedRpc('unknown state of a transfer')
  return {
    id: idOf(fields, 'id'),
    debitAccountId: idOf(fields, 'debitAccountId'),
    creditAccountId: idOf(fields, 'creditAccountId'),
    ledger: ledgerNumberOf(fields),
    code: codeOf(fields),
    amount: amountOf(fields, 'amount'),
    kind,
    ...(state && { state }),
    ...maybe(fields, 'pendingId', idOf),
    ...maybe(fields, 'timeoutSeconds', wholeOf),
    ...maybe(fields, 'expiresAt', dateOf),
    ...storedUserDataOf(fields),
    createdAt: dateOf(fields, 'createdAt'),
  }
}

const orAbsent =
  <T>(parse: (value: unknown) => T) =>
  (value: unknown): T | undefined =>
    value === null ? undefined : parse(value)

export const parseFoundAccounts = (value: unknown): (Account | undefined)[] =>
  listOf(value, 'accounts', orAbsent(parseAccount))
export const parseFoundTransfers = (value: unknown): (Transfer | undefined)[] =>
  listOf(value, 'transfers', orAbsent(parseTransfer))
export const parseTransfers = (value: unknown): Transfer[] => listOf(value, 'transfers', parseTransfer)
