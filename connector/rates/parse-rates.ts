import { InvalidRate, parseRate, type Rate } from '../../shared/money/index.ts'
import { RatesRefusal } from './errors.ts'

/** Prices of one unit of `base`, by asset code. A code whose price was unusable is absent. */
export type Prices = ReadonlyMap<string, Rate>

/** An answer of a rates service. */
export interface RatesAnswer {
  prices: Prices
  /** The moment of the prices, where the answer names one: of a mere date, its end. */
  asOfMs?: number
}

/** A number of the answer as it was written: `0.1` as a float is not one tenth. */
class NumberText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** `context.source` is the text of the value in the document (ECMAScript "JSON.parse source text access"). */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown
const parseJson = JSON.parse as (text: string, reviver: Reviver) => unknown

const keepNumbers: Reviver = (_key, value, context) =>
  typeof value === 'number' ? new NumberText(context.source ?? String(value)) : value

/**
 * Reads `{ base, rates: { CODE: number } }`. The base must be the one that was asked for: prices of another currency are
 * refused whole. A price that is not a finite number above zero drops that code only, so that one bad entry does not stop the
 * others. `timestamp` and `date`, which services add by custom, say how old the prices are. Throws {@link RatesRefusal}
 * `malformed_rates` or `wrong_base`.
 */
export function parseRates(text: string, base: string): RatesAnswer {
  let document: unknown
  try {
    document = parseJson(text, keepNumbers)
  } catch (cause) {
    throw new RatesRefusal('malformed_rates', { message: 'the rates are not JSON', cause })
  }
  const { base: given, rates, timestamp, date } = (document ?? {}) as Record<string, unknown>
  if (typeof given !== 'string' || typeof rates !== 'object' || rates === null || Array.isArray(rates))
    throw new RatesRefusal('malformed_rates', { message: 'the rates must have a base and rates' })
  if (given !== base)
    throw new RatesRefusal('wrong_base', { message: `asked for the rates of ${base}, got those of ${given}` })
  const prices = new Map<string, Rate>()
  for (const [code, price] of Object.entries(rates)) {
    const parsed = price instanceof NumberText ? priceOf(price.text) : undefined
    if (parsed) prices.set(code, parsed)
  }
  const moments = [momentOf(timestamp), momentOf(date)].filter((moment) => moment !== undefined)
  return { prices, ...(moments.length > 0 && { asOfMs: Math.min(...moments) }) }
}

/** `2026-11-29`, with or without a time and its zone. */
const ISO = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})?)?$/
const DAY_MS = 86_400_000

/** Seconds or milliseconds since 1970, or ISO 8601. Others' other ways to write it tell nothing. */
function momentOf(value: unknown): number | undefined {
  const text = value instanceof NumberText ? value.text : value
  if (typeof text !== 'string') return undefined
  if (/^[0-9]{9,10}$/.test(text)) return Number(text) * 1000
  if (/^[0-9]{12,13}$/.test(text)) return Number(text)
  const match = ISO.exec(text)
  if (!match) return undefined
  const [, time, zone] = match
  const ms = Date.parse(time !== undefined && zone === undefined ? `${text}Z` : text)
  if (Number.isNaN(ms)) return undefined
  return time === undefined ? ms + DAY_MS : ms
}

function priceOf(text: string): Rate | undefined {
  try {
    return parseRate(text)
  } catch (error) {
    if (error instanceof InvalidRate) return undefined
    throw error
  }
}
