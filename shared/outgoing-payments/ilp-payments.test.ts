import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { identityRate, parseRate } from '../money/index.ts'
import { uuidv7 } from '../platform/index.ts'
import { createReceiver } from '../receivers/index.ts'
import { REMOTE_URL } from '../testing/fake-remote.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  fundOutgoingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  getSendProgress,
  keepPacket,
  type OutgoingPayment,
  processOutgoingPayment,
  recordSendProgress,
  sealDataToTransmit,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(() => {
  const { connector, remote } = world
  connector.isDown = false
  connector.pathRate = identityRate
  connector.sends = []
  connector.sendFailures = []
  delete connector.packetsPerSlice
  delete connector.maxPacketAmount
  delete connector.onSend
  remote.answer = undefined
  remote.isGrantRefused = false
})
after(async () => {
  for (const { ledger, difference } of await world.audit()) assert.equal(difference, 0n, `ledger ${ledger}`)
  await world.close()
})

const read = (payment: OutgoingPayment) => getOutgoingPayment(world.ctx, 'all', payment.id)
const held = async (payment: OutgoingPayment) =>
  (await getOutgoingPaymentLiquidity(world.ctx, [payment.id]))[0]
const endOf = async (payment: OutgoingPayment) => {
  const ends = [
    ...(await world.events('outgoing_payment.completed')),
    ...(await world.events('outgoing_payment.failed')),
  ]
  return ends.filter(({ data }) => data.id === payment.id)
}
const funded = async (url: string, amounts: Parameters<PaymentWorld['outgoing']>[2] = { debit: 50n }) => {
  const payment = await world.outgoing(world.alice, url, amounts)
  await world.fund(payment)
  return payment
}
const retryable = (code: string) => ({ code, message: `${code} happened`, retryable: true })

test('a fixed send of 50 with one percent slippage delivers 49; one unit stays refundable', async () => {
  const receiver = world.remote.addPayment()
  const payment = await funded(receiver.url)
  assert.equal(payment.quote.method, 'ILP')
  assert.equal(payment.receiveAmount.value, 49n)
  await world.runJobs()
  const paid = await read(payment)
  assert.deepEqual(
    [paid.state, paid.sentAmount.value, paid.deliveredAmount.value, await held(payment)],
    ['COMPLETED', 49n, 49n, 1n],
  )
  assert.equal(receiver.received, 49n)
  const [event, ...others] = await endOf(payment)
  assert.equal(others.length, 0)
  assert.equal(event?.withdrawal, 1n)
  assert.deepEqual(
    [event?.data.balance, event?.data.sentAmount.value, event?.data.state],
    ['1', '49', 'COMPLETED'],
  )
})

test('dollars to euros at 0.91: 500 delivered is quoted at 556 and sent for 550', async () => {
  world.connector.prices['USD EUR'] = '0.91'
  world.connector.pathRate = parseRate('0.91')
  const receiver = world.remote.addPayment({ assetCode: 'EUR', incomingAmount: 500n })
  const payment = await funded(receiver.url, {})
  assert.equal(payment.debitAmount.value, 556n)
  await world.runJobs()
  const paid = await read(payment)
  assert.deepEqual([paid.state, paid.sentAmount.value, await held(payment)], ['COMPLETED', 550n, 6n])
  assert.equal(receiver.received, 500n)
  const [send] = world.connector.sends
  assert.deepEqual(send?.minRate, parseRate('0.9009'))
  assert.equal(send?.debitAmount, 556n)
  assert.equal(send?.receiveAmount, 500n)
})

test('sending goes on in slices until all has arrived', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 2
  const payment = await funded(world.remote.addPayment().url)
  await world.runJobs()
  const paid = await read(payment)
  assert.deepEqual([paid.state, paid.sentAmount.value], ['COMPLETED', 49n])
  assert.deepEqual(
    world.connector.sends.map(({ sentAmount, deliveredAmount }) => [sentAmount, deliveredAmount]),
    [
      [0n, 0n],
      [20n, 20n],
      [40n, 40n],
    ],
  )
})

test('a slice that another one overtook reads the receiver anew: what that one brought is not wanted once more', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 1
  const receiver = world.remote.addPayment({ incomingAmount: 49n })
  await funded(receiver.url)
  // Somebody else paid as well.
  receiver.received = 19n
  const [job] = await world.claim()
  assert.ok(job)
  let overtaken = false
  const lookupAccounts: typeof world.ledger.lookupAccounts = async (ids) => {
    if (!overtaken) {
      overtaken = true
      await processOutgoingPayment(world.ctx, job)
    }
    return world.ledger.lookupAccounts(ids)
  }
  await processOutgoingPayment({ ...world.ctx, ledger: { ...world.ledger, lookupAccounts } }, job)
  assert.deepEqual(
    world.connector.sends.map(({ deliveredAmount, receiveAmount }) => receiveAmount - deliveredAmount),
    [30n, 20n],
  )
})

test('while sending, the ledger says what was sent', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 2
  const payment = await funded(world.remote.addPayment().url)
  const seen: bigint[] = []
  world.connector.onSend = async () => {
    seen.push((await read(payment)).sentAmount.value)
  }
  await world.runJobs()
  assert.deepEqual(seen, [0n, 20n, 40n])
})

for (const [name, answer] of [
  ['refuses connections', 'unreachable'],
  ['answers 500', { status: 500, body: 'oops' }],
  ['answers 429', { status: 429, body: '' }],
  ['answers nonsense', { status: 200, body: '<html>' }],
  ['answers half a payment', { status: 200, body: '{"id":"https://remote.example"}' }],
] as const)
  test(`F3: a receiver whose node ${name} is tried again and never taken for paid`, async () => {
    const payment = await funded(world.remote.addPayment().url)
    world.remote.answer = answer
    await world.runJobs()
    const waiting = await read(payment)
    assert.deepEqual(
      [waiting.state, waiting.errorCode, waiting.stateAttempts, waiting.sentAmount.value],
      ['SENDING', 'receiver_unreachable', 1, 0n],
    )
    world.remote.answer = undefined
    world.clock.advance(10_000)
    await world.runJobs()
    const paid = await read(payment)
    assert.deepEqual([paid.state, paid.errorCode, paid.error], ['COMPLETED', undefined, undefined])
  })

test('F3: a receiver that stays unreachable fails the payment, all of it refundable', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.remote.answer = 'unreachable'
  await world.runJobs()
  for (const seconds of [10, 20, 30, 40]) {
    assert.equal((await read(payment)).state, 'SENDING')
    world.clock.advance(seconds * 1000)
    await world.runJobs()
  }
  const failed = await read(payment)
  assert.deepEqual(
    [failed.state, failed.errorCode, failed.stateAttempts, failed.sentAmount.value, await held(payment)],
    ['FAILED', 'receiver_unreachable', 5, 0n, 50n],
  )
  assert.equal((await endOf(payment))[0]?.withdrawal, 50n)
})

const closings: [string, string, (url: string) => void][] = [
  [
    'completed',
    'receiver_completed',
    (url) => Object.assign(world.remote.payments.get(url)!, { completed: true }),
  ],
  [
    'expired',
    'receiver_expired',
    (url) => Object.assign(world.remote.payments.get(url)!, { expiresAt: world.clock.now().toISOString() }),
  ],
  ['gone', 'unknown_receiver', (url) => world.remote.payments.delete(url)],
]
for (const [name, code, close] of closings)
  test(`a receiver that is ${name} before the first packet fails the payment by name`, async () => {
    const { url } = world.remote.addPayment()
    const payment = await funded(url)
    close(url)
    await world.runJobs()
    const failed = await read(payment)
    assert.deepEqual([failed.state, failed.errorCode, await held(payment)], ['FAILED', code, 50n])
    assert.equal(world.connector.sends.length, 0)
  })

const created = () =>
  createReceiver(world.ctx, { tenantId: world.tenantId, walletAddressUrl: `${REMOTE_URL}/bob` })
const readsOfReceivers = () => world.remote.requests.filter(({ method }) => method === 'GET').length

test('what its node said when it made the receiver will do for the first payment, and for no later one', async () => {
  const { url } = await created()
  const payments = [await funded(url)]
  const readsBefore = readsOfReceivers()
  await world.runJobs()
  assert.equal(readsOfReceivers(), readsBefore)
  payments.push(await funded(url))
  const readsBetween = readsOfReceivers()
  await world.runJobs()
  assert.equal(readsOfReceivers(), readsBetween + 1)
  for (const payment of payments) assert.equal((await read(payment)).state, 'COMPLETED')
})

for (const [name, code, close] of closings)
  test(`a receiver that is ${name} right after it was made fails the payment by name, though it was not asked before the first packet`, async () => {
    const { url } = await created()
    const payment = await funded(url)
    close(url)
    world.connector.sendFailures = [retryable('receiver_said_no')]
    await world.runJobs()
    const failed = await read(payment)
    assert.deepEqual([failed.state, failed.errorCode, await held(payment)], ['FAILED', code, 50n])
    assert.equal(world.connector.sends.length, 1)
  })

test('while a failure may have other reasons than the receiver it keeps its name', async () => {
  const { url } = await created()
  const payment = await funded(url)
  world.connector.sendFailures = [retryable('peer_busy')]
  await world.runJobs()
  assert.equal((await read(payment)).errorCode, 'peer_busy')
})

for (const [name, , close] of closings)
  test(`a receiver that is ${name} after something was sent completes the payment`, async () => {
    world.connector.maxPacketAmount = 10n
    world.connector.packetsPerSlice = 1
    const { url } = world.remote.addPayment()
    const payment = await funded(url)
    world.connector.onSend = async () => close(url)
    await world.runJobs()
    const paid = await read(payment)
    assert.deepEqual([paid.state, paid.sentAmount.value, await held(payment)], ['COMPLETED', 10n, 40n])
    assert.equal((await endOf(payment))[0]?.withdrawal, 40n)
  })

test('a quote that expired before the first packet fails the payment', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.clock.advance(300_000)
  await world.runJobs()
  const failed = await read(payment)
  assert.deepEqual([failed.state, failed.errorCode, await held(payment)], ['FAILED', 'quote_expired', 50n])
})

test('a quote that expires while sending does not stop it', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 1
  const payment = await funded(world.remote.addPayment().url)
  world.connector.onSend = async () => {
    world.clock.advance(300_000)
    delete world.connector.onSend
  }
  await world.runJobs()
  assert.deepEqual((await read(payment)).state, 'COMPLETED')
})

test('a failure that may pass is tried again, one that may not is the end', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.connector.sendFailures = [retryable('peer_busy')]
  await world.runJobs()
  assert.equal((await read(payment)).errorCode, 'peer_busy')
  world.clock.advance(10_000)
  await world.runJobs()
  assert.equal((await read(payment)).state, 'COMPLETED')

  const other = await funded(world.remote.addPayment().url)
  world.connector.sendFailures = [{ ...retryable('protocol_violation'), retryable: false }]
  await world.runJobs()
  const failed = await read(other)
  assert.deepEqual(
    [failed.state, failed.errorCode, failed.stateAttempts],
    ['FAILED', 'protocol_violation', 1],
  )
})

test('a part that was sent before the end stays sent, the rest is refundable', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 2
  world.connector.sendFailures = [undefined, { ...retryable('protocol_violation'), retryable: false }]
  const payment = await funded(world.remote.addPayment().url)
  await world.runJobs()
  const failed = await read(payment)
  assert.deepEqual(
    [failed.state, failed.sentAmount.value, await held(payment), failed.deliveredAmount.value],
    ['FAILED', 20n, 30n, 20n],
  )
  assert.equal((await endOf(payment))[0]?.withdrawal, 30n)
})

test('F23: a connector that is away costs no attempts, and the payment goes through when it is back', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.connector.isDown = true
  for (let outage = 0; outage < 20; outage++) {
    await world.runJobs()
    world.clock.advance(2_000)
  }
  const waiting = await read(payment)
  assert.deepEqual([waiting.state, waiting.stateAttempts], ['SENDING', 0])
  world.connector.isDown = false
  await world.runJobs()
  assert.equal((await read(payment)).state, 'COMPLETED')
})

test('a connector that stays away until the quote is over fails the payment, but only once none of its slices can run', async () => {
  const payment = await funded(world.remote.addPayment().url)
  world.connector.isDown = true
  world.clock.advance(299_500)
  await world.runJobs()
  world.clock.advance(5_999)
  assert.equal(await world.runJobs(), 0)
  world.clock.advance(1)
  await world.runJobs()
  const failed = await read(payment)
  assert.deepEqual([failed.state, failed.errorCode, await held(payment)], ['FAILED', 'quote_expired', 50n])
})

test('a payment whose packets nobody has asked about yet does not fail while the connector is away', async () => {
  const payment = await funded(world.remote.addPayment().url)
  const packet = {
    id: uuidv7(),
    outgoingPaymentId: payment.id,
    tenantId: payment.tenantId,
    sender: uuidv7(),
    peerId: uuidv7(),
    expiresAt: world.clock.now(),
    prepare: Buffer.alloc(100),
    answerKey: Buffer.alloc(32),
  }
  await keepPacket(world.ctx, packet)
  world.connector.isDown = true
  world.clock.advance(310_000)
  for (let wait = 0; wait < 5; wait++) {
    await world.runJobs()
    world.clock.advance(10_000)
  }
  assert.equal((await read(payment)).state, 'SENDING')
  await recordSendProgress(world.ctx, {
    outgoingPaymentId: payment.id,
    ...nothingSent,
    answered: [packet.id],
  })
  await world.runJobs()
  assert.deepEqual([(await read(payment)).state, await held(payment)], ['FAILED', 50n])
})
const nothingSent = {
  sentAmount: 0n,
  deliveredAmount: 0n,
  packets: { sent: 0, fulfilled: 0, rejected: 0 },
  rejects: [],
}

test('with a part sent and the connector gone for good the payment ends after its attempts', async () => {
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 1
  const payment = await funded(world.remote.addPayment().url)
  world.connector.onSend = async ({ sentAmount }) => {
    if (sentAmount > 0n) world.connector.isDown = true
  }
  await world.runJobs()
  world.clock.advance(300_000)
  for (let wait = 0; wait < 6; wait++) {
    await world.runJobs()
    world.clock.advance(6_000)
  }
  const failed = await read(payment)
  assert.deepEqual(
    [failed.state, failed.errorCode, failed.sentAmount.value, await held(payment)],
    ['FAILED', 'connector_unavailable', 10n, 40n],
  )
})

test('the end waits for packets in flight: nobody knows yet what was sent', async () => {
  const payment = await funded(world.remote.addPayment().url)
  const hold = {
    kind: 'pending',
    id: payment.id.replace(/^......../, '99999999'),
    debitAccountId: payment.id,
    creditAccountId: world.usd.id,
    ledger: world.usd.ledger,
    code: 1,
    amount: 5n,
    timeoutSeconds: 30,
  } as const
  assert.deepEqual(await world.ledger.createTransfers([hold]), ['created'])
  world.connector.sendFailures = [{ ...retryable('protocol_violation'), retryable: false }]
  const [job] = await world.claim()
  assert.ok(job)
  const outcome = await processOutgoingPayment(world.ctx, job)
  assert.equal(outcome.status, 'retry')
  await world.finish(job, outcome)
  assert.equal((await read(payment)).state, 'SENDING')
  await world.ledger.createTransfers([
    { kind: 'void', id: payment.id.replace(/^......../, '99999998'), pendingId: hold.id },
  ])
  world.connector.sendFailures = [{ ...retryable('protocol_violation'), retryable: false }]
  world.clock.advance(1_000)
  await world.runJobs()
  const failed = await read(payment)
  assert.deepEqual([failed.state, failed.sentAmount.value, await held(payment)], ['FAILED', 0n, 50n])
})

test('a fulfilled packet that cannot be posted yet, its hold gone: the payment waits for its connector', async () => {
  const receiver = world.remote.addPayment()
  const payment = await funded(receiver.url)
  const settle = world.connector.settle
  const packets = { sent: 1, fulfilled: 0, rejected: 0 }
  // The ledger was away for longer than the hold; the receiver has the money and is completed by it.
  world.connector.settle = async () => ({ status: 'pending', sentAmount: 0n, deliveredAmount: 0n, packets })
  Object.assign(receiver, { received: 49n, completed: true })
  await world.runJobs()
  assert.equal((await read(payment)).state, 'SENDING')
  const late = {
    kind: 'posted',
    id: payment.id.replace(/^......../, '77777777'),
    debitAccountId: payment.id,
    creditAccountId: world.usd.id,
    ledger: world.usd.ledger,
    code: 1,
    amount: 49n,
  } as const
  assert.deepEqual(await world.ledger.createTransfers([late]), ['created'])
  world.connector.settle = async () => ({ status: 'settled', sentAmount: 49n, deliveredAmount: 49n, packets })
  world.clock.advance(1_000)
  await world.runJobs()
  world.connector.settle = settle
  const paid = await read(payment)
  assert.deepEqual([paid.state, paid.sentAmount.value, await held(payment)], ['COMPLETED', 49n, 1n])
})

test('what a lost count left open is known from the least rate: nothing beyond it is sent twice', async () => {
  // A connector sent all and died; nobody recorded what arrived.
  const payment = await funded(world.remote.addPayment().url, {
    receive: { value: 1000n, assetCode: 'USD', assetScale: 2 },
  })
  const lost = {
    kind: 'posted',
    id: payment.id.replace(/^......../, '88888888'),
    debitAccountId: payment.id,
    creditAccountId: world.usd.id,
    ledger: world.usd.ledger,
    code: 1,
    amount: 500n,
  } as const
  assert.deepEqual(await world.ledger.createTransfers([lost]), ['created'])
  await world.runJobs()
  const [send] = world.connector.sends
  assert.deepEqual([send?.sentAmount, send?.deliveredAmount], [500n, 495n])
})

test('what the wallet gives for the receiver goes along, and only in its payment', async () => {
  const given = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  const sealedDataToTransmit = sealDataToTransmit(world.ctx, { outgoingPaymentId: given.id, text: 'for Bob' })
  await fundOutgoingPayment(world.ctx, 'all', { outgoingPaymentId: given.id, sealedDataToTransmit })
  const without = await funded(world.remote.addPayment().url)
  await world.runJobs()
  const sent = new Map(world.connector.sends.map((input) => [input.outgoingPaymentId, input.data]))
  assert.deepEqual([sent.get(given.id), sent.get(without.id)], ['for Bob', undefined])
})

test('whoever else funds the payment in the same moment: another tenant cannot, and what it gives for the receiver goes nowhere', async () => {
  const { tenantId: stranger } = await world.addTenant()
  const { id: outgoingPaymentId } = await world.outgoing(world.alice, world.remote.addPayment().url, {
    debit: 50n,
  })
  const sealedDataToTransmit = sealDataToTransmit(world.ctx, { outgoingPaymentId, text: 'from a stranger' })
  const strange = () =>
    fundOutgoingPayment(world.ctx, { tenantId: stranger }, { outgoingPaymentId, sealedDataToTransmit })
  await assert.rejects(strange(), { code: 'unknown_payment' })
  await world.runJobs()
  assert.equal((await getOutgoingPayment(world.ctx, 'all', outgoingPaymentId)).state, 'FUNDING')
  const [refused, funded] = await Promise.allSettled([
    strange(),
    fundOutgoingPayment(world.ctx, { tenantId: world.tenantId }, { outgoingPaymentId }),
  ])
  assert.deepEqual([refused.status, funded.status], ['rejected', 'fulfilled'])
  await world.runJobs()
  const sent = world.connector.sends.find((input) => input.outgoingPaymentId === outgoingPaymentId)
  assert.deepEqual([sent?.sentAmount, sent?.data], [0n, undefined])
})

test('what the wallet gives for the receiver is kept, whoever funds the payment at the same time without it', async () => {
  const { id: outgoingPaymentId } = await world.outgoing(world.alice, world.remote.addPayment().url, {
    debit: 50n,
  })
  const sealedDataToTransmit = sealDataToTransmit(world.ctx, { outgoingPaymentId, text: 'for Carol' })
  await Promise.all([
    fundOutgoingPayment(world.ctx, 'all', { outgoingPaymentId }),
    fundOutgoingPayment(world.ctx, 'all', { outgoingPaymentId, sealedDataToTransmit }),
  ])
  await world.runJobs()
  const sent = world.connector.sends.find((input) => input.outgoingPaymentId === outgoingPaymentId)
  assert.equal(sent?.data, 'for Carol')
})

test('reports of progress only grow, and an older one changes nothing', async () => {
  const payment = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  const packets = (sent: number) => ({ sent, fulfilled: sent, rejected: 0 })
  const report = (deliveredAmount: bigint, sent: number) =>
    recordSendProgress(world.ctx, {
      outgoingPaymentId: payment.id,
      sentAmount: deliveredAmount + 1n,
      deliveredAmount,
      packets: packets(sent),
      rejects: [],
    })
  await report(20n, 2)
  await report(10n, 1)
  const { deliveredAmount, packets: counted } = await read(payment)
  assert.equal(deliveredAmount.value, 20n)
  assert.deepEqual(counted, packets(2))
  assert.equal((await getSendProgress(world.ctx, payment.id)).sentAmount, 21n)
})
