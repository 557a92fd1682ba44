import { AMOUNT_MAX, convertCeil, convertFloor, invertRate, type Rate } from '../../money/index.ts'
import { PaymentMethodRefusal } from '../errors.ts'
import type { MethodQuote, MethodQuoteInput } from '../port.ts'

/**
 * Prices a payment within this node (contracts/ilp/payments.md §2, LOCAL). `rate` is between smallest units. A given debit
 * delivers its value rounded down; a given delivery costs its value rounded up.
 */
export function priceLocal(amount: MethodQuoteInput['amount'], rate: Rate): MethodQuote {
  const quote =
    amount.side === 'debit'
      ? { sourceAmount: amount.value, receiveAmount: convertFloor(amount.value, rate) }
      : { sourceAmount: convertCeil(amount.value, invertRate(rate)), receiveAmount: amount.value }
  if (quote.sourceAmount <= 0n || quote.receiveAmount <= 0n)
    throw new PaymentMethodRefusal('non_positive_receive_amount', {
      message: 'nothing would arrive',
      minSourceAmount: convertCeil(1n, invertRate(rate)),
    })
  if (quote.sourceAmount > AMOUNT_MAX || quote.receiveAmount > AMOUNT_MAX)
    throw new PaymentMethodRefusal('amount_too_large', { message: 'the amount is too large to be carried' })
  return quote
}
