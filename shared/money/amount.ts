import { assert, Refusal } from '../platform/index.ts'

/** The largest amount that the wire carries (ILP, Open Payments): 2^64 − 1. */
export const AMOUNT_MAX = 2n ** 64n - 1n

export interface Asset {
  assetCode: string
  /** Decimal places of one unit, 0..255. */
  assetScale: number
}

/** An amount in units of 10^−assetScale. */
export interface Amount extends Asset {
  value: bigint
}

/** An amount on the wire: the value is a decimal string. */
export interface WireAmount extends Asset {
  value: string
}

export class InvalidAmount extends Refusal<'invalid_amount'> {
  constructor(message: string, details?: Record<string, unknown>) {
    super('invalid_amount', { message, ...(details && { details }) })
  }
}

export const isSameAsset = (a: Asset, b: Asset): boolean =>
  a.assetCode === b.assetCode && a.assetScale === b.assetScale

const DECIMAL = /^(0|[1-9][0-9]{0,19})$/

/** Parses a u64 in plain decimal digits. `-1`, `1.5`, `1e3`, ` 5 `, `0x10` and values above 2^64 − 1 are refused. */
export function parseUint64(text: unknown): bigint {
  if (typeof text !== 'string' || !DECIMAL.test(text))
    throw new InvalidAmount('value must be a uint64 in decimal digits')
  const value = BigInt(text)
  if (value > AMOUNT_MAX) throw new InvalidAmount('value must be at most 18446744073709551615')
  return value
}

export function parseAmount(wire: { value: unknown; assetCode: unknown; assetScale: unknown }): Amount {
  if (typeof wire.assetCode !== 'string' || wire.assetCode === '')
    throw new InvalidAmount('assetCode must be text')
  const scale = wire.assetScale
  if (typeof scale !== 'number' || !Number.isInteger(scale) || scale < 0 || scale > 255)
    throw new InvalidAmount('assetScale must be an integer from 0 to 255')
  return { value: parseUint64(wire.value), assetCode: wire.assetCode, assetScale: scale }
}

export function toWireAmount(amount: Amount): WireAmount {
  assert(amount.value >= 0n, 'amounts on the wire are not negative', amount.value)
  return { value: amount.value.toString(), assetCode: amount.assetCode, assetScale: amount.assetScale }
}

export const minimum = (a: bigint, b: bigint): bigint => (a < b ? a : b)
export const maximum = (a: bigint, b: bigint): bigint => (a > b ? a : b)
