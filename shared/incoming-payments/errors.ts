import { Refusal } from '../platform/index.ts'

export type IncomingPaymentRefusalCode =
  | 'unknown_incoming_payment'
  /** Not greater than zero, or not in the wallet address's asset. */
  | 'invalid_amount'
  /** In the past, or further away than INCOMING_PAYMENT_EXPIRY_MAX_MS. */
  | 'invalid_expiry'
  /** Completed or expired already, or no longer pending. */
  | 'wrong_state'
  | 'already_approved'
  | 'already_cancelled'
  /** The wallet cancelled the payment, or did not approve it in time. */
  | 'action_not_performed'
  /** Completed or expired: there is nothing to decide about its packets any more. */
  | 'incoming_payment_closed'
  /** Nobody was asked about such a packet of this payment. */
  | 'unknown_partial_payment'
  /** Nothing was received, or its completion is not announced yet. */
  | 'nothing_to_withdraw'
  /** A reserved withdrawal was voided or ran out; only one without a timeout can follow. */
  | 'withdrawal_released'

export class IncomingPaymentRefusal extends Refusal<IncomingPaymentRefusalCode> {}
