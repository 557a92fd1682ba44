import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getIncomingPayment } from '../incoming-payments/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import { getOutgoingPayment, getOutgoingPaymentLiquidity, type OutgoingPayment } from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(async () => {
  for (const { ledger, difference, pending } of await world.audit()) {
    assert.equal(difference, 0n, `ledger ${ledger} balances`)
    assert.equal(pending, 0n)
  }
  await world.close()
})

const read = (payment: OutgoingPayment) => getOutgoingPayment(world.ctx, 'all', payment.id)
const held = async (payment: OutgoingPayment) =>
  (await getOutgoingPaymentLiquidity(world.ctx, [payment.id]))[0]
const received = async (id: string) => (await getIncomingPayment(world.ctx, 'all', id)).receivedAmount.value
const eur = (value: bigint) => ({ value, assetCode: 'EUR', assetScale: 2 })
const usd = (value: bigint) => ({ value, assetCode: 'USD', assetScale: 2 })

const pay = async (payment: OutgoingPayment) => {
  await world.fund(payment)
  await world.runJobs()
  return await read(payment)
}

test('a fixed send in one currency delivers all of it', async () => {
  const receiver = await world.incoming(world.carol)
  const payment = await world.outgoing(world.alice, receiver.url, { debit: 50n })
  assert.equal(payment.state, 'FUNDING')
  assert.equal(payment.quote.method, 'LOCAL')
  const paid = await pay(payment)
  assert.equal(paid.state, 'COMPLETED')
  assert.equal(paid.sentAmount.value, 50n)
  assert.equal(paid.deliveredAmount.value, 50n)
  assert.equal(await received(receiver.id), 50n)
  assert.equal(await held(payment), 0n)
  assert.equal((await getIncomingPayment(world.ctx, 'all', receiver.id)).state, 'PROCESSING')
})

test('a fixed delivery across currencies costs its price, rounded up', async () => {
  world.connector.prices['USD EUR'] = '0.91'
  const receiver = await world.incoming(world.bob, 500n)
  const payment = await world.outgoing(world.alice, receiver.url)
  assert.equal(payment.debitAmount.value, 550n)
  assert.equal(payment.receiveAmount.value, 500n)
  const liquidity = async () => {
    const [source, destination] = await world.ledger.lookupAccounts([world.usd.id, world.eur.id])
    assert.ok(source && destination)
    return [source.creditsPosted - source.debitsPosted, destination.creditsPosted - destination.debitsPosted]
  }
  const [sourceBefore = 0n, destinationBefore = 0n] = await liquidity()
  const paid = await pay(payment)
  assert.equal(paid.state, 'COMPLETED')
  assert.equal(paid.sentAmount.value, 550n)
  assert.equal(paid.deliveredAmount.value, 500n)
  assert.equal(await received(receiver.id), 500n)
  assert.deepEqual(await liquidity(), [sourceBefore + 550n, destinationBefore - 500n])
  assert.equal(world.connector.sends.length, 0)
})

test("a receiver's account that is there with other fields takes the money all the same", async () => {
  world.connector.prices['USD EUR'] = '0.91'
  for (const [payee, ledger, value] of [
    [world.carol, world.usd.ledger, 50n],
    [world.bob, world.eur.ledger, 91n],
  ] as const) {
    const receiver = await world.incoming(payee, value)
    const account = { id: receiver.id, ledger, code: 9, debitsMustNotExceedCredits: true }
    assert.deepEqual(await world.ledger.createAccounts([account]), ['created'])
    const paid = await pay(await world.outgoing(world.alice, receiver.url))
    assert.equal(paid.state, 'COMPLETED')
    assert.equal(await received(receiver.id), value)
  }
})

test('a fixed send across currencies delivers its value, rounded down', async () => {
  world.connector.prices['USD EUR'] = '0.91'
  const receiver = await world.incoming(world.bob)
  const paid = await pay(await world.outgoing(world.alice, receiver.url, { debit: 500n }))
  assert.equal(paid.sentAmount.value, 500n)
  assert.equal(await received(receiver.id), 455n)
})

test('the receiver is completed and announced once, and at once when nobody else can be paying, with all that arrived', async () => {
  const receiver = await world.incoming(world.carol, 70n)
  await pay(await world.outgoing(world.alice, receiver.url))
  assert.equal((await getIncomingPayment(world.ctx, 'all', receiver.id)).state, 'COMPLETED')
  const announced = async () =>
    (await world.events('incoming_payment.completed')).filter(({ data }) => data.id === receiver.id)
  await world.runJobs('incoming-payments')
  await world.runJobs('incoming-payments')
  assert.deepEqual(
    (await announced()).map(({ withdrawal }) => withdrawal),
    [70n],
  )
})

test('several payments fill one receiver; who comes too late is refunded', async () => {
  const receiver = await world.incoming(world.carol, 100n)
  const open = (value: bigint) => world.outgoing(world.alice, receiver.url, { receive: usd(value) })
  const payments = [await open(60n), await open(60n), await open(60n)]
  const [first, second, third] = [await pay(payments[0]!), await pay(payments[1]!), await pay(payments[2]!)]
  assert.deepEqual([first.state, first.sentAmount.value], ['COMPLETED', 60n])
  // Only 40 were still wanted, so only 40 were taken.
  assert.deepEqual([second.state, second.sentAmount.value, await held(second)], ['COMPLETED', 40n, 20n])
  assert.deepEqual([third.state, third.sentAmount.value, await held(third)], ['FAILED', 0n, 60n])
  assert.equal(third.errorCode, 'receiver_completed')
  assert.equal(await received(receiver.id), 100n)
})

test('an asset without liquidity is a failure that may pass: the next attempt pays', async () => {
  world.connector.prices['USD EUR'] = '1'
  const receiver = await world.incoming(world.bob)
  const big = await world.outgoing(world.alice, receiver.url, { receive: eur(5_000_000n) })
  await world.fund(big)
  await world.runJobs()
  const waiting = await read(big)
  assert.deepEqual(
    [waiting.state, waiting.stateAttempts, waiting.errorCode, waiting.sentAmount.value],
    ['SENDING', 1, 'insufficient_liquidity', 0n],
  )
  await world.deposit(world.eur, 5_000_000n)
  world.clock.advance(9_000)
  assert.equal(await world.runJobs(), 0)
  world.clock.advance(1_001)
  await world.runJobs()
  const paid = await read(big)
  assert.deepEqual([paid.state, paid.sentAmount.value, paid.error], ['COMPLETED', 5_000_000n, undefined])
})

test('after as many refusals as attempts are allowed the payment fails and all its money is refundable', async () => {
  world.connector.prices['USD EUR'] = '1'
  const receiver = await world.incoming(world.bob)
  const payment = await world.outgoing(world.alice, receiver.url, { receive: eur(90_000_000n) })
  await world.fund(payment)
  await world.runJobs()
  for (let attempt = 1; attempt < 5; attempt++) {
    assert.equal((await read(payment)).stateAttempts, attempt)
    world.clock.advance(attempt * 10_000 - 1)
    assert.equal(await world.runJobs(), 0)
    world.clock.advance(1)
    assert.equal(await world.runJobs(), 1)
  }
  const failed = await read(payment)
  assert.deepEqual(
    [failed.state, failed.stateAttempts, failed.errorCode, await held(payment)],
    ['FAILED', 5, 'insufficient_liquidity', payment.debitAmount.value],
  )
  const [event] = (await world.events('outgoing_payment.failed')).filter(({ data }) => data.id === payment.id)
  assert.equal(event?.withdrawal, payment.debitAmount.value)
  assert.equal(event?.data.balance, payment.debitAmount.value.toString())
})
