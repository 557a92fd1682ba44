import { assert } from '../../platform/index.ts'

/**
 * Arrays in Postgres' binary parameter format (array_recv): dimensions, element type, then each element with its length. Text
 * arrays cost the server ten times as much to read.
 */
const OID = {
  boolean: 16,
  bytes: 17,
  bigint: 20,
  integer: 23,
  uuid: 2950,
  bits: 1562,
} as const

const HEADER = 20
const UUID_BYTES = 16

function writeHeader(target: Buffer, oid: number, count: number, hasNulls: boolean): void {
  target.writeInt32BE(1, 0)
  target.writeInt32BE(hasNulls ? 1 : 0, 4)
  target.writeInt32BE(oid, 8)
  target.writeInt32BE(count, 12)
  target.writeInt32BE(1, 16)
}

/** No dimensions: the empty array. */
const emptyArray = (oid: number): Buffer => {
  const target = Buffer.alloc(12)
  target.writeInt32BE(oid, 8)
  return target
}

const INVALID = 0x100
const nibbles = new Uint16Array(128).fill(INVALID)
for (let value = 0; value < 16; value++) {
  nibbles[value.toString(16).charCodeAt(0)] = value
  nibbles[value.toString(16).toUpperCase().charCodeAt(0)] = value
}
/** Where the digits of each byte stand in the text of a UUID. */
const digitAt = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]

/** Writes the 16 bytes of a UUID. A malformed one is a bug of the caller. */
export function writeUuid(target: Uint8Array, offset: number, text: string): void {
  let seen = text.length === 36 ? 0 : INVALID
  for (let index = 0; index < UUID_BYTES; index++) {
    const at = digitAt[index] as number
    const high = nibbles[text.charCodeAt(at)] ?? INVALID
    const low = nibbles[text.charCodeAt(at + 1)] ?? INVALID
    seen |= high | low
    target[offset + index] = (high << 4) | low
  }
  assert(seen < INVALID, 'an id is a UUID', text)
}

/** Elements of one size, each written by `write` at its offset; `null` where that returns false. */
function fixedArray(
  oid: number,
  size: number,
  count: number,
  write: (target: Buffer, offset: number, index: number) => boolean,
): Buffer {
  if (count === 0) return emptyArray(oid)
  const target = Buffer.allocUnsafe(HEADER + count * (4 + size))
  let hasNulls = false
  let offset = HEADER
  for (let index = 0; index < count; index++) {
    if (write(target, offset + 4, index)) {
      target.writeInt32BE(size, offset)
      offset += 4 + size
    } else {
      target.writeInt32BE(-1, offset)
      hasNulls = true
      offset += 4
    }
  }
  writeHeader(target, oid, count, hasNulls)
  return offset === target.length ? target : target.subarray(0, offset)
}

export const uuidArray = (values: readonly (string | undefined)[]): Buffer =>
  fixedArray(OID.uuid, UUID_BYTES, values.length, (target, offset, index) => {
    const value = values[index]
    if (value === undefined) return false
    writeUuid(target, offset, value)
    return true
  })

/** The 16 bytes of the n-th element of a {@link uuidArray} without nulls start here. */
export const uuidOffset = (index: number): number => HEADER + index * (4 + UUID_BYTES) + 4

export const integerArray = (values: ArrayLike<number | undefined>): Buffer =>
  fixedArray(OID.integer, 4, values.length, (target, offset, index) => {
    const value = values[index]
    if (value === undefined) return false
    target.writeInt32BE(value, offset)
    return true
  })

/** u64 and i64 alike: the same 64 bits. */
export const bigintArray = (values: ArrayLike<bigint | undefined>): Buffer =>
  fixedArray(OID.bigint, 8, values.length, (target, offset, index) => {
    const value = values[index]
    if (value === undefined) return false
    target.writeBigUInt64BE(BigInt.asUintN(64, value), offset)
    return true
  })

export const booleanArray = (values: readonly boolean[]): Buffer =>
  fixedArray(OID.boolean, 1, values.length, (target, offset, index) => {
    target[offset] = values[index] ? 1 : 0
    return true
  })

function variableArray(oid: number, values: readonly Uint8Array[], prefix: (index: number) => number[]) {
  if (values.length === 0) return emptyArray(oid)
  const prefixes = values.map((_, index) => prefix(index))
  const size = values.reduce(
    (sum, value, index) => sum + 4 + 4 * (prefixes[index] as number[]).length + value.length,
    0,
  )
  const target = Buffer.allocUnsafe(HEADER + size)
  writeHeader(target, oid, values.length, false)
  let offset = HEADER
  for (const [index, value] of values.entries()) {
    const before = prefixes[index] as number[]
    offset = target.writeInt32BE(4 * before.length + value.length, offset)
    for (const number of before) offset = target.writeInt32BE(number, offset)
    target.set(value, offset)
    offset += value.length
  }
  return target
}

export const bytesArray = (values: readonly Uint8Array[]): Buffer =>
  variableArray(OID.bytes, values, () => [])

/** A bit string; bit 0 is the first, as get_bit counts. */
export interface Bits {
  length: number
  bytes: Uint8Array
}

export const bitsArray = (values: readonly Bits[]): Buffer =>
  variableArray(
    OID.bits,
    values.map((value) => value.bytes),
    (index) => [(values[index] as Bits).length],
  )

export const zeroBits = (length: number): Bits => ({ length, bytes: new Uint8Array(Math.ceil(length / 8)) })

export function oneBits(length: number): Bits {
  const bits = zeroBits(length)
  for (let index = 0; index < length; index++) setBit(bits, index)
  return bits
}

export const hasBit = (bits: Bits, index: number): boolean =>
  ((bits.bytes[index >> 3] as number) & (0x80 >> (index & 7))) !== 0

export function setBit(bits: Bits, index: number): void {
  bits.bytes[index >> 3] = (bits.bytes[index >> 3] as number) | (0x80 >> (index & 7))
}

/** `{1,NULL,3}`: for the few parameters that have no cheap binary form (numeric) or are rare (text without special characters). */
export const textArray = (values: readonly (bigint | string | undefined)[]): string =>
  `{${values.map((value) => (value === undefined ? 'NULL' : value.toString())).join(',')}}`
