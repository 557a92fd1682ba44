import { Fault } from '../../platform/index.ts'
import type { CreateAccountStatus, CreateTransferStatus } from '../port.ts'
import type { Native, NativeAccountStatus, NativeTransferStatus } from './native.ts'

/** What this room never sends, so an answer with it says that something is wrong here. */
type Unasked = 'unasked'

const accountStatus = {
  created: 'created',
  exists: 'exists',
  linked_event_failed: 'linked_event_failed',
  linked_event_chain_open: 'linked_event_chain_open',
  exists_with_different_flags: 'exists_with_different_fields',
  exists_with_different_user_data_128: 'exists_with_different_fields',
  exists_with_different_user_data_64: 'exists_with_different_fields',
  exists_with_different_user_data_32: 'exists_with_different_fields',
  exists_with_different_ledger: 'exists_with_different_fields',
  exists_with_different_code: 'exists_with_different_fields',
  flags_are_mutually_exclusive: 'flags_are_mutually_exclusive',
  id_must_not_be_zero: 'id_must_not_be_zero',
  ledger_must_not_be_zero: 'ledger_must_not_be_zero',
  code_must_not_be_zero: 'code_must_not_be_zero',
  id_must_not_be_int_max: 'unasked',
  debits_pending_must_be_zero: 'unasked',
  debits_posted_must_be_zero: 'unasked',
  credits_pending_must_be_zero: 'unasked',
  credits_posted_must_be_zero: 'unasked',
  reserved_field: 'unasked',
  reserved_flag: 'unasked',
  timestamp_must_be_zero: 'unasked',
  imported_event_expected: 'unasked',
  imported_event_not_expected: 'unasked',
  imported_event_timestamp_out_of_range: 'unasked',
  imported_event_timestamp_must_not_advance: 'unasked',
  imported_event_timestamp_must_not_regress: 'unasked',
} as const satisfies Record<NativeAccountStatus, CreateAccountStatus | Unasked>

const transferStatus = {
  created: 'created',
  exists: 'exists',
  linked_event_failed: 'linked_event_failed',
  linked_event_chain_open: 'linked_event_chain_open',
  exists_with_different_flags: 'exists_with_different_fields',
  exists_with_different_pending_id: 'exists_with_different_fields',
  exists_with_different_timeout: 'exists_with_different_fields',
  exists_with_different_debit_account_id: 'exists_with_different_fields',
  exists_with_different_credit_account_id: 'exists_with_different_fields',
  exists_with_different_amount: 'exists_with_different_fields',
  exists_with_different_user_data_128: 'exists_with_different_fields',
  exists_with_different_user_data_64: 'exists_with_different_fields',
  exists_with_different_user_data_32: 'exists_with_different_fields',
  exists_with_different_ledger: 'exists_with_different_fields',
  exists_with_different_code: 'exists_with_different_fields',
  id_already_failed: 'id_already_failed',
  id_must_not_be_zero: 'id_must_not_be_zero',
  accounts_must_be_different: 'accounts_must_be_different',
  accounts_must_have_the_same_ledger: 'accounts_must_have_the_same_ledger',
  transfer_must_have_the_same_ledger_as_accounts: 'transfer_must_have_the_same_ledger_as_accounts',
  // Nobody has the id zero, so to the port it is one more account that is not there.
  debit_account_id_must_not_be_zero: 'debit_account_not_found',
  debit_account_not_found: 'debit_account_not_found',
  credit_account_id_must_not_be_zero: 'credit_account_not_found',
  credit_account_not_found: 'credit_account_not_found',
  code_must_not_be_zero: 'code_must_not_be_zero',
  pending_id_must_not_be_zero: 'pending_transfer_not_found',
  // What is being created is not there yet.
  pending_id_must_be_different: 'pending_transfer_not_found',
  pending_transfer_not_found: 'pending_transfer_not_found',
  pending_transfer_not_pending: 'pending_transfer_not_pending',
  pending_transfer_already_posted: 'pending_transfer_already_posted',
  pending_transfer_already_voided: 'pending_transfer_already_voided',
  pending_transfer_expired: 'pending_transfer_expired',
  exceeds_pending_transfer_amount: 'exceeds_pending_transfer_amount',
  exceeds_credits: 'exceeds_credits',
  exceeds_debits: 'exceeds_debits',
  overflows_debits_pending: 'overflows',
  overflows_credits_pending: 'overflows',
  overflows_debits_posted: 'overflows',
  overflows_credits_posted: 'overflows',
  overflows_debits: 'overflows',
  overflows_credits: 'overflows',
  overflows_timeout: 'overflows',
  debit_account_already_closed: 'debit_account_already_closed',
  credit_account_already_closed: 'credit_account_already_closed',
  // What the port refuses by itself is sent so that TigerBeetle refuses it too (see encode.ts); the port's word is the answer.
  pending_id_must_be_zero: 'refused_by_port',
  flags_are_mutually_exclusive: 'refused_by_port',
  ledger_must_not_be_zero: 'unasked',
  id_must_not_be_int_max: 'unasked',
  debit_account_id_must_not_be_int_max: 'unasked',
  credit_account_id_must_not_be_int_max: 'unasked',
  pending_id_must_not_be_int_max: 'unasked',
  timeout_reserved_for_pending_transfer: 'unasked',
  closing_transfer_must_be_pending: 'unasked',
  pending_transfer_has_different_debit_account_id: 'unasked',
  pending_transfer_has_different_credit_account_id: 'unasked',
  pending_transfer_has_different_ledger: 'unasked',
  pending_transfer_has_different_code: 'unasked',
  pending_transfer_has_different_amount: 'unasked',
  reserved_flag: 'unasked',
  timestamp_must_be_zero: 'unasked',
  imported_event_expected: 'unasked',
  imported_event_not_expected: 'unasked',
  imported_event_timestamp_out_of_range: 'unasked',
  imported_event_timestamp_must_not_advance: 'unasked',
  imported_event_timestamp_must_not_regress: 'unasked',
  imported_event_timestamp_must_postdate_debit_account: 'unasked',
  imported_event_timestamp_must_postdate_credit_account: 'unasked',
  imported_event_timeout_must_be_zero: 'unasked',
} as const satisfies Record<NativeTransferStatus, CreateTransferStatus | 'refused_by_port' | Unasked>

export interface Statuses {
  account(code: number): CreateAccountStatus
  transfer(code: number): CreateTransferStatus | 'refused_by_port'
}

/** Reads the numbers of this version of the client. A number that nobody knows is not taken for an outcome. */
export function createStatuses(native: Native): Statuses {
  const accounts = byCode(native.CreateAccountStatus, accountStatus)
  const transfers = byCode(native.CreateTransferStatus, transferStatus)
  return {
    account: (code) => known(accounts.get(code), code),
    transfer: (code) => known(transfers.get(code), code),
  }
}

const byCode = <Name extends string, Status>(
  codes: Readonly<Record<Name, number>>,
  statuses: Readonly<Record<Name, Status>>,
): Map<number, Status> =>
  new Map((Object.keys(statuses) as Name[]).map((name) => [codes[name], statuses[name]]))

function known<Status extends string>(status: Status | undefined, code: number): Exclude<Status, Unasked> {
  if (status === undefined || status === 'unasked')
    throw new Fault('ledger_outcome_unknown', {
      retryable: false,
      message: `TigerBeetle answered ${code}, which nothing here asks for`,
    })
  return status as Exclude<Status, Unasked>
}
