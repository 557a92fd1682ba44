/** Prices as decimal text: one unit of the first currency in units of the second. Whole units, so scales play no part. */
export type RateTable = Record<string, Record<string, string>>

/**
 * The answer to `GET /rates?base=USD`: `{ "base": "USD", "rates": { "EUR": 0.91 } }`, with the digits of the table and not those
 * of a float. `undefined` for a currency without prices.
 */
export function ratesAnswer(table: RateTable, base: string): string | undefined {
  const rates = Object.hasOwn(table, base) ? table[base] : undefined
  if (!rates) return undefined
  const entries = Object.entries(rates).map(([code, rate]) => `${JSON.stringify(code)}:${rate}`)
  return `{"base":${JSON.stringify(base)},"rates":{${entries.join(',')}}}`
}
