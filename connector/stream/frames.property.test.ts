import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import * as theirs from 'ilp-protocol-stream/dist/src/packet.js'
import { openStreamPacket, sealStreamPacket } from './encryption.ts'
import { InvalidStreamPacket } from './errors.ts'
import { decodeStreamPacket, encodeStreamPacket, type Frame, type StreamPacket } from './frames.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const options = { seed, numRuns: 2000 }

const uint64 = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.nat(64).map((bits) => 2n ** BigInt(bits) - 1n),
  fc.nat(63).map((bits) => 2n ** BigInt(bits)),
)
const uint8 = fc.nat(255)
const text = fc.string({ unit: 'grapheme', maxLength: 150 })
const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const frame = <T extends object>(type: string, fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true }).map((values) => ({ type, ...values }) as unknown as Frame)

/** Fields in the order of RFC 29, written down a second time on purpose. */
const frames: fc.Arbitrary<Frame> = fc.oneof(
  frame('connectionClose', { errorCode: uint8, errorMessage: text }),
  frame('connectionNewAddress', { sourceAccount: text }),
  frame('connectionAssetDetails', { assetCode: text, assetScale: uint8 }),
  frame('connectionMaxData', { maxOffset: uint64 }),
  frame('connectionDataBlocked', { maxOffset: uint64 }),
  frame('connectionMaxStreamId', { maxStreamId: uint64 }),
  frame('connectionStreamIdBlocked', { maxStreamId: uint64 }),
  frame('streamClose', { streamId: uint64, errorCode: uint8, errorMessage: text }),
  frame('streamMoney', { streamId: uint64, shares: uint64 }),
  frame('streamMaxMoney', { streamId: uint64, receiveMax: uint64, totalReceived: uint64 }),
  frame('streamMoneyBlocked', { streamId: uint64, sendMax: uint64, totalSent: uint64 }),
  frame('streamData', { streamId: uint64, offset: uint64, data: octets }),
  frame('streamMaxData', { streamId: uint64, maxOffset: uint64 }),
  frame('streamDataBlocked', { streamId: uint64, maxOffset: uint64 }),
  frame('streamReceipt', { streamId: uint64, receipt: octets }),
)
const packets: fc.Arbitrary<StreamPacket> = fc.record(
  {
    type: fc.constantFrom(12, 13, 14),
    sequence: uint64,
    amount: uint64,
    frames: fc.array(frames, { maxLength: 8 }),
  },
  { noNullPrototype: true },
)

/** The packet as an object of ilp-protocol-stream, whose frame classes take the fields in order. */
function toTheirs(packet: StreamPacket): theirs.Packet {
  const classes = theirs as unknown as Record<string, new (...fields: unknown[]) => theirs.Frame>
  const converted = packet.frames.map(({ type, ...fields }) => {
    const Class = classes[`${type.charAt(0).toUpperCase()}${type.slice(1)}Frame`]!
    return new Class(
      ...Object.values(fields).map((value) => (typeof value === 'bigint' ? value.toString() : value)),
    )
  })
  return new theirs.Packet(packet.sequence.toString(), packet.type, packet.amount.toString(), converted)
}

test('we write the bytes that ilp-protocol-stream writes, and read them back', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const expected = toTheirs(packet)._serialize()
      assert.deepEqual(encodeStreamPacket(packet), expected)
      assert.deepEqual(decodeStreamPacket(expected), packet)
      assert.deepEqual(theirs.Packet._deserializeUnencrypted(encodeStreamPacket(packet)), toTheirs(packet))
    }),
    options,
  )
})

test('either side opens what the other encrypted', async () => {
  await fc.assert(
    fc.asyncProperty(
      packets,
      fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
      async (packet, bytes) => {
        const key = createSecretKey(bytes)
        const sealed = await toTheirs(packet).serializeAndEncrypt(bytes)
        assert.deepEqual(openStreamPacket(key, sealed), packet)
        const opened = await theirs.Packet.decryptAndDeserialize(bytes, sealStreamPacket(key, packet))
        assert.deepEqual(opened, toTheirs(packet))
      },
    ),
    { ...options, numRuns: 300 },
  )
})

function theirReading(bytes: Buffer): theirs.Packet | undefined {
  try {
    return theirs.Packet._deserializeUnencrypted(bytes)
  } catch {
    return undefined
  }
}

test('damaged bytes are refused with InvalidStreamPacket, or are what ilp-protocol-stream reads, if it does', () => {
  const damaged = fc
    .tuple(packets, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
    .map(([packet, changes, cut]) => {
      const bytes = encodeStreamPacket(packet)
      for (const [position, value] of changes) bytes[position % bytes.length] = value
      return cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes
    })
  fc.assert(
    fc.property(damaged, (bytes) => {
      let packet: StreamPacket
      try {
        packet = decodeStreamPacket(bytes)
      } catch (error) {
        assert.ok(error instanceof InvalidStreamPacket, String(error))
        return
      }
      const their = theirReading(bytes)
      if (their) assert.deepEqual(their, toTheirs(packet))
    }),
    { ...options, numRuns: 5000 },
  )
})
