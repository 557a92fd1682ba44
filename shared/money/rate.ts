import { assert, Refusal } from '../platform/index.ts'
import type { Asset } from './amount.ts'

/** An exact non-negative rational. Rates never pass through a float: 0.91 is 91/100. */
export interface Rate {
  numerator: bigint
  denominator: bigint
}

export class InvalidRate extends Refusal<'invalid_rate'> {
  constructor(message: string, details?: Record<string, unknown>) {
    super('invalid_rate', { message, ...(details && { details }) })
  }
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b]
  return a
}

/** A rate in lowest terms. */
export function rate(numerator: bigint, denominator: bigint): Rate {
  assert(denominator > 0n, 'a rate has a positive denominator', { numerator, denominator })
  assert(numerator >= 0n, 'a rate is not negative', { numerator, denominator })
  const divisor = greatestCommonDivisor(numerator, denominator)
  return { numerator: numerator / divisor, denominator: denominator / divisor }
}

export const identityRate: Rate = { numerator: 1n, denominator: 1n }

const DECIMAL = /^([0-9]{1,40})(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?$/

/** Parses decimal text such as `0.91` or `1.2e-7` exactly. Zero, signs, NaN, infinities and absurd exponents are refused. */
export function parseRate(text: string): Rate {
  const match = DECIMAL.exec(text)
  if (!match) throw new InvalidRate(`not a positive decimal number: ${text.slice(0, 60)}`)
  const [, whole = '', fraction = '', exponent = '0'] = match
  const shift = Number(exponent) - fraction.length
  const digits = BigInt(whole + fraction)
  if (digits === 0n) throw new InvalidRate('a rate must be greater than zero')
  if (Math.abs(shift) > 120) throw new InvalidRate(`exponent out of range: ${text.slice(0, 60)}`)
  return shift >= 0 ? rate(digits * 10n ** BigInt(shift), 1n) : rate(digits, 10n ** BigInt(-shift))
}

export const multiplyRates = (a: Rate, b: Rate): Rate =>
  rate(a.numerator * b.numerator, a.denominator * b.denominator)

export function invertRate(value: Rate): Rate {
  assert(value.numerator > 0n, 'only a positive rate has an inverse')
  return { numerator: value.denominator, denominator: value.numerator }
}

export function compareRates(a: Rate, b: Rate): -1 | 0 | 1 {
  const left = a.numerator * b.denominator
  const right = b.numerator * a.denominator
  return left < right ? -1 : left > right ? 1 : 0
}

/** Turns a price per whole unit into a rate between the smallest units: `price × 10^(destination scale − source scale)`. */
export function scaleRate(price: Rate, assets: { source: Asset; destination: Asset }): Rate {
  const shift = assets.destination.assetScale - assets.source.assetScale
  const power = 10n ** BigInt(Math.abs(shift))
  return shift >= 0
    ? rate(price.numerator * power, price.denominator)
    : rate(price.numerator, price.denominator * power)
}

/** `source × rate`, rounded down: in the node's favour when it pays out. */
export function convertFloor(source: bigint, by: Rate): bigint {
  assert(source >= 0n, 'amounts are not negative', source)
  return (source * by.numerator) / by.denominator
}

/** `source × rate`, rounded up: in the node's favour when it collects. */
export function convertCeil(source: bigint, by: Rate): bigint {
  assert(source >= 0n, 'amounts are not negative', source)
  return (source * by.numerator + by.denominator - 1n) / by.denominator
}

/** Decimal text of a rate for people and for `estimatedExchangeRate`; rounded down to `digits` decimal places. */
export function formatRate(value: Rate, digits = 12): string {
  const scaled = ((value.numerator * 10n ** BigInt(digits)) / value.denominator)
    .toString()
    .padStart(digits + 1, '0')
  const text = `${scaled.slice(0, -digits)}.${scaled.slice(-digits)}`
  return text.replace(/\.?0+$/, '')
}
