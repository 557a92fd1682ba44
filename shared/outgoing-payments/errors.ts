import { Refusal } from '../platform/index.ts'

export type OutgoingPaymentRefusalCode =
  | 'unknown_payment'
  | 'unknown_quote'
  | 'unknown_wallet_address'
  | 'inactive_wallet_address'
  /** Expired, used already, or of another wallet address. */
  | 'invalid_quote'
  /** Missing, completed or expired. */
  | 'invalid_receiver'
  /** Its node does not answer, or nothing that can be read: a later request may find it. */
  | 'receiver_unreachable'
  | 'invalid_amount'
  /** Nothing, or too much for a packet. */
  | 'invalid_data'
  /** The limits of the grant do not allow it: receiver, asset, amount, what was spent before, or the time. */
  | 'outside_grant'
  /** The payment is not in a state that allows this. */
  | 'wrong_state'
  /** There is no such event, or it is not one that money can be moved for. */
  | 'unknown_event'
  /** Nothing remains to be withdrawn. */
  | 'nothing_to_withdraw'
  /** A reserved withdrawal was voided or ran out; only one without a timeout can follow. */
  | 'withdrawal_released'
  | 'unknown_withdrawal'
  | 'withdrawal_already_posted'
  | 'withdrawal_already_voided'
  | 'withdrawal_expired'

export class OutgoingPaymentRefusal extends Refusal<OutgoingPaymentRefusalCode> {}
