import { assert } from '../../platform/index.ts'

/**
 * Arrays in Postgres' binary parameter format (array_recv): dimensions, element type, then each element with its length. Text
 * arrays cost the server ten times as much to read. Everything is written into memory that is used again for each batch.
 */
const OID = { boolean: 16, bytes: 17, bigint: 20, integer: 23, bits: 1562, uuid: 2950 } as const

const HEADER_BYTES = 20
const EMPTY_BYTES = 12
const UUID_BYTES = 16

/** Memory for the parameters of one statement at a time. */
export interface Arena {
  memory: Buffer
  view: DataView
  used: number
}

export function createArena(): Arena {
  const arena = { memory: Buffer.alloc(0), view: new DataView(new ArrayBuffer(0)), used: 0 }
  grow(arena, 256 * 1024)
  return arena
}

/** What was written before may be overwritten from now on. */
export function resetArena(arena: Arena): void {
  arena.used = 0
}

/** Arrays that are finished keep the memory they are in. */
function grow(arena: Arena, size: number): void {
  arena.memory = Buffer.allocUnsafeSlow(size)
  arena.view = new DataView(arena.memory.buffer)
  arena.used = 0
}

/** An id that is right but for capitals. Where ids are compared as text they must be written in one way. */
export class CapitalLetters extends Error {
  constructor(text: string) {
    super(`an id in capital letters: ${text}`)
    this.name = 'CapitalLetters'
  }
}

const CAPITAL = 0x100
const INVALID = 0x200
/** Values of hexadecimal digits by character code. */
const nibbles = new Uint16Array(128).fill(INVALID)
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16)
  nibbles[digit.toUpperCase().charCodeAt(0)] = value | CAPITAL
  nibbles[digit.charCodeAt(0)] = value
}
/** Where the digits of each byte stand in the text of a UUID. */
const DIGITS = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34)

/** Writes the 16 bytes of a UUID. A malformed one is a bug of the caller; one in capitals throws {@link CapitalLetters}. */
function writeUuid(target: Uint8Array, offset: number, text: string): void {
  let seen = text.length === 36 ? 0 : INVALID
  for (let index = 0; index < UUID_BYTES; index++) {
    const at = DIGITS[index] as number
    const first = text.charCodeAt(at)
    const second = text.charCodeAt(at + 1)
    const high = nibbles[first & 127] as number
    const low = nibbles[second & 127] as number
    // Whatever is beyond ASCII is invalid, though its lower bits may be a digit's: 0x80 and up become INVALID and up.
    seen |= high | low | (((first | second) & 0xff80) << 2)
    target[offset + index] = (high << 4) | low
  }
  assert(seen < INVALID, 'an id is a UUID', text)
  if (seen >= CAPITAL) throw new CapitalLetters(text)
}

/** Begins an array of `count` elements that take `bytes` together, without the four of each element's length. */
function start(arena: Arena, oid: number, count: number, bytes: number): number {
  const size = HEADER_BYTES + 4 * count + bytes
  if (arena.used + size > arena.memory.length) grow(arena, 2 * Math.max(arena.memory.length, size))
  const { view, used } = arena
  // An empty array has no dimensions.
  view.setInt32(used, count === 0 ? 0 : 1)
  view.setInt32(used + 4, 0)
  view.setInt32(used + 8, oid)
  view.setInt32(used + 12, count)
  view.setInt32(used + 16, 1)
  return used + HEADER_BYTES
}

function finish(arena: Arena, count: number, end: number): Buffer {
  const from = arena.used
  arena.used = count === 0 ? from + EMPTY_BYTES : end
  return arena.memory.subarray(from, arena.used)
}

/** Writes a null at `offset`, and notes in the array's head that there are some. */
function writeNull(arena: Arena, offset: number): number {
  arena.view.setInt32(arena.used + 4, 1)
  arena.view.setInt32(offset, -1)
  return offset + 4
}

/** Ids as the ledger writes them; in capitals they throw {@link CapitalLetters}. */
export function uuidArray(arena: Arena, values: readonly (string | undefined)[]): Buffer {
  let at = start(arena, OID.uuid, values.length, UUID_BYTES * values.length)
  const { memory, view } = arena
  for (const value of values) {
    if (value === undefined) {
      at = writeNull(arena, at)
      continue
    }
    view.setInt32(at, UUID_BYTES)
    writeUuid(memory, at + 4, value)
    at += 4 + UUID_BYTES
  }
  return finish(arena, values.length, at)
}

export function integerArray(arena: Arena, values: readonly (number | undefined)[]): Buffer {
  let at = start(arena, OID.integer, values.length, 4 * values.length)
  const { view } = arena
  for (const value of values) {
    if (value === undefined) {
      at = writeNull(arena, at)
      continue
    }
    view.setInt32(at, 4)
    view.setInt32(at + 4, value)
    at += 8
  }
  return finish(arena, values.length, at)
}

/** u64 and i64 alike: the same 64 bits. */
export function bigintArray(arena: Arena, values: readonly (bigint | undefined)[]): Buffer {
  let at = start(arena, OID.bigint, values.length, 8 * values.length)
  const { view } = arena
  for (const value of values) {
    if (value === undefined) {
      at = writeNull(arena, at)
      continue
    }
    view.setInt32(at, 8)
    view.setBigInt64(at + 4, value)
    at += 12
  }
  return finish(arena, values.length, at)
}

export function booleanArray(arena: Arena, values: readonly boolean[]): Buffer {
  let at = start(arena, OID.boolean, values.length, values.length)
  for (const value of values) {
    arena.view.setInt32(at, 1)
    arena.view.setInt8(at + 4, value ? 1 : 0)
    at += 5
  }
  return finish(arena, values.length, at)
}

/** Lists of ids, each as one bytea of 16 bytes per id: the ids at these places of a {@link uuidArray} without nulls. */
export function idListArray(arena: Arena, ids: Buffer, lists: readonly (readonly number[])[]): Buffer {
  let total = 0
  for (const list of lists) total += list.length
  let at = start(arena, OID.bytes, lists.length, UUID_BYTES * total)
  const { view } = arena
  const source = new DataView(ids.buffer, ids.byteOffset, ids.length)
  for (const list of lists) {
    view.setInt32(at, UUID_BYTES * list.length)
    at += 4
    for (const place of list) {
      const from = HEADER_BYTES + place * (4 + UUID_BYTES) + 4
      view.setInt32(at, source.getInt32(from))
      view.setInt32(at + 4, source.getInt32(from + 4))
      view.setInt32(at + 8, source.getInt32(from + 8))
      view.setInt32(at + 12, source.getInt32(from + 12))
      at += UUID_BYTES
    }
  }
  return finish(arena, lists.length, at)
}

/** A bit string; bit 0 is the first, as get_bit counts. */
export interface Bits {
  length: number
  bytes: Uint8Array
}

export function bitsArray(arena: Arena, values: readonly Bits[]): Buffer {
  let total = 0
  for (const value of values) total += 4 + value.bytes.length
  let at = start(arena, OID.bits, values.length, total)
  for (const value of values) {
    arena.view.setInt32(at, 4 + value.bytes.length)
    arena.view.setInt32(at + 4, value.length)
    arena.memory.set(value.bytes, at + 8)
    at += 8 + value.bytes.length
  }
  return finish(arena, values.length, at)
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

/** `$1, $2, …`, after so many others. */
export const placeholders = (count: number, after = 0): string =>
  Array.from({ length: count }, (_, index) => `$${after + index + 1}`).join(', ')
