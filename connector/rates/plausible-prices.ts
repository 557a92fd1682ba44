import type { Rate } from '../../shared/money/index.ts'
import type { Prices } from './parse-rates.ts'

/** A price that was used, and when the service gave it. */
export interface GoodPrice {
  price: Rate
  atMs: number
}
export type GoodPrices = ReadonlyMap<string, GoodPrice>

export interface Judgement {
  /** What may be used of the answer. */
  prices: Prices
  /** Codes whose price in this answer is not believed. */
  held: ReadonlyMap<string, Doubt>
  /** The last good price of each code, this answer's included: what the next answer is held against. */
  good: GoodPrices
}

/** `inverted`: the price of the pair the other way round. `jump`: another price altogether. */
export type Doubt = 'inverted' | 'jump'

/** Smaller moves are never doubted: a currency at 0.99 has its inverse within an ordinary day. */
const MOVE_MIN = Math.log(1.02)
/** An inverse is one when the price lies so many times nearer to it than to the last price. */
const MIRROR = 8
/** Last prices of codes that the service does not name any more; a service that names others each time fills no memory. */
const ABSENT_MAX = 1_000

/** An estimate, for comparing only: no amount is made of it. */
const logarithm = ({ numerator, denominator }: Rate): number =>
  Math.log(Number(numerator)) - Math.log(Number(denominator))

/** What speaks against `price` when the pair's last good one was `last`. `changeMax` is a factor above 1; 0: nothing ever does. */
export function doubtOf(price: Rate, last: Rate, changeMax: number): Doubt | undefined {
  if (changeMax === 0) return undefined
  const [now, before] = [logarithm(price), logarithm(last)]
  const move = Math.abs(now - before)
  if (move <= MOVE_MIN) return undefined
  if (Math.abs(now + before) * MIRROR <= move) return 'inverted'
  return move > Math.log(changeMax) ? 'jump' : undefined
}

/** Holds an answer against the last good prices of the same service. */
export function judgePrices(input: {
  answer: Prices
  good: GoodPrices
  changeMax: number
  nowMs: number
}): Judgement {
  const { answer, changeMax, nowMs } = input
  const prices = new Map<string, Rate>()
  const held = new Map<string, Doubt>()
  const good = new Map<string, GoodPrice>()
  for (const [code, price] of answer) {
    const last = input.good.get(code)
    const doubt = last && doubtOf(price, last.price, changeMax)
    if (doubt) {
      held.set(code, doubt)
      good.set(code, last)
    } else {
      prices.set(code, price)
      good.set(code, { price, atMs: nowMs })
    }
  }
  let absent = 0
  for (const [code, last] of input.good) if (!good.has(code) && ++absent <= ABSENT_MAX) good.set(code, last)
  return { prices, held, good }
}
