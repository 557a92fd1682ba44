import { Refusal } from '../platform/index.ts'

export type ReceiverRefusalCode =
  /** Not the URL of an incoming payment, or one that this node may not fetch. */
  | 'invalid_receiver_url'
  /** There is no such incoming payment. */
  | 'unknown_receiver'
  /** There is no such wallet address. */
  | 'unknown_wallet_address'
  /** The other node gave no grant, or the grant does not cover this. */
  | 'receiver_forbidden'
  /** The other node refused; the message carries its description. */
  | 'receiver_refused'
  /** Completed or expired already. */
  | 'receiver_wrong_state'

/**
 * The world said no. A receiver whose node cannot be reached, or answers what nobody can read, is no refusal but a retryable
 * Fault with code `receiver_unreachable`.
 */
export class ReceiverRefusal extends Refusal<ReceiverRefusalCode> {}
