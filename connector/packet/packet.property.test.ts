import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deserializeIlpPrepare } from 'ilp-packet'
import {
  deserializePrepare,
  deserializeReply,
  type IlpPrepare,
  type IlpReply,
  InvalidPacket,
  parsePrepare,
  patchPrepare,
  serializePrepare,
  serializeReply,
} from './index.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const options = { seed, numRuns: 2000 }

const amounts = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(0n, 1n, 2n ** 63n, 2n ** 64n - 1n))
const octets = (max: number) => fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes))
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
const times = fc.date({
  min: new Date('1970-01-02T00:00:00Z'),
  max: new Date('9999-12-31T23:59:59.999Z'),
  noInvalidDate: true,
})
const addresses = fc
  .tuple(
    fc.constantFrom('g', 'private', 'example', 'peer', 'self', 'test', 'test1', 'test3', 'local'),
    fc.array(fc.stringMatching(/^[a-zA-Z0-9_~-]{1,40}$/), { minLength: 1, maxLength: 6 }),
  )
  .map(([scheme, segments]) => [scheme, ...segments].join('.'))
const plain = { noNullPrototype: true }
const prepares: fc.Arbitrary<IlpPrepare> = fc.record(
  {
    amount: amounts,
    destination: addresses,
    executionCondition: bytes32,
    expiresAt: times,
    data: octets(400),
  },
  plain,
)
const replies: fc.Arbitrary<IlpReply> = fc.oneof(
  fc.record({ fulfillment: bytes32, data: octets(400) }, plain),
  fc.record(
    {
      code: fc.stringMatching(/^[FTR][0-9]{2}$/),
      triggeredBy: fc.oneof(addresses, fc.constant('')),
      message: fc.string({ unit: 'grapheme', maxLength: 200 }),
      data: octets(400),
    },
    plain,
  ),
)

/** A packet's bytes with some of them flipped, removed or doubled; sometimes only noise. */
const damaged = (packets: fc.Arbitrary<Buffer>) =>
  fc.oneof(
    { weight: 1, arbitrary: octets(300) },
    {
      weight: 5,
      arbitrary: fc
        .tuple(packets, fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('flip', 'cut', 'add'))))
        .map(([packet, changes]) => {
          let bytes = Buffer.from(packet)
          for (const [position, value, kind] of changes) {
            const at = bytes.length === 0 ? 0 : position % bytes.length
            if (kind === 'flip' && bytes.length > 0) bytes[at] = value
            if (kind === 'cut') bytes = bytes.subarray(0, at)
            if (kind === 'add')
              bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(value), bytes.subarray(at)])
          }
          return bytes
        }),
    },
  )

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    assert.ok(error instanceof InvalidPacket, String(error))
    return undefined
  }
}

test('what is written is read again, by the codec and in place', () => {
  fc.assert(
    fc.property(prepares, (prepare) => {
      const bytes = serializePrepare(prepare)
      const { bytes: _, amountOffset: __, ...inPlace } = parsePrepare(bytes)
      assert.deepEqual(inPlace, prepare)
      assert.deepEqual(deserializePrepare(bytes), prepare)
    }),
    options,
  )
  fc.assert(
    fc.property(replies, (reply) => {
      assert.deepEqual(deserializeReply(serializeReply(reply)), reply)
    }),
    options,
  )
})

test('patching in place writes what the codec would have written', () => {
  fc.assert(
    fc.property(prepares, amounts, times, (prepare, amount, expiresAt) => {
      const packet = parsePrepare(serializePrepare(prepare))
      const next = patchPrepare(packet, { amount, expiresAt })
      assert.deepEqual(next.bytes, serializePrepare({ ...prepare, amount, expiresAt }))
      assert.deepEqual(parsePrepare(next.bytes), next)
    }),
    options,
  )
})

test('damaged prepares are refused with InvalidPacket, or mean to us what they mean to the codec', () => {
  fc.assert(
    fc.property(damaged(prepares.map(serializePrepare)), (bytes) => {
      parsed(() => deserializePrepare(bytes))
      const packet = parsed(() => parsePrepare(bytes))
      if (!packet || packet.expiresAt.getTime() === 0) return
      const { bytes: _, amountOffset: __, amount, ...rest } = packet
      assert.deepEqual(deserializeIlpPrepare(bytes), { ...rest, amount: amount.toString() })
    }),
    { ...options, numRuns: 5000 },
  )
})

test('damaged replies are refused with InvalidPacket', () => {
  fc.assert(
    fc.property(damaged(replies.map(serializeReply)), (bytes) => {
      parsed(() => deserializeReply(bytes))
    }),
    { ...options, numRuns: 5000 },
  )
})
