import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { getIncomingPaymentTimeline, type TimelineEntry } from '../incoming-payments/index.ts'
import { settlementAccountId } from '../ledger/index.ts'
import { Refusal, sql, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  cancelOutgoingPayment,
  getOutgoingPaymentTimeline,
  type OutgoingPayment,
  recordSendProgress,
  withdrawOutgoingPayment,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(() => {
  const { connector, remote } = world
  connector.isDown = false
  connector.sendFailures = []
  delete connector.maxPacketAmount
  delete connector.onSend
  remote.answer = undefined
  // What happened at the same moment tells nothing about order.
  world.clock.advance(1_000)
})
after(() => world.close())

const timelineOf = (payment: OutgoingPayment) => getOutgoingPaymentTimeline(world.ctx, 'all', payment.id)
/** Events are stamped by the database, whose clock is not the test's. */
const isStory = ({ kind }: TimelineEntry) => !kind.startsWith('WEBHOOK')
const seconds = (at: Date, since: Date) => (at.getTime() - since.getTime()) / 1000
const amountOf = ({ amount }: TimelineEntry) => amount && `${amount.value} ${amount.assetCode}`
const brief = (entries: readonly TimelineEntry[]) =>
  entries.filter(isStory).map((entry) => [entry.kind, entry.state, entry.code, amountOf(entry)])
const eventsIn = (entries: readonly TimelineEntry[]) =>
  entries.filter(({ kind }) => kind === 'WEBHOOK_EVENT').map(({ code }) => code)

const funded = async (url: string, debit = 50n) => {
  const payment = await world.outgoing(world.alice, url, { debit })
  world.clock.advance(1_000)
  await world.fund(payment)
  world.clock.advance(1_000)
  return payment
}
const rejected = {
  code: 'no_path',
  message: 'nobody knows the way',
  retryable: true,
  ilpCode: 'F02',
  triggeredBy: 'test.hop',
}

test('a payment that was paid', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.connector.maxPacketAmount = 30n
  world.connector.onSend = async ({ outgoingPaymentId }) => {
    await recordSendProgress(world.ctx, {
      outgoingPaymentId,
      sentAmount: 0n,
      deliveredAmount: 0n,
      packets: { sent: 5, fulfilled: 2, rejected: 3 },
      rejects: [
        { code: 'T04', triggeredBy: 'test.hop', count: 2 },
        { code: 'F08', triggeredBy: 'test.remote', count: 1 },
      ],
    })
  }
  await world.runJobs()
  world.clock.advance(1_000)
  await withdrawOutgoingPayment(world.ctx, 'all', { outgoingPaymentId: payment.id, timeoutSeconds: 0 })
  const timeline = await timelineOf(payment)
  assert.deepEqual(brief(timeline), [
    ['CREATED', 'FUNDING', undefined, '50 USD'],
    ['FUNDING_STARTED', undefined, undefined, undefined],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '50 USD'],
    ['STATE_CHANGED', 'SENDING', undefined, undefined],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '30 USD'],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '19 USD'],
    ['PACKETS_SENT', undefined, undefined, '49 USD'],
    ['PACKETS_REJECTED', undefined, 'T04', undefined],
    ['PACKETS_REJECTED', undefined, 'F08', undefined],
    ['STATE_CHANGED', 'COMPLETED', undefined, undefined],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '1 USD'],
  ])
  const details = timeline.filter(isStory).map((entry) => entry.details)
  assert.deepEqual(
    [details[2]?.type, details[2]?.side, details[2]?.otherAccountId],
    ['DEPOSIT', 'CREDIT', settlementAccountId(world.usd.ledger)],
  )
  assert.deepEqual(
    [4, 5, 10].map((place) => [details[place]?.type, details[place]?.side]),
    [
      ['TRANSFER', 'DEBIT'],
      ['TRANSFER', 'DEBIT'],
      ['WITHDRAWAL', 'DEBIT'],
    ],
  )
  assert.deepEqual(details.slice(6, 10), [
    { sent: 5, fulfilled: 2, rejected: 3 },
    { triggeredBy: 'test.hop', count: 2 },
    { triggeredBy: 'test.remote', count: 1 },
    { sentAmount: '49', deliveredAmount: '49' },
  ])
  assert.deepEqual(eventsIn(timeline), ['outgoing_payment.created', 'outgoing_payment.completed'])
  const times = timeline.map(({ at }) => at.getTime())
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  )
})

test('a payment that was tried again', async () => {
  const payment = await funded(world.remote.addPayment().url)
  const since = world.clock.now()
  world.connector.sendFailures = [rejected]
  await world.runJobs()
  world.clock.advance(10_000)
  await world.runJobs()
  const story = (await timelineOf(payment)).filter(isStory).slice(3)
  assert.deepEqual(
    story.map(({ kind, state, code, at }) => [seconds(at, since), kind, state, code]),
    [
      [-1, 'STATE_CHANGED', 'SENDING', undefined],
      [0, 'ATTEMPT_FAILED', undefined, 'no_path'],
      [10, 'LEDGER_TRANSFER', 'POSTED', undefined],
      [10, 'STATE_CHANGED', 'COMPLETED', undefined],
    ],
  )
  assert.equal(story[1]?.message, 'nobody knows the way')
  assert.deepEqual(story[1]?.details, {
    ilpCode: 'F02',
    triggeredBy: 'test.hop',
    retryAt: new Date(since.getTime() + 10_000).toISOString(),
  })
})

test('a payment that failed in the end tells of every attempt', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.remote.answer = 'unreachable'
  await world.runJobs()
  for (const wait of [10, 20, 30, 40]) {
    world.clock.advance(wait * 1000)
    await world.runJobs()
  }
  const story = brief(await timelineOf(payment)).slice(4)
  assert.deepEqual(story, [
    ...Array.from({ length: 4 }, () => ['ATTEMPT_FAILED', undefined, 'receiver_unreachable', undefined]),
    ['STATE_CHANGED', 'FAILED', 'receiver_unreachable', undefined],
  ])
})

test('a payment that waits for its connector says so once', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.connector.isDown = true
  for (let second = 0; second < 6; second++) {
    await world.runJobs()
    world.clock.advance(2_000)
  }
  world.connector.isDown = false
  await world.runJobs()
  assert.deepEqual(brief(await timelineOf(payment)).slice(3), [
    ['STATE_CHANGED', 'SENDING', undefined, undefined],
    ['WAITING', undefined, 'connector_unavailable', undefined],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '49 USD'],
    ['STATE_CHANGED', 'COMPLETED', undefined, undefined],
  ])
})

test('a payment that was cancelled', async () => {
  const payment = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  world.clock.advance(1_000)
  await cancelOutgoingPayment(world.ctx, 'all', {
    id: payment.id,
    reason: 'not enough money',
    cardPaymentFailureReason: 'invalid_request',
  })
  const timeline = await timelineOf(payment)
  assert.deepEqual(brief(timeline), [
    ['CREATED', 'FUNDING', undefined, '50 USD'],
    ['STATE_CHANGED', 'CANCELLED', 'invalid_request', undefined],
  ])
  assert.equal(timeline.find(({ state }) => state === 'CANCELLED')?.message, 'not enough money')
})

test('money that could not be brought', async () => {
  const poor = await world.addTenant()
  const payment = await world.outgoing(poor.wallet, world.remote.addPayment().url, { debit: 50n })
  // The settlement account refuses what its own transfer of the same id refuses: another amount under the event's id.
  const [event] = (await world.events('outgoing_payment.created')).filter(
    ({ data }) => data.id === payment.id,
  )
  assert.ok(event)
  await world.ledger.createTransfers([
    {
      kind: 'posted',
      id: event.id,
      debitAccountId: settlementAccountId(poor.asset.ledger),
      creditAccountId: poor.asset.id,
      ledger: poor.asset.ledger,
      code: 2,
      amount: 1n,
    },
  ])
  await assert.rejects(
    world.fund(payment),
    (error) => error instanceof Refusal && error.code === 'duplicate_transfer',
  )
  assert.deepEqual(brief(await timelineOf(payment)), [
    ['CREATED', 'FUNDING', undefined, '50 USD'],
    ['FUNDING_REFUSED', undefined, 'duplicate_transfer', undefined],
  ])
})

test('whatever others say, it can be written down', async () => {
  const payment = await funded(world.remote.addPayment().url)
  const message = `\0${'x'.repeat(498)}😀 and more`
  world.connector.sendFailures = [{ ...rejected, message, code: 'strange\0', ilpCode: 'F\0\0' }]
  world.connector.onSend = ({ outgoingPaymentId }) =>
    recordSendProgress(world.ctx, {
      outgoingPaymentId,
      sentAmount: 0n,
      deliveredAmount: 0n,
      packets: { sent: 1, fulfilled: 0, rejected: 1 },
      rejects: [{ code: 'F\0\0', triggeredBy: 'test.\ud83d', count: 1 }],
    })
  await world.runJobs()
  const story = (await timelineOf(payment)).filter(isStory)
  const attempt = story.find(({ kind }) => kind === 'ATTEMPT_FAILED')
  assert.deepEqual([attempt?.code, attempt?.details?.ilpCode], ['strange\uFFFD', 'F\uFFFD\uFFFD'])
  assert.equal(attempt?.message, `\uFFFD${'x'.repeat(498)}\uFFFD`)
  const reject = story.find(({ kind }) => kind === 'PACKETS_REJECTED')
  assert.deepEqual([reject?.code, reject?.details?.triggeredBy], ['F\uFFFD\uFFFD', 'test.\uFFFD'])
  world.clock.advance(10_000)
  await world.runJobs()
  assert.ok((await timelineOf(payment)).some(({ state }) => state === 'COMPLETED'))
})

test('notes of a payment that is tried for ever come to an end', async () => {
  const payment = await funded(world.remote.addPayment().url)
  await world.db.execute(sql`
    update outgoing_payments set history = (select jsonb_agg(jsonb_build_object('at', now(), 'kind', 'waiting')) from generate_series(1, 200))
    where id = ${payment.id}`)
  world.connector.sendFailures = [rejected]
  await world.runJobs()
  world.clock.advance(10_000)
  await world.runJobs()
  const kinds = (await timelineOf(payment)).map(({ kind }) => kind)
  assert.ok(!kinds.includes('ATTEMPT_FAILED'))
  assert.ok((await timelineOf(payment)).some(({ state }) => state === 'COMPLETED'))
})

test('of very many transfers the first and the last are shown, and that some are left out', async () => {
  const payment = await funded(world.remote.addPayment().url, 250n)
  world.connector.maxPacketAmount = 1n
  await world.runJobs()
  const timeline = await timelineOf(payment)
  const transfers = timeline.filter(({ kind }) => kind === 'LEDGER_TRANSFER')
  assert.equal(transfers.length, 200)
  assert.equal(timeline.filter(({ kind }) => kind === 'LEDGER_TRANSFERS_LEFT_OUT').length, 1)
  assert.equal(amountOf(transfers[0]!), '250 USD')
})

test('an incoming payment: from the first credit to the withdrawal', async () => {
  const receiver = await world.incoming(world.carol, 80n)
  for (const amount of [30n, 50n]) {
    const payment = await world.outgoing(world.alice, receiver.url, { debit: amount })
    world.clock.advance(1_000)
    await world.fund(payment)
    await world.runJobs()
  }
  const timeline = await getIncomingPaymentTimeline(world.ctx, 'all', receiver.id)
  assert.deepEqual(brief(timeline), [
    ['CREATED', 'PENDING', undefined, '80 USD'],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '30 USD'],
    ['STATE_CHANGED', 'PROCESSING', undefined, undefined],
    ['LEDGER_TRANSFER', 'POSTED', undefined, '50 USD'],
    ['STATE_CHANGED', 'COMPLETED', 'amount_received', undefined],
  ])
  const changes = timeline.filter(({ kind }) => kind === 'STATE_CHANGED')
  assert.deepEqual(
    changes.map(({ details }) => details),
    [{ receivedAmount: '30' }, { receivedAmount: '80' }],
  )
})

test('timelines of others are as unknown as such of payments that are not there', async () => {
  const payment = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  const receiver = await world.incoming(world.carol, 80n)
  const stranger = { tenantId: (await world.addTenant()).tenantId }
  const unknown = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code
  for (const id of [payment.id, uuidv7(), 'x'])
    await assert.rejects(getOutgoingPaymentTimeline(world.ctx, stranger, id), unknown('unknown_payment'))
  for (const id of [receiver.id, uuidv7(), 'x'])
    await assert.rejects(
      getIncomingPaymentTimeline(world.ctx, stranger, id),
      unknown('unknown_incoming_payment'),
    )
})
