import type { ProbeResult } from '../../connector-client/index.ts'
import {
  AMOUNT_MAX,
  compareRates,
  convertCeil,
  convertFloor,
  formatRate,
  invertRate,
  maximum,
  multiplyRates,
  type Rate,
  rate,
} from '../../money/index.ts'
import { assert } from '../../platform/index.ts'
import { PaymentMethodRefusal } from '../errors.ts'
import type { MethodQuote, MethodQuoteInput } from '../port.ts'

/** `price × (1 − slippage)`: the least rate that a payment may get. */
export function leastRate(price: Rate, slippage: Rate): Rate {
  assert(slippage.numerator <= slippage.denominator, 'slippage is at most the whole price', slippage)
  return multiplyRates(price, rate(slippage.denominator - slippage.numerator, slippage.denominator))
}

/**
 * Prices a payment over a path that was probed (contracts/ilp/payments.md §2, ILP). `minRate` is between smallest units. The
 * one unit of play on each side is the rounding of the last packet.
 */
export function priceIlp(
  amount: MethodQuoteInput['amount'],
  path: { probe: ProbeResult; minRate: Rate },
): MethodQuote {
  const { probe, minRate } = path
  if (minRate.numerator === 0n || compareRates(probe.lowRate, minRate) < 0)
    throw new PaymentMethodRefusal('insufficient_exchange_rate', {
      message: `the path's rate ${formatRate(probe.lowRate)} is below the least acceptable ${formatRate(minRate)}`,
    })
  const quote =
    amount.side === 'debit'
      ? {
          sourceAmount: amount.value,
          receiveAmount: amount.value > 0n ? convertCeil(amount.value - 1n, minRate) : 0n,
        }
      : {
          sourceAmount: convertFloor(amount.value, invertRate(minRate)) + 1n,
          receiveAmount: amount.value,
        }
  const arrives = convertFloor(quote.sourceAmount, probe.highRate) >= 1n
  if (quote.sourceAmount <= 0n || quote.receiveAmount <= 0n || !arrives)
    throw new PaymentMethodRefusal('non_positive_receive_amount', {
      message: 'nothing would arrive',
      minSourceAmount: maximum(convertCeil(1n, invertRate(probe.highRate)), 2n),
    })
  if (quote.sourceAmount > AMOUNT_MAX || quote.receiveAmount > AMOUNT_MAX)
    throw new PaymentMethodRefusal('amount_too_large', { message: 'the amount is too large to be carried' })
  const { lowRate, highRate, maxPacketAmount } = probe
  return {
    ...quote,
    limits: { minRate, lowRate, highRate, ...(maxPacketAmount !== undefined && { maxPacketAmount }) },
  }
}
