import { assert } from '../../platform/index.ts'

/**
 * Arrays in Postgres' binary parameter format (array_recv): dimensions, element type, then each element with its length. Text
 * arrays cost the server ten times as much to read. Everything is written into memory that is used again for each batch.
 */
const OID = { boolean: 16, bytes: 17, bigint: 20, integer: 23, bits: 1562, uuid: 2950 } as const

const HEADER_BYTES = 20
export const UUID_BYTES = 16

/** Memory for the parameters of one statement at a time. */
export interface Arena {
  take(size: number): Buffer
  /** What was taken before may be overwritten from now on. */
  reset(): void
}

const ARENA_BYTES = 256 * 1024

export function createArena(): Arena {
  let memory = Buffer.allocUnsafeSlow(ARENA_BYTES)
  let used = 0
  return {
    take(size) {
      if (used + size > memory.length) {
        memory = Buffer.allocUnsafeSlow(Math.max(2 * memory.length, 2 * size))
        used = 0
      }
      used += size
      return memory.subarray(used - size, used)
    },
    reset() {
      used = 0
    },
  }
}

function writeInteger(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >> 24
  target[offset + 1] = value >> 16
  target[offset + 2] = value >> 8
  target[offset + 3] = value
}

const INVALID = 0x100
const nibbles = new Uint16Array(128).fill(INVALID)
for (let value = 0; value < 16; value++) {
  nibbles[value.toString(16).charCodeAt(0)] = value
  nibbles[value.toString(16).toUpperCase().charCodeAt(0)] = value
}
/** Where the digits of each byte stand in the text of a UUID. */
const DIGITS = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34)

/** Writes the 16 bytes of a UUID. A malformed one is a bug of the caller. */
export function writeUuid(target: Uint8Array, offset: number, text: string): void {
  let seen = text.length === 36 ? 0 : INVALID
  for (let index = 0; index < UUID_BYTES; index++) {
    const at = DIGITS[index] as number
    const high = nibbles[text.charCodeAt(at)] ?? INVALID
    const low = nibbles[text.charCodeAt(at + 1)] ?? INVALID
    seen |= high | low
    target[offset + index] = (high << 4) | low
  }
  assert(seen < INVALID, 'an id is a UUID', text)
}

/** An array whose elements are written one after the other. */
interface ArrayWriter {
  target: Buffer
  offset: number
}

/** `bytes`: of all elements together, without the four of each element's length. */
function startArray(arena: Arena, oid: number, count: number, bytes: number): ArrayWriter {
  const target = arena.take(HEADER_BYTES + 4 * count + bytes)
  // An empty array has no dimensions.
  writeInteger(target, 0, count === 0 ? 0 : 1)
  writeInteger(target, 4, 0)
  writeInteger(target, 8, oid)
  writeInteger(target, 12, count)
  writeInteger(target, 16, 1)
  return { target, offset: HEADER_BYTES }
}

function startElement(writer: ArrayWriter, bytes: number): number {
  writeInteger(writer.target, writer.offset, bytes)
  const at = writer.offset + 4
  writer.offset = at + bytes
  return at
}

function addNull(writer: ArrayWriter): void {
  writeInteger(writer.target, 4, 1)
  writeInteger(writer.target, writer.offset, -1)
  writer.offset += 4
}

const finish = (writer: ArrayWriter, count: number): Buffer =>
  writer.target.subarray(0, count === 0 ? 12 : writer.offset)

export function uuidArray(arena: Arena, values: readonly (string | undefined)[]): Buffer {
  const writer = startArray(arena, OID.uuid, values.length, UUID_BYTES * values.length)
  for (const value of values)
    if (value === undefined) addNull(writer)
    else writeUuid(writer.target, startElement(writer, UUID_BYTES), value)
  return finish(writer, values.length)
}

/** Where the n-th id of a {@link uuidArray} without nulls begins. */
export const uuidOffset = (index: number): number => HEADER_BYTES + index * (4 + UUID_BYTES) + 4

export function integerArray(arena: Arena, values: readonly (number | undefined)[]): Buffer {
  const writer = startArray(arena, OID.integer, values.length, 4 * values.length)
  for (const value of values)
    if (value === undefined) addNull(writer)
    else writeInteger(writer.target, startElement(writer, 4), value)
  return finish(writer, values.length)
}

/** u64 and i64 alike: the same 64 bits. */
export function bigintArray(arena: Arena, values: readonly (bigint | undefined)[]): Buffer {
  const writer = startArray(arena, OID.bigint, values.length, 8 * values.length)
  const view = new DataView(writer.target.buffer, writer.target.byteOffset, writer.target.length)
  for (const value of values)
    if (value === undefined) addNull(writer)
    else view.setBigUint64(startElement(writer, 8), BigInt.asUintN(64, value))
  return finish(writer, values.length)
}

export function booleanArray(arena: Arena, values: readonly boolean[]): Buffer {
  const writer = startArray(arena, OID.boolean, values.length, values.length)
  for (const value of values) writer.target[startElement(writer, 1)] = value ? 1 : 0
  return finish(writer, values.length)
}

/** Lists of ids, each as one bytea of 16 bytes per id: the ids at these places of a {@link uuidArray}. */
export function idListArray(arena: Arena, ids: Buffer, lists: readonly (readonly number[])[]): Buffer {
  let total = 0
  for (const list of lists) total += list.length
  const writer = startArray(arena, OID.bytes, lists.length, UUID_BYTES * total)
  for (const list of lists) {
    let at = startElement(writer, UUID_BYTES * list.length)
    for (const place of list) {
      const from = uuidOffset(place)
      for (let index = 0; index < UUID_BYTES; index++) writer.target[at + index] = ids[from + index] as number
      at += UUID_BYTES
    }
  }
  return finish(writer, lists.length)
}

/** A bit string; bit 0 is the first, as get_bit counts. */
export interface Bits {
  length: number
  bytes: Uint8Array
}

export function bitsArray(arena: Arena, values: readonly Bits[]): Buffer {
  let total = 0
  for (const value of values) total += 4 + value.bytes.length
  const writer = startArray(arena, OID.bits, values.length, total)
  for (const value of values) {
    const at = startElement(writer, 4 + value.bytes.length)
    writeInteger(writer.target, at, value.length)
    writer.target.set(value.bytes, at + 4)
  }
  return finish(writer, values.length)
}

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

/** `$1, $2, …` */
export const placeholders = (count: number): string =>
  Array.from({ length: count }, (_, index) => `$${index + 1}`).join(', ')
