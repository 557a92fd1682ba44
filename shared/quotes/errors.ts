import type { Amount } from '../money/index.ts'
import { Refusal } from '../platform/index.ts'

export type QuoteRefusalCode =
  | 'unknown_quote'
  | 'unknown_wallet_address'
  | 'inactive_wallet_address'
  /** Both amounts, none at all, a foreign asset, zero, or more than the receiver still wants. */
  | 'invalid_amount'
  /** Missing, completed, expired, or not an incoming payment. */
  | 'invalid_receiver'
  /** Its node does not answer, or nothing that can be read: a later request may find it. */
  | 'receiver_unreachable'
  /** Nothing would arrive; `minSendAmount` says what would be enough. */
  | 'non_positive_receive_amount'
  /** The rates service is away, or has no price for the asset. */
  | 'rates_unavailable'
  /** The path's rate is below what slippage allows. */
  | 'insufficient_exchange_rate'
  /** No peer leads to the receiver. */
  | 'no_route'
  /** The receiver did not answer the probe in time. */
  | 'probe_failed'

export class QuoteRefusal extends Refusal<QuoteRefusalCode> {
  /** With `non_positive_receive_amount`, where it can be computed: the least debit amount, fee included. */
  readonly minSendAmount?: Amount

  constructor(code: QuoteRefusalCode, input: { message: string; minSendAmount?: Amount; cause?: unknown }) {
    super(code, { message: input.message, ...(input.cause !== undefined && { cause: input.cause }) })
    if (input.minSendAmount) this.minSendAmount = input.minSendAmount
  }
}
