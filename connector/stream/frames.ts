import { InvalidStreamPacket } from './errors.ts'
import {
  type Cursor,
  cursorOver,
  readUint8,
  readVarOctets,
  readVarUint,
  varOctetsSize,
  varUintSize,
  writeLength,
  writeUint8,
  writeVarOctets,
  writeVarUint,
} from './oer.ts'

/**
 * Every frame of STREAM (RFC 29 §5.3): its number, and its fields in wire order. `uint` is a var-uint, `saturating` one whose
 * values beyond u64 read as the largest u64, `text` and `octets` have a length prefix.
 */
const layouts = {
  connectionClose: { code: 0x01, fields: { errorCode: 'uint8', errorMessage: 'text' } },
  connectionNewAddress: { code: 0x02, fields: { sourceAccount: 'text' } },
  connectionMaxData: { code: 0x03, fields: { maxOffset: 'uint' } },
  connectionDataBlocked: { code: 0x04, fields: { maxOffset: 'uint' } },
  connectionMaxStreamId: { code: 0x05, fields: { maxStreamId: 'uint' } },
  connectionStreamIdBlocked: { code: 0x06, fields: { maxStreamId: 'uint' } },
  connectionAssetDetails: { code: 0x07, fields: { assetCode: 'text', assetScale: 'uint8' } },
  streamClose: { code: 0x10, fields: { streamId: 'uint', errorCode: 'uint8', errorMessage: 'text' } },
  streamMoney: { code: 0x11, fields: { streamId: 'uint', shares: 'uint' } },
  streamMaxMoney: {
    code: 0x12,
    fields: { streamId: 'uint', receiveMax: 'saturating', totalReceived: 'uint' },
  },
  streamMoneyBlocked: { code: 0x13, fields: { streamId: 'uint', sendMax: 'saturating', totalSent: 'uint' } },
  streamData: { code: 0x14, fields: { streamId: 'uint', offset: 'uint', data: 'octets' } },
  streamMaxData: { code: 0x15, fields: { streamId: 'uint', maxOffset: 'uint' } },
  streamDataBlocked: { code: 0x16, fields: { streamId: 'uint', maxOffset: 'uint' } },
  streamReceipt: { code: 0x17, fields: { streamId: 'uint', receipt: 'octets' } },
} as const

type Layouts = typeof layouts
type Kind = 'uint8' | 'uint' | 'saturating' | 'text' | 'octets'
type ValueOf<K> = K extends 'uint8'
  ? number
  : K extends 'text'
    ? string
    : K extends 'octets'
      ? Buffer
      : bigint

export type FrameName = keyof Layouts
export type FrameOf<N extends FrameName> = { type: N } & {
  -readonly [F in keyof Layouts[N]['fields']]: ValueOf<Layouts[N]['fields'][F]>
}
export type Frame = { [N in FrameName]: FrameOf<N> }[FrameName]

/** `errorCode` of a connectionClose that is no error (RFC 29 §5.4). */
export const CLOSE_NO_ERROR = 1

/** The inside of a packet's data. */
export interface StreamPacket {
  /** Type of the ILP packet that carries it, so that a connector cannot pass a Reject's data off as a Fulfill's. */
  type: number
  sequence: bigint
  /** In a Prepare the least acceptable amount; in a reply the amount that arrived. */
  amount: bigint
  /** Frames of unknown types are left out when reading. */
  frames: Frame[]
}

type Value = number | bigint | string | Buffer
type Field = readonly [name: string, kind: Kind]

const VERSION = 1
const names = Object.keys(layouts) as FrameName[]
const fieldsOf = Object.fromEntries(
  names.map((name) => [name, Object.entries(layouts[name].fields) as Field[]]),
) as Record<FrameName, Field[]>
const nameOf = new Map<number, FrameName>(names.map((name) => [layouts[name].code, name]))

interface EncodedFrame {
  code: number
  /** Text is bytes already. */
  values: (number | bigint | Buffer)[]
  /** Of the contents, without their length prefix. */
  size: number
}

function encodeFrame(frame: Frame): EncodedFrame {
  const source = frame as unknown as Record<string, Value>
  const encoded: EncodedFrame = { code: layouts[frame.type].code, values: [], size: 0 }
  for (const [name] of fieldsOf[frame.type]) {
    const given = source[name] as Value
    const value = typeof given === 'string' ? Buffer.from(given, 'utf8') : given
    encoded.values.push(value)
    encoded.size +=
      typeof value === 'number'
        ? 1
        : typeof value === 'bigint'
          ? varUintSize(value)
          : varOctetsSize(value.length)
  }
  return encoded
}

function writeFrame(cursor: Cursor, frame: EncodedFrame): void {
  writeUint8(cursor, frame.code)
  writeLength(cursor, frame.size)
  for (const value of frame.values) {
    if (typeof value === 'number') writeUint8(cursor, value)
    else if (typeof value === 'bigint') writeVarUint(cursor, value)
    else writeVarOctets(cursor, value)
  }
}

/** The plaintext of a packet's data. */
export function encodeStreamPacket(packet: StreamPacket): Buffer {
  const frames = packet.frames.map(encodeFrame)
  const count = BigInt(frames.length)
  let size = 2 + varUintSize(packet.sequence) + varUintSize(packet.amount) + varUintSize(count)
  for (const frame of frames) size += 1 + varOctetsSize(frame.size)
  const cursor = cursorOver(Buffer.allocUnsafe(size))
  writeUint8(cursor, VERSION)
  writeUint8(cursor, packet.type)
  writeVarUint(cursor, packet.sequence)
  writeVarUint(cursor, packet.amount)
  writeVarUint(cursor, count)
  for (const frame of frames) writeFrame(cursor, frame)
  return cursor.bytes
}

function readValue(cursor: Cursor, kind: Kind): Value {
  switch (kind) {
    case 'uint8':
      return readUint8(cursor)
    case 'uint':
      return readVarUint(cursor)
    case 'saturating':
      return readVarUint(cursor, true)
    case 'text':
      return readVarOctets(cursor).toString('utf8')
    case 'octets':
      return readVarOctets(cursor)
  }
}

function readFrame(cursor: Cursor): Frame | undefined {
  const name = nameOf.get(readUint8(cursor))
  const contents = cursorOver(readVarOctets(cursor))
  if (name === undefined) return undefined
  const frame: Record<string, Value> = { type: name }
  for (const [field, kind] of fieldsOf[name]) frame[field] = readValue(contents, kind)
  return frame as unknown as Frame
}

/** Reads a plaintext; what follows the last frame is padding. Throws {@link InvalidStreamPacket}. */
export function decodeStreamPacket(plain: Buffer): StreamPacket {
  const cursor = cursorOver(plain)
  if (readUint8(cursor) !== VERSION) throw new InvalidStreamPacket('unknown version of STREAM')
  const packet: StreamPacket = {
    type: readUint8(cursor),
    sequence: readVarUint(cursor),
    amount: readVarUint(cursor),
    frames: [],
  }
  // Every frame takes bytes, so a huge count ends at the end of the packet.
  for (let count = readVarUint(cursor); count > 0n; count--) {
    const frame = readFrame(cursor)
    if (frame) packet.frames.push(frame)
  }
  return packet
}
