import { assert } from '../../shared/platform/index.ts'
import { InvalidStreamPacket } from './errors.ts'

/** A place in bytes. Reading never goes past the end: it throws {@link InvalidStreamPacket}. */
export interface Cursor {
  readonly bytes: Buffer
  offset: number
}

export const cursorOver = (bytes: Buffer): Cursor => ({ bytes, offset: 0 })

function readBytes(cursor: Cursor, length: number): Buffer {
  const end = cursor.offset + length
  if (end > cursor.bytes.length) throw new InvalidStreamPacket('packet ends too early')
  const bytes = cursor.bytes.subarray(cursor.offset, end)
  cursor.offset = end
  return bytes
}

export function readUint8(cursor: Cursor): number {
  const byte = cursor.bytes[cursor.offset]
  if (byte === undefined) throw new InvalidStreamPacket('packet ends too early')
  cursor.offset += 1
  return byte
}

/** Bytes behind a length prefix; the length must be in its shortest form. */
export function readVarOctets(cursor: Cursor): Buffer {
  const first = readUint8(cursor)
  if (first < 0x80) return readBytes(cursor, first)
  const size = first & 0x7f
  if (size === 0 || size > 4) throw new InvalidStreamPacket('invalid length prefix')
  const length = readBytes(cursor, size).readUIntBE(0, size)
  if (length < Math.max(0x80, 2 ** (8 * (size - 1))))
    throw new InvalidStreamPacket('length is not in its shortest form')
  return readBytes(cursor, length)
}

function toBigInt(bytes: Buffer, offset: number, length: number): bigint {
  if (length <= 6) return BigInt(bytes.readUIntBE(offset, length))
  if (length === 8) return bytes.readBigUInt64BE(offset)
  return (BigInt(bytes.readUIntBE(offset, 3)) << 32n) | BigInt(bytes.readUInt32BE(offset + 3))
}

const UINT64_MAX = 2n ** 64n - 1n

/** An unsigned integer of 1 to 8 bytes. With `saturate`, longer ones are read as 2^64 − 1 instead of refused. */
export function readVarUint(cursor: Cursor, saturate = false): bigint {
  const { bytes, offset } = cursor
  const length = bytes[offset] ?? 0
  if (length > 8 || offset + length >= bytes.length) {
    const { length: actual } = readVarOctets(cursor)
    if (actual > 8 && saturate) return UINT64_MAX
    throw new InvalidStreamPacket('integer above 64 bits')
  }
  if (length === 0) throw new InvalidStreamPacket('integer without bytes')
  cursor.offset = offset + 1 + length
  return toBigInt(bytes, offset + 1, length)
}

/** The least values that need 2, 3, … 9 bytes. */
const byteLimits = Array.from({ length: 8 }, (_, index) => 2n ** BigInt(8 * (index + 1)))

/** Bytes that the value needs: 1 to 8, and 9 for what does not fit into 64 bits. */
function varUintBytes(value: bigint): number {
  let bytes = 1
  for (const limit of byteLimits) {
    if (value < limit) return bytes
    bytes++
  }
  return bytes
}

const lengthBytes = (length: number): number =>
  length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4

/** Size of a var-uint with its length byte. */
export const varUintSize = (value: bigint): number => 1 + varUintBytes(value)
/** Size of `length` bytes with their length prefix. */
export const varOctetsSize = (length: number): number => lengthBytes(length) + length

export function writeUint8(cursor: Cursor, value: number): void {
  cursor.offset = cursor.bytes.writeUInt8(value, cursor.offset)
}

export function writeLength(cursor: Cursor, length: number): void {
  const size = lengthBytes(length) - 1
  if (size === 0) {
    writeUint8(cursor, length)
    return
  }
  writeUint8(cursor, 0x80 | size)
  cursor.offset = cursor.bytes.writeUIntBE(length, cursor.offset, size)
}

export function writeVarOctets(cursor: Cursor, bytes: Buffer): void {
  writeLength(cursor, bytes.length)
  cursor.offset += bytes.copy(cursor.bytes, cursor.offset)
}

export function writeVarUint(cursor: Cursor, value: bigint): void {
  const size = varUintBytes(value)
  assert(size <= 8, 'integers on the wire have at most 64 bits', value)
  writeUint8(cursor, size)
  if (size <= 6) cursor.offset = cursor.bytes.writeUIntBE(Number(value), cursor.offset, size)
  else if (size === 8) cursor.offset = cursor.bytes.writeBigUInt64BE(value, cursor.offset)
  else {
    cursor.offset = cursor.bytes.writeUIntBE(Number(value >> 32n), cursor.offset, 3)
    cursor.offset = cursor.bytes.writeUInt32BE(Number(value & 0xffffffffn), cursor.offset)
  }
}
