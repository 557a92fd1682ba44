import { parseRate, type Rate, rate } from '../money/index.ts'
import { configuration } from '../platform/index.ts'

/** A share from 0 to 1 in decimal digits, exact: 0.01 is 1/100. */
export const share: configuration.Parse<Rate> = (value) => {
  const problem = 'must be a decimal number from 0 to 1, such as 0.01'
  if (/^0(\.0+)?$/.test(value)) return rate(0n, 1n)
  let parsed: Rate
  try {
    parsed = parseRate(value)
  } catch (error) {
    throw new Error(problem, { cause: error })
  }
  if (parsed.numerator > parsed.denominator) throw new Error(problem)
  return parsed
}

/** A key id travels in JSON and in HTTP signature parameters. */
export const keyId: configuration.Parse<string> = (value) => {
  if (!/^[\x20-\x7e]{1,255}$/.test(value)) throw new Error('must be 1 to 255 characters of ASCII')
  return value
}

export const milliseconds = configuration.integer({ min: 0, max: 2 ** 53 - 1 })
/** Timers hold 31 bits. */
export const timerMilliseconds = configuration.integer({ min: 1, max: 2 ** 31 - 1 })

/** By how much something may grow or shrink: 1.5 is half as much again. 0: without limit. */
export const factor: configuration.Parse<number> = (value) => {
  const number = /^[0-9]{1,6}(\.[0-9]{1,6})?$/.test(value) ? Number(value) : Number.NaN
  if (number !== 0 && !(number > 1)) throw new Error('must be 0 or a decimal number above 1, such as 1.5')
  return number
}
