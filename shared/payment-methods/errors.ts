import { Refusal } from '../platform/index.ts'

export type PaymentMethodRefusalCode =
  /** Nothing would arrive. */
  | 'non_positive_receive_amount'
  /** More would have to leave than an amount can hold. */
  | 'amount_too_large'
  /** The path's rate is below what slippage allows. */
  | 'insufficient_exchange_rate'

export class PaymentMethodRefusal extends Refusal<PaymentMethodRefusalCode> {
  /** Least source amount, without fee, of which something would arrive. */
  readonly minSourceAmount?: bigint

  constructor(code: PaymentMethodRefusalCode, input: { message: string; minSourceAmount?: bigint }) {
    super(code, { message: input.message })
    if (input.minSourceAmount !== undefined) this.minSourceAmount = input.minSourceAmount
  }
}
