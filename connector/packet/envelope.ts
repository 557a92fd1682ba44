import { InvalidPacket } from './errors.ts'

/** Where a var-octet-string's contents lie (OER, X.696): `end` is the first byte after them. */
export interface Slice {
  start: number
  end: number
}

/**
 * Reads a length prefix at `offset` and checks that the contents lie before `limit`. Only the shortest form of a length is
 * accepted, so a packet has one encoding.
 */
export function readVarOctets(bytes: Buffer, offset: number, limit: number): Slice {
  const first = offset < limit ? bytes[offset] : undefined
  if (first === undefined) throw new InvalidPacket('packet ends before a length')
  let length = first
  let start = offset + 1
  if (first >= 0x80) {
    const size = first & 0x7f
    if (size === 0 || size > 3 || start + size > limit) throw new InvalidPacket('invalid length prefix')
    length = bytes.readUIntBE(start, size)
    start += size
    if (length < Math.max(0x80, 2 ** (8 * (size - 1))))
      throw new InvalidPacket('length is not in its shortest form')
  }
  if (start + length > limit) throw new InvalidPacket('packet ends before its contents do')
  return { start, end: start + length }
}

/** Bytes behind a length prefix in its shortest form. Bounded as what is read here: below 2^24 bytes. */
export function writeVarOctets(contents: Buffer): Buffer {
  const { length } = contents
  const size = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3
  const prefix = Buffer.alloc(1 + size, size === 0 ? length : 0x80 | size)
  if (size > 0) prefix.writeUIntBE(length, 1, size)
  return Buffer.concat([prefix, contents])
}

/** The contents of a packet of `type` that is exactly `bytes`: bytes after the envelope are refused. */
export function readEnvelope(bytes: Buffer, type: number): Slice {
  if (bytes[0] !== type) throw new InvalidPacket(`expected a packet of type ${type}`)
  const contents = readVarOctets(bytes, 1, bytes.length)
  if (contents.end !== bytes.length) throw new InvalidPacket('bytes after the end of the packet')
  return contents
}
