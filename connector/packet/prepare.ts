import { AMOUNT_MAX } from '../../shared/money/index.ts'
import { assert } from '../../shared/platform/index.ts'
import { isIlpAddress } from './address.ts'
import { readEnvelope, readVarOctets } from './envelope.ts'
import { InvalidPacket } from './errors.ts'
import { DATA_LENGTH_MAX, type IlpPrepare, packetType } from './model.ts'
import { readTimestamp, TIMESTAMP_LENGTH, writeTimestamp } from './timestamp.ts'

const AMOUNT_LENGTH = 8
const CONDITION_LENGTH = 32

/** A Prepare together with the bytes it was read from. `executionCondition` and `data` are views into them. */
export interface PreparePacket extends IlpPrepare {
  readonly bytes: Buffer
  /** Where the amount begins in `bytes`; the expiry follows it. */
  readonly amountOffset: number
}

/**
 * Reads a Prepare without copying. Stricter than the codec where leniency would let one packet have two readings: lengths in
 * shortest form, no bytes after the packet, times that exist, addresses of plain ASCII. What follows the data inside the packet goes
 * on as it is, because later versions may add fields there. Throws {@link InvalidPacket}.
 */
export function parsePrepare(bytes: Buffer): PreparePacket {
  const contents = readEnvelope(bytes, packetType.prepare)
  const amountOffset = contents.start
  const expiryOffset = amountOffset + AMOUNT_LENGTH
  const conditionOffset = expiryOffset + TIMESTAMP_LENGTH
  const addressOffset = conditionOffset + CONDITION_LENGTH
  if (addressOffset > contents.end) throw new InvalidPacket('Prepare is too short')
  const expiresAt = readTimestamp(bytes, expiryOffset)
  if (!expiresAt) throw new InvalidPacket('Prepare has an invalid expiry')
  const address = readVarOctets(bytes, addressOffset, contents.end)
  // latin1 keeps bytes above 127 as they are, so that the grammar refuses them; ascii would clear their high bit.
  const destination = bytes.toString('latin1', address.start, address.end)
  if (!isIlpAddress(destination)) throw new InvalidPacket('Prepare has an invalid destination address')
  const data = readVarOctets(bytes, address.end, contents.end)
  if (data.end - data.start > DATA_LENGTH_MAX) throw new InvalidPacket('Prepare has too much data')
  return {
    bytes,
    amountOffset,
    amount: bytes.readBigUInt64BE(amountOffset),
    expiresAt,
    executionCondition: bytes.subarray(conditionOffset, addressOffset),
    destination,
    data: bytes.subarray(data.start, data.end),
  }
}

/**
 * The packet as it goes to the next hop: amount and expiry overwritten in the very bytes of `packet`, everything else
 * untouched. `packet` itself keeps its old fields, but its `bytes` are those of the result.
 */
export function patchPrepare(
  packet: PreparePacket,
  change: { amount: bigint; expiresAt: Date },
): PreparePacket {
  assert(change.amount >= 0n && change.amount <= AMOUNT_MAX, 'a packet amount is a u64', change.amount)
  packet.bytes.writeBigUInt64BE(change.amount, packet.amountOffset)
  writeTimestamp(packet.bytes, packet.amountOffset + AMOUNT_LENGTH, change.expiresAt)
  return { ...packet, amount: change.amount, expiresAt: change.expiresAt }
}
