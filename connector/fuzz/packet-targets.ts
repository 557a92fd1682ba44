import assert from 'node:assert/strict'
import { deserializeIlpPrepare, deserializeIlpReply } from 'ilp-packet'
import {
  amountTooLargeReject,
  createReject,
  deserializePrepare,
  deserializeReply,
  type IlpPrepare,
  type IlpReply,
  InvalidPacket,
  isFulfill,
  parseAmountTooLarge,
  parsePrepare,
  patchPrepare,
  serializePrepare,
  serializeReply,
} from '../packet/index.ts'
import type { FuzzTarget } from './target.ts'

const prepare = (more: Partial<IlpPrepare>): IlpPrepare => ({
  amount: 107n,
  destination: 'test.bank-b.token',
  executionCondition: Buffer.alloc(32, 7),
  expiresAt: new Date('2026-06-16T00:00:30.999Z'),
  data: Buffer.from('some data'),
  ...more,
})

const prepares = [
  prepare({}),
  prepare({ amount: 2n ** 64n - 1n, data: Buffer.alloc(0) }),
  prepare({ amount: 0n, data: Buffer.alloc(300, 1) }),
  prepare({ destination: `g.${'a'.repeat(200)}`, expiresAt: new Date('2028-02-29T23:59:59.000Z') }),
  prepare({ destination: 'peer.config', data: Buffer.alloc(127) }),
].map(serializePrepare)

const replies = [
  { fulfillment: Buffer.alloc(32, 3), data: Buffer.from('data') },
  { fulfillment: Buffer.alloc(32), data: Buffer.alloc(200) },
  createReject('T05', { triggeredBy: 'test.bank-b' }),
  createReject('F99', { triggeredBy: '', message: 'größer', data: Buffer.alloc(130, 9) }),
  amountTooLargeReject({ triggeredBy: 'test.bank-b', receivedAmount: 2000n, maximumAmount: 1000n }),
].map((reply) => serializeReply(reply as IlpReply))

/** What `parse` gives, or undefined when it refuses the bytes in the way that is agreed; anything else it throws goes on. */
function refusedOr<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidPacket) return undefined
    throw error
  }
}

const fieldsOf = ({ amount, destination, executionCondition, expiresAt, data }: IlpPrepare): IlpPrepare => ({
  amount,
  destination,
  executionCondition: Buffer.from(executionCondition),
  expiresAt,
  data: Buffer.from(data),
})

/** Whether the packet ends with its data: inside the envelope there may be more, for fields that later versions add. */
const endsWithData = (packet: IlpPrepare, bytes: Buffer): boolean =>
  packet.data.byteOffset + packet.data.length === bytes.byteOffset + bytes.length

/** Strict: what it takes has one encoding, means the same to ilp-packet, and changes in two fields only when forwarded. */
const prepareTarget: FuzzTarget = {
  name: 'prepare',
  corpus: prepares,
  check(bytes) {
    const original = Buffer.from(bytes)
    const packet = refusedOr(() => parsePrepare(bytes))
    assert.ok(bytes.equals(original), 'reading changes nothing')
    if (!packet) return 'refused'
    const fields = fieldsOf(packet)
    const theirs = deserializeIlpPrepare(bytes)
    assert.deepEqual(fields, fieldsOf({ ...theirs, amount: BigInt(theirs.amount) }))
    assert.deepEqual(fields, fieldsOf(deserializePrepare(bytes)))
    const isWhole = endsWithData(packet, bytes)
    if (isWhole) assert.deepEqual(serializePrepare(fields), original)
    const change = { amount: 2n ** 63n + 1n, expiresAt: new Date('2030-01-02T03:04:05.678Z') }
    const patched = patchPrepare(packet, change).bytes
    if (isWhole) assert.deepEqual(patched, serializePrepare({ ...fields, ...change }))
    assert.deepEqual(fieldsOf(parsePrepare(patched)), { ...fields, ...change })
    return 'accepted'
  },
}

const replyTarget: FuzzTarget = {
  name: 'reply',
  corpus: replies,
  check(bytes) {
    const reply = refusedOr(() => deserializeReply(bytes))
    if (!reply) return 'refused'
    assert.deepEqual(reply, deserializeIlpReply(bytes))
    // Text that is no UTF-8 reads as the replacement character, so it is what is read that has to come back.
    assert.deepEqual(deserializeReply(serializeReply(reply)), reply)
    const amounts = isFulfill(reply) ? undefined : parseAmountTooLarge(reply.data)
    if (amounts) assert.ok(amounts.receivedAmount > amounts.maximumAmount)
    return 'accepted'
  },
}

export const packetTargets: readonly FuzzTarget[] = [prepareTarget, replyTarget]
