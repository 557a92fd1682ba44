import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createSecretBox, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  findKeptPackets,
  getSendProgress,
  type KeptPacket,
  keepPacket,
  recordAnswers,
  recordSendProgress,
  sweepKeptPackets,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(() => world.close())

const outgoing = async () => {
  const { url } = await world.incoming(world.carol)
  return (await world.outgoing(world.alice, url, { debit: 500n })).id
}
const packetOf = (outgoingPaymentId: string, fields: Partial<KeptPacket> = {}): KeptPacket => ({
  id: uuidv7(),
  outgoingPaymentId,
  tenantId: uuidv7(),
  sender: uuidv7(),
  peerId: uuidv7(),
  expiresAt: new Date('2031-02-03T04:05:06.789Z'),
  prepare: randomBytes(200),
  answerKey: randomBytes(32),
  ...fields,
})
const keep = async (outgoingPaymentId: string, number: number) => {
  const packets = Array.from({ length: number }, () => packetOf(outgoingPaymentId))
  await Promise.all(packets.map((packet) => keepPacket(world.ctx, packet)))
  return packets
}
const answersOf = (packets: readonly KeptPacket[]) =>
  packets.map(({ id }) => ({ id, sentAmount: 10n, deliveredAmount: 9n }))
const idsOf = (packets: readonly { id: string }[]) => packets.map(({ id }) => id)

async function figures(id: string) {
  const { sentAmount, deliveredAmount, packets } = await getSendProgress(world.ctx, id)
  return { sentAmount, deliveredAmount, packets, kept: (await findKeptPackets(world.ctx, id)).length }
}
const counted = (number: number, kept = 0) => ({
  sentAmount: 10n * BigInt(number),
  deliveredAmount: 9n * BigInt(number),
  packets: { sent: number, fulfilled: number, rejected: 0 },
  kept,
})

test('a packet is found as it was kept; its key by this node only, and not in plain', async () => {
  const id = await outgoing()
  const [packet] = await keep(id, 1)
  await keep(await outgoing(), 2)
  const [found, ...more] = await findKeptPackets(world.ctx, id)
  assert.deepEqual({ ...found, ageMs: undefined }, { ...packet, ageMs: undefined })
  assert.ok(found && found.ageMs >= 0 && found.ageMs < 10_000)
  assert.equal(more.length, 0)
  // Keys change while packets are under way: what cannot be opened is no reason to forget the packet.
  const stranger = { ...world.ctx, secretBox: createSecretBox('another secret') }
  const [sealed] = await findKeptPackets(stranger, id)
  assert.deepEqual([sealed?.id, sealed?.answerKey], [packet?.id, undefined])
})

test('whoever records a packet counts it, once, however many know its answer at the same time', async () => {
  for (let round = 0; round < 10; round++) {
    const id = await outgoing()
    const packets = await keep(id, 8)
    const others = () =>
      recordAnswers(world.ctx, {
        outgoingPaymentId: id,
        // More than is counted, so that nothing else keeps it from counting twice.
        debitsPosted: 800n,
        answered: answersOf(packets),
        over: idsOf(packets),
      })
    // Their own sender has counted three of them; two others ask for all.
    const own = () =>
      recordSendProgress(world.ctx, {
        outgoingPaymentId: id,
        ...counted(3),
        rejects: [],
        answered: idsOf(packets.slice(0, 3)),
      })
    await Promise.all(round % 2 === 0 ? [own(), others(), others()] : [others(), own(), others()])
    await others()
    assert.deepEqual(await figures(id), counted(8), `round ${round}`)
  }
})

test('what would be more than was debited has been counted by somebody who did not say so', async () => {
  const id = await outgoing()
  const packets = await keep(id, 4)
  // An earlier version, which keeps and forgets nothing.
  await recordSendProgress(world.ctx, { outgoingPaymentId: id, ...counted(4), rejects: [] })
  const given = { outgoingPaymentId: id, answered: answersOf(packets), over: idsOf(packets) }
  await recordAnswers(world.ctx, { ...given, debitsPosted: 40n })
  assert.deepEqual(await figures(id), counted(4))
})

test('what is over without an answer is forgotten, and counts nothing', async () => {
  const id = await outgoing()
  const [over, answered, stays] = await keep(id, 3)
  await recordAnswers(world.ctx, {
    outgoingPaymentId: id,
    debitsPosted: 10n,
    answered: answersOf([answered!]),
    over: idsOf([over!, answered!]),
  })
  assert.deepEqual(await figures(id), counted(1, 1))
  assert.deepEqual(idsOf(await findKeptPackets(world.ctx, id)), [stays?.id])
})

test('receivers say what they like: a total is no more than an amount can be', async () => {
  const id = await outgoing()
  const packets = await keep(id, 6)
  const answered = packets.map((packet) => ({
    id: packet.id,
    sentAmount: 1n,
    deliveredAmount: 2n ** 64n - 1n,
  }))
  await recordAnswers(world.ctx, {
    outgoingPaymentId: id,
    debitsPosted: 6n,
    answered,
    over: idsOf(packets),
  })
  const { deliveredAmount, kept } = await figures(id)
  assert.deepEqual([deliveredAmount, kept], [2n ** 64n - 1n, 0])
})

test('packets of payments that nobody sends any more are dropped after a day', async () => {
  const id = await outgoing()
  const now = Date.now()
  for (const hours of [25, 23, -1])
    await keepPacket(world.ctx, packetOf(id, { expiresAt: new Date(now - hours * 3_600_000) }))
  const clock = { fromNow: (ms: number) => new Date(now + ms) }
  const { length } = await sweepKeptPackets({ ...world.ctx, clock }, { limit: 10 })
  assert.deepEqual([length, (await figures(id)).kept], [1, 2])
})
