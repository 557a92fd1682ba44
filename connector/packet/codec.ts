import {
  deserializeIlpFulfill,
  deserializeIlpPrepare,
  deserializeIlpReject,
  serializeIlpFulfill,
  serializeIlpPrepare,
  serializeIlpReject,
} from 'ilp-packet'
import { assert } from '../../shared/platform/index.ts'
import { readEnvelope } from './envelope.ts'
import { InvalidPacket } from './errors.ts'
import {
  DATA_LENGTH_MAX,
  type IlpFulfill,
  type IlpPrepare,
  type IlpReject,
  type IlpReply,
  isFulfill,
  packetType,
} from './model.ts'

const assertDataFits = (data: Buffer) =>
  assert(data.length <= DATA_LENGTH_MAX, 'packet data is at most 32767 bytes', data.length)

export function serializePrepare(prepare: IlpPrepare): Buffer {
  assertDataFits(prepare.data)
  return serializeIlpPrepare({ ...prepare, amount: prepare.amount.toString() })
}

export function serializeFulfill(fulfill: IlpFulfill): Buffer {
  assertDataFits(fulfill.data)
  return serializeIlpFulfill(fulfill)
}

export function serializeReject(reject: IlpReject): Buffer {
  assertDataFits(reject.data)
  return serializeIlpReject(reject)
}

export const serializeReply = (reply: IlpReply): Buffer =>
  isFulfill(reply) ? serializeFulfill(reply) : serializeReject(reply)

/** Runs the codec's own decoder over exactly one packet of `type`; whatever it throws becomes {@link InvalidPacket}. */
function decode<T extends { data: Buffer }>(bytes: Buffer, type: number, decoder: (bytes: Buffer) => T): T {
  readEnvelope(bytes, type)
  let packet: T
  try {
    packet = decoder(bytes)
  } catch (error) {
    throw new InvalidPacket('malformed packet', error)
  }
  if (packet.data.length > DATA_LENGTH_MAX) throw new InvalidPacket('packet has too much data')
  return packet
}

/** Throws {@link InvalidPacket}. Packets that arrive from outside are read with `parsePrepare`, which is stricter and cheaper. */
export function deserializePrepare(bytes: Buffer): IlpPrepare {
  const packet = decode(bytes, packetType.prepare, deserializeIlpPrepare)
  return { ...packet, amount: BigInt(packet.amount) }
}

/** Throws {@link InvalidPacket}. */
export const deserializeReply = (bytes: Buffer): IlpReply =>
  bytes[0] === packetType.fulfill
    ? decode<IlpFulfill>(bytes, packetType.fulfill, deserializeIlpFulfill)
    : decode<IlpReject>(bytes, packetType.reject, deserializeIlpReject)
