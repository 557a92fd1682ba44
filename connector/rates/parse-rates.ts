import { InvalidRate, parseRate, type Rate } from '../../shared/money/index.ts'
import { RatesRefusal } from './errors.ts'

/** Prices of one unit of `base`, by asset code. A code whose price was unusable is absent. */
export type Prices = ReadonlyMap<string, Rate>

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
 * others. Throws {@link RatesRefusal} `malformed_rates` or `wrong_base`.
 */
export function parseRates(text: string, base: string): Prices {
  let document: unknown
  try {
    document = parseJson(text, keepNumbers)
  } catch (cause) {
    throw new RatesRefusal('malformed_rates', { message: 'the rates are not JSON', cause })
  }
  const { base: given, rates } = (document ?? {}) as { base?: unknown; rates?: unknown }
  if (typeof given !== 'string' || typeof rates !== 'object' || rates === null || Array.isArray(rates))
    throw new RatesRefusal('malformed_rates', { message: 'the rates must have a base and rates' })
  if (given !== base)
    throw new RatesRefusal('wrong_base', { message: `asked for the rates of ${base}, got those of ${given}` })
  const prices = new Map<string, Rate>()
  for (const [code, price] of Object.entries(rates)) {
    const parsed = price instanceof NumberText ? priceOf(price.text) : undefined
    if (parsed) prices.set(code, parsed)
  }
  return prices
}

function priceOf(text: string): Rate | undefined {
  try {
    return parseRate(text)
  } catch (error) {
    if (error instanceof InvalidRate) return undefined
    throw error
  }
}
