import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { getIncomingPayment } from '../incoming-payments/index.ts'
import { createPaymentMethods } from '../payment-methods/index.ts'
import { AssertionFailed, Fault, sql } from '../platform/index.ts'
import { LeaseLost } from '../queue/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  cancelOutgoingPayment,
  fundOutgoingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  type OutgoingPayment,
  OutgoingPaymentRefusal,
  processOutgoingPayment,
  sweepOutgoingPayments,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(async () => {
  for (const { ledger, difference } of await world.audit()) assert.equal(difference, 0n, `ledger ${ledger}`)
  await world.close()
})

const read = (payment: OutgoingPayment) => getOutgoingPayment(world.ctx, 'all', payment.id)
const held = async (payment: OutgoingPayment) =>
  (await getOutgoingPaymentLiquidity(world.ctx, [payment.id]))[0]
const local = async (value = 100n) => {
  const receiver = await world.incoming(world.carol, value)
  return { receiver, payment: await world.outgoing(world.alice, receiver.url) }
}
const received = async (id: string) => (await getIncomingPayment(world.ctx, 'all', id)).receivedAmount.value
const deposits = (payment: OutgoingPayment) =>
  world.ledger
    .queryTransfers({ accountId: payment.id, side: 'credits', limit: 10 })
    .then((transfers) => transfers.map(({ amount }) => amount))
const endings = async (payment: OutgoingPayment) => {
  const all = [
    ...(await world.events('outgoing_payment.completed')),
    ...(await world.events('outgoing_payment.failed')),
  ]
  return all.filter(({ data }) => data.id === payment.id).length
}
const isRefusal = (code: string) => (error: unknown) =>
  error instanceof OutgoingPaymentRefusal && error.code === code

/** A ledger that loses the process's connection at a chosen moment: before the call reaches it, or after it was applied. */
function dyingLedger(call: 'createTransfers' | 'lookupAccounts', when: 'before' | 'after') {
  const died = () => new Fault('ledger_outcome_unknown', { retryable: true, message: 'the process died' })
  return {
    ...world.ctx,
    ledger: {
      ...world.ledger,
      [call]: async (items: never) => {
        if (when === 'after') await world.ledger[call](items)
        throw died()
      },
    },
  }
}

/** The same for a ledger in two steps: the accounts are made, and the transfers that need them are not. */
function dyingBetween() {
  const { ledger } = world
  const createTransfers: typeof ledger.createTransfers = async (events) => {
    await ledger.createAccounts(events.flatMap((event) => ('needs' in event ? (event.needs ?? []) : [])))
    throw new Fault('ledger_outcome_unknown', { retryable: true, message: 'the process died' })
  }
  return { ...world.ctx, ledger: { ...ledger, createTransfers } }
}

/** A database that is gone from the n-th transaction or statement on. */
function dyingDb(statements: number) {
  let left = statements
  const spend = <A extends unknown[], R>(run: (...args: A) => Promise<R>) =>
    (async (...args: A) => {
      if (left-- <= 0)
        throw new Fault('database_unavailable', { retryable: true, message: 'the process died' })
      return await run(...args)
    }) as (...args: A) => Promise<R>
  const { db } = world
  return {
    ...world.ctx,
    db: {
      ...db,
      many: spend(db.many) as typeof db.many,
      maybe: spend(db.maybe) as typeof db.maybe,
      one: spend(db.one) as typeof db.one,
      execute: spend(db.execute),
      batched: spend(db.batched) as typeof db.batched,
      tx: spend(db.tx) as typeof db.tx,
    },
  }
}

const fundWith = (ctx: Parameters<typeof fundOutgoingPayment>[0], payment: OutgoingPayment) =>
  fundOutgoingPayment(ctx, { tenantId: payment.tenantId }, { outgoingPaymentId: payment.id })

const crashPoints: [string, () => Parameters<typeof fundOutgoingPayment>[0]][] = [
  ['after the mark', () => dyingLedger('createTransfers', 'before')],
  ['after the account was made and before the deposit', dyingBetween],
  ['after the deposit', () => dyingLedger('createTransfers', 'after')],
  ['before the payment is SENDING', () => dyingDb(1)],
]
for (const [name, ctx] of crashPoints) {
  test(`F7: funding that dies ${name} is finished by the sweep: one deposit, one payment, one event`, async () => {
    const { payment, receiver } = await local()
    await assert.rejects(fundWith(ctx(), payment), Fault)
    assert.equal((await read(payment)).state, 'FUNDING')
    await assert.rejects(
      cancelOutgoingPayment(world.ctx, 'all', { id: payment.id }),
      isRefusal('wrong_state'),
    )
    assert.deepEqual(await sweepOutgoingPayments(world.ctx, { limit: 10 }), [])
    world.clock.advance(10_000)
    assert.deepEqual(await sweepOutgoingPayments(world.ctx, { limit: 10 }), [payment.id])
    await world.runJobs()
    assert.equal((await read(payment)).state, 'COMPLETED')
    assert.deepEqual(await deposits(payment), [100n])
    assert.equal(await received(receiver.id), 100n)
    assert.equal(await endings(payment), 1)
  })

  test(`F7: funding that dies ${name} is finished by the wallet's own repeat`, async () => {
    const { payment } = await local()
    await assert.rejects(fundWith(ctx(), payment), Fault)
    assert.equal((await world.fund(payment)).state, 'SENDING')
    assert.equal((await world.fund(payment)).state, 'SENDING')
    await world.runJobs()
    assert.equal((await world.fund(payment)).state, 'COMPLETED')
    assert.deepEqual(await deposits(payment), [100n])
  })
}

test('F7: many deposits at once are one deposit', async () => {
  const { payment } = await local()
  const results = await Promise.all(Array.from({ length: 16 }, () => world.fund(payment)))
  assert.ok(results.every(({ state }) => state === 'SENDING'))
  assert.deepEqual(await deposits(payment), [100n])
  await world.runJobs()
  assert.equal(await endings(payment), 1)
})

test('a cancel and a deposit at once: exactly one of them happens', async () => {
  for (let round = 0; round < 20; round++) {
    const { payment } = await local()
    const [cancelled, funded] = await Promise.allSettled([
      cancelOutgoingPayment(world.ctx, 'all', { id: payment.id, reason: 'changed my mind' }),
      // Its first statement meets any of the cancel's.
      delay((round % 5) * 0.8).then(() => world.fund(payment)),
    ])
    const { state } = await read(payment)
    assert.equal(cancelled.status === 'fulfilled', state === 'CANCELLED')
    assert.equal(funded.status === 'fulfilled', state === 'SENDING')
    assert.deepEqual(await deposits(payment), state === 'SENDING' ? [100n] : [])
  }
  await world.runJobs()
})

test('a cancelled payment takes no money', async () => {
  const { payment } = await local()
  const cancelled = await cancelOutgoingPayment(world.ctx, 'all', { id: payment.id, reason: 'no' })
  assert.deepEqual([cancelled.state, cancelled.metadata], ['CANCELLED', { cancellationReason: 'no' }])
  await assert.rejects(world.fund(payment), isRefusal('wrong_state'))
  await assert.rejects(cancelOutgoingPayment(world.ctx, 'all', { id: payment.id }), isRefusal('wrong_state'))
  assert.deepEqual(await deposits(payment), [])
})

test('only the debit amount can be deposited', async () => {
  const { payment } = await local()
  const input = { outgoingPaymentId: payment.id, amount: 99n }
  await assert.rejects(fundOutgoingPayment(world.ctx, 'all', input), isRefusal('invalid_amount'))
  assert.equal((await fundOutgoingPayment(world.ctx, 'all', { ...input, amount: 100n })).state, 'SENDING')
  await world.runJobs()
})

test('F6: a worker that dies after the ledger was posted: the next one finds it paid and pays nothing', async () => {
  for (const amount of [1n, 7n, 2n ** 53n + 1n]) {
    const { payment, receiver } = await local(amount)
    await world.fund(payment)
    const [job] = await world.claim()
    assert.ok(job)
    const dying = dyingLedger('createTransfers', 'after')
    const ctx = { ...dying, methods: createPaymentMethods(dying) }
    await assert.rejects(processOutgoingPayment(ctx, job), Fault)
    assert.equal(await received(receiver.id), amount)
    assert.equal((await read(payment)).sentAmount.value, amount)

    await world.finish(job, await processOutgoingPayment(world.ctx, job))
    const paid = await read(payment)
    assert.deepEqual(
      [paid.state, paid.sentAmount.value, paid.deliveredAmount.value, await held(payment)],
      ['COMPLETED', amount, amount, 0n],
    )
    assert.equal(await received(receiver.id), amount)
    assert.equal(await endings(payment), 1)
    assert.equal((await getIncomingPayment(world.ctx, 'all', receiver.id)).state, 'COMPLETED')
  }
})

test('F6: a worker that dies across currencies: both legs are there once', async () => {
  world.connector.prices['USD EUR'] = '0.91'
  const receiver = await world.incoming(world.bob)
  const payment = await world.outgoing(world.alice, receiver.url, { debit: 500n })
  await world.fund(payment)
  const [job] = await world.claim()
  assert.ok(job)
  const dying = dyingLedger('createTransfers', 'after')
  await assert.rejects(processOutgoingPayment({ ...dying, methods: createPaymentMethods(dying) }, job), Fault)
  await world.finish(job, await processOutgoingPayment(world.ctx, job))
  const paid = await read(payment)
  assert.deepEqual([paid.state, paid.sentAmount.value, paid.deliveredAmount.value], ['COMPLETED', 500n, 455n])
  assert.equal(await received(receiver.id), 455n)
})

test('F37: a worker that lost its lease cannot record; the payment is still paid and announced once', async () => {
  const { payment, receiver } = await local()
  await world.fund(payment)
  const [first] = await world.claim()
  assert.ok(first)
  // The lease ran out while the first one was stopped, and another worker took the job.
  await world.db.execute(
    sql`update jobs set lease_until = now() - interval '1 second' where key = ${payment.id}`,
  )
  const [second] = await world.claim()
  assert.ok(second && second.leaseToken !== first.leaseToken)
  await assert.rejects(processOutgoingPayment(world.ctx, first), LeaseLost)
  assert.equal((await read(payment)).state, 'SENDING')
  await world.finish(second, await processOutgoingPayment(world.ctx, second))
  assert.equal((await read(payment)).state, 'COMPLETED')
  assert.equal(await received(receiver.id), 100n)
  assert.equal(await endings(payment), 1)
})

test('F37: two workers at once on one payment: one payment, one event', async () => {
  for (let round = 0; round < 5; round++) {
    const { payment, receiver } = await local()
    await world.fund(payment)
    const [first] = await world.claim()
    assert.ok(first)
    await world.db.execute(
      sql`update jobs set lease_until = now() - interval '1 second' where key = ${payment.id}`,
    )
    const [second] = await world.claim()
    assert.ok(second)
    const outcomes = await Promise.allSettled([
      processOutgoingPayment(world.ctx, first),
      processOutgoingPayment(world.ctx, second),
    ])
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof LeaseLost, outcome.reason)
    const [, mine] = outcomes
    assert.ok(mine.status === 'fulfilled')
    await world.finish(second, mine.value)
    await world.runJobs()
    assert.equal((await read(payment)).state, 'COMPLETED')
    assert.equal(await received(receiver.id), 100n)
    assert.equal(await endings(payment), 1)
  }
})

test('a decision that nothing can be sent is taken again when something was sent meanwhile', async () => {
  const { payment, receiver } = await local()
  await world.fund(payment)
  const [job] = await world.claim()
  assert.ok(job)
  // Another worker pays between this one's look at the ledger and its look at the receiver.
  let looks = 0
  const ledger = {
    ...world.ledger,
    lookupAccounts: async (ids: readonly string[]) => {
      const accounts = await world.ledger.lookupAccounts(ids)
      if (ids[0] === payment.id && looks++ === 0)
        await processOutgoingPayment(world.ctx, { ...job, leaseToken: -1n }).catch(() => undefined)
      return accounts
    },
  }
  const outcome = await processOutgoingPayment({ ...world.ctx, ledger }, job)
  assert.equal(outcome.status, 'retry')
  assert.equal((await read(payment)).state, 'SENDING')
  await world.finish(job, outcome)
  await world.runJobs()
  assert.equal((await read(payment)).state, 'COMPLETED')
  assert.equal(await received(receiver.id), 100n)
})

test('F36: a job that was lost is asked for again, one that waits is left alone', async () => {
  const { payment } = await local()
  await world.fund(payment)
  await world.db.execute(sql`delete from jobs where key = ${payment.id}`)
  world.clock.advance(10_000)
  assert.deepEqual(await sweepOutgoingPayments(world.ctx, { limit: 10 }), [payment.id])
  assert.deepEqual(await sweepOutgoingPayments(world.ctx, { limit: 10 }), [])
  await world.runJobs()
  assert.equal((await read(payment)).state, 'COMPLETED')
})

test('a bug on the way costs attempts, not money', async () => {
  const { payment } = await local()
  await world.fund(payment)
  const { LOCAL, ILP } = world.ctx.methods
  const broken = async () => {
    throw new AssertionFailed('impossible', {})
  }
  const ctx = { ...world.ctx, methods: { ILP, LOCAL: { ...LOCAL, pay: broken } } }
  const [job] = await world.claim()
  assert.ok(job)
  const outcome = await processOutgoingPayment(ctx, job)
  assert.deepEqual(outcome, { status: 'retry', at: world.clock.fromNow(10_000) })
  await world.finish(job, outcome)
  assert.deepEqual([(await read(payment)).errorCode, await held(payment)], ['internal_error', 100n])
  world.clock.advance(10_000)
  await world.runJobs()
  assert.equal((await read(payment)).state, 'COMPLETED')
})

test('a faulty database or ledger ends no payment', async () => {
  const { payment } = await local()
  await world.fund(payment)
  const [job] = await world.claim()
  assert.ok(job)
  for (let statements = 0; statements < 3; statements++)
    await assert.rejects(processOutgoingPayment({ ...world.ctx, ...dyingDb(statements) }, job), Fault)
  await assert.rejects(
    processOutgoingPayment({ ...world.ctx, ...dyingLedger('lookupAccounts', 'before') }, job),
    Fault,
  )
  assert.deepEqual([(await read(payment)).state, (await read(payment)).stateAttempts], ['SENDING', 0])
  await world.finish(job, await processOutgoingPayment(world.ctx, job))
  assert.equal((await read(payment)).state, 'COMPLETED')
  assert.equal(await endings(payment), 1)
})
