import { type Amount, convertFloor, type Rate, scaleRate } from '../money/index.ts'
import { messageOf } from '../platform/index.ts'

/** What amounts are counted in (features.md §I). */
const USD = { assetCode: 'USD', assetScale: 4 }

/** Amounts whose price has to be waited for, at the same time; those beyond are not counted. */
const WAITING_MAX = 1_000

export interface UsdPrices {
  /** The price of one whole unit in US dollars, when it is at hand. */
  now(tenantId: string, assetCode: string): Rate | undefined
  /** The same, asked for. Absent: what is not at hand is not counted. */
  ask?: (tenantId: string, assetCode: string) => Promise<Rate>
}

export interface Usd {
  /** Calls `count` with the amount in US dollars of scale 4, at once or later or, without a price, never. Never throws. */
  convert(tenantId: string, amounts: readonly Amount[], count: (values: readonly bigint[]) => void): void
}

export function createUsd(prices: UsdPrices, note: (reason: string) => void = () => undefined): Usd {
  let waiting = 0
  // Scaling costs a greatest common divisor; a price object lives as long as its rates do.
  const scaled = new WeakMap<Rate, Map<number, Rate>>()
  const rateOf = (amount: Amount, price: Rate): bigint => {
    const { assetScale } = amount
    const known = scaled.get(price) ?? new Map<number, Rate>()
    let rate = known.get(assetScale)
    if (!rate) {
      rate = scaleRate(price, { source: amount, destination: USD })
      scaled.set(price, known.set(assetScale, rate))
    }
    return convertFloor(amount.value, rate)
  }
  const one = { numerator: 1n, denominator: 1n }
  const atHand = (tenantId: string, { assetCode }: Amount) =>
    assetCode === USD.assetCode ? one : prices.now(tenantId, assetCode)

  return {
    convert(tenantId, amounts, count) {
      try {
        const known = amounts.map((amount) => atHand(tenantId, amount))
        const values = known.flatMap((price, index) => {
          const amount = amounts[index]
          return price && amount ? [rateOf(amount, price)] : []
        })
        if (values.length === amounts.length) return count(values)
        const { ask } = prices
        if (!ask || waiting >= WAITING_MAX) return
        waiting++
        Promise.all(
          amounts.map(async (amount, index) =>
            rateOf(amount, known[index] ?? (await ask(tenantId, amount.assetCode))),
          ),
        )
          .then(count)
          .catch((error: unknown) => note(messageOf(error)))
          .finally(() => {
            waiting--
          })
      } catch (error) {
        note(messageOf(error))
      }
    },
  }
}
