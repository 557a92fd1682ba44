import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { depositLiquidity } from '../../shared/assets/index.ts'
import { getIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { accountCode } from '../../shared/ledger/index.ts'
import { getOutgoingPayment, type OutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import {
  createDb,
  createListener,
  type Listener,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../../shared/platform/index.ts'
import { enqueueJob } from '../../shared/queue/index.ts'
import { startTasks } from '../../shared/schedule/index.ts'
import { type TestClock, waitFor } from '../../shared/testing/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../../shared/testing/payment-world.ts'
import { findWalletAddressForPackets } from '../../shared/wallet-addresses/index.ts'
import { paymentsTasks } from './tasks.ts'
import { consumePayments, type PaymentsWorker } from './worker.ts'

/** Consumers live in real time. */
const runningClock: TestClock = { ...systemClock, advance() {}, set() {} }

let world: PaymentWorld
let listener: Listener
before(async () => {
  world = await createPaymentWorld(runningClock)
  listener = createListener({ connectionString: world.db.connectionString, log: silentLogger })
})
after(async () => {
  for (const { difference } of await world.audit()) assert.equal(difference, 0n)
  await listener.close()
  await world.close()
})

function start(options = {}): PaymentsWorker {
  const terms = {
    outgoingWorkers: 1,
    outgoingIdleMs: 10,
    incomingWorkers: 1,
    incomingIdleMs: 200,
    walletAddressWorkers: 1,
    walletAddressIdleMs: 200,
    ...options,
  }
  const worker = consumePayments({ ...world.ctx, listener }, terms)
  const schedule = startTasks(world.ctx, paymentsTasks(world.ctx, terms))
  return {
    async close() {
      await Promise.all([worker.close(), schedule.close()])
    },
  }
}
const stateOf = async ({ id }: OutgoingPayment) => (await getOutgoingPayment(world.ctx, 'all', id)).state
const ended = (payments: OutgoingPayment[]) =>
  waitFor(
    async () => (await Promise.all(payments.map(stateOf))).every((state) => state === 'COMPLETED'),
    8_000,
  )
const funded = async (url: string) => await world.fund(await world.outgoing(world.alice, url, { debit: 50n }))

test('payments are sent as soon as they are funded, many side by side, and receivers are told', async () => {
  const worker = start()
  const local = await world.incoming(world.carol, 500n)
  const receivers = [
    ...Array.from({ length: 20 }, () => world.remote.addPayment().url),
    ...Array(10).fill(local.url),
  ]
  const startedAt = performance.now()
  const payments = await Promise.all(receivers.map(funded))
  await ended(payments)
  const elapsedMs = performance.now() - startedAt
  assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`)
  const { receivedAmount, state } = await getIncomingPayment(world.ctx, 'all', local.id)
  assert.deepEqual([receivedAmount.value, state], [500n, 'COMPLETED'])
  await waitFor(
    async () => (await world.events('incoming_payment.completed')).some(({ data }) => data.id === local.id),
    8_000,
  )
  await worker.close()
})

test('F21: a slow payment does not hold up others', async () => {
  const worker = start()
  let release: () => void = () => {}
  const slow = world.remote.addPayment().url
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const slowPayment = await world.outgoing(world.alice, slow, { debit: 50n })
  world.connector.onSend = async ({ outgoingPaymentId }) => {
    if (outgoingPaymentId === slowPayment.id) await gate
  }
  await world.fund(slowPayment)
  const others = await Promise.all(Array.from({ length: 5 }, () => funded(world.remote.addPayment().url)))
  await ended(others)
  assert.equal(await stateOf(slowPayment), 'SENDING')
  release()
  await ended([slowPayment])
  delete world.connector.onSend
  await worker.close()
})

test('F21: two hundred payments that hang hold no connection and no transaction, and end when they can, whatever was cut meanwhile', async () => {
  const COUNT = 200
  const worker = start({ outgoingWorkers: 6 })
  const gate = Promise.withResolvers<void>()
  let hanging = 0
  world.connector.onSend = async () => {
    hanging++
    await gate.promise
  }
  const payments = await Promise.all(
    Array.from({ length: COUNT }, () => funded(world.remote.addPayment().url)),
  )
  await waitFor(() => hanging >= COUNT, 20_000)
  const inTransactions = await world.db.one(
    (row) => Number(row.count),
    sql`select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
      and (state like 'idle in transaction%' or now() - xact_start > interval '1 second')`,
  )
  assert.equal(inTransactions, 0)
  const times: number[] = []
  for (const payment of payments.slice(0, 50)) {
    const startedAt = performance.now()
    await stateOf(payment)
    times.push(performance.now() - startedAt)
  }
  const median = times.sort((a, b) => a - b)[25] ?? Number.NaN
  assert.ok(median < 50, `a read took ${median} ms`)
  const control = createDb({ connectionString: world.db.connectionString, poolSizeMax: 1 })
  await control.execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
  await control.close()
  gate.resolve()
  delete world.connector.onSend
  await waitFor(
    async () => (await Promise.all(payments.map(stateOf))).every((state) => state === 'COMPLETED'),
    30_000,
  )
  await worker.close()
})

test('F37: jobs that come twice, late, out of order and again while they run: each payment is paid and announced once', async () => {
  const workers = [start(), start()]
  world.connector.onSend = async () => await new Promise((resolve) => setTimeout(resolve, Math.random() * 40))
  const receivers = Array.from({ length: 60 }, () => world.remote.addPayment())
  const payments = await Promise.all(receivers.map(({ url }) => funded(url)))
  let isOver = false
  const broker = async () => {
    while (!isOver) {
      // A fifth of what runs is given out again as if its time were over; a fifth of what waits comes later or sooner.
      await world.db.execute(sql`
        update jobs set lease_until = case when lease_until is null then null else now() - interval '1 second' end,
          run_at = now() + random() * interval '300 milliseconds'
        where queue = 'outgoing-payments' and random() < 0.2`)
      await Promise.all(
        payments
          .filter(() => Math.random() < 0.2)
          .map(({ id, tenantId }) => enqueueJob(world.db, { queue: 'outgoing-payments', key: id, tenantId })),
      )
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const disturbing = broker()
  try {
    await waitFor(
      async () => (await Promise.all(payments.map(stateOf))).every((state) => state === 'COMPLETED'),
      30_000,
    )
  } finally {
    isOver = true
    await disturbing
    delete world.connector.onSend
    for (const worker of workers) await worker.close()
  }
  const completed = (await world.events('outgoing_payment.completed')).map(({ data }) => data.id)
  for (const { id } of payments) assert.equal(completed.filter((each) => each === id).length, 1)
  for (const payment of payments) {
    const { sentAmount } = await getOutgoingPayment(world.ctx, 'all', payment.id)
    assert.equal(sentAmount.value, 49n)
  }
})

test('F31: closing waits for what is in flight and starts nothing more', async () => {
  const worker = start()
  let isSending = false
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  world.connector.onSend = async () => {
    isSending = true
    await gate
  }
  const payment = await funded(world.remote.addPayment().url)
  await waitFor(async () => isSending)
  const closed = worker.close()
  const late = await funded(world.remote.addPayment().url)
  release()
  await closed
  delete world.connector.onSend
  assert.equal(await stateOf(payment), 'COMPLETED')
  assert.equal(await stateOf(late), 'SENDING')
  const next = start()
  await ended([late])
  await next.close()
})

test('F36: what a crash left is found by the sweep soon after a start: lost jobs, funding cut short, the unfunded', async () => {
  const lost = await funded(world.remote.addPayment().url)
  const cutShort = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  const unfunded = await world.outgoing(world.alice, world.remote.addPayment().url, { debit: 50n })
  await world.db.execute(sql`delete from jobs where key = ${lost.id}`)
  const old = sql`now() - interval '1 minute'`
  await world.db.execute(
    sql`update outgoing_payments set funding_started_at = ${old} where id = ${cutShort.id}`,
  )
  await world.db.execute(
    sql`update outgoing_payments set updated_at = ${old}, created_at = ${old} where id in (${lost.id}, ${cutShort.id}, ${unfunded.id})`,
  )
  const worker = start({ unfundedPaymentTimeoutMs: 30_000 })
  await ended([lost, cutShort])
  await waitFor(async () => (await stateOf(unfunded)) === 'CANCELLED')
  await worker.close()
})

test('what packets brought to a wallet address is announced while the worker runs', async () => {
  const { id, asset } = await world.addTenant().then(({ wallet }) => wallet)
  await findWalletAddressForPackets(world.ctx, id)
  const account = { id, ledger: asset.ledger, debitsMustNotExceedCredits: true }
  await world.ledger.createAccounts([{ ...account, code: accountCode.webMonetization }])
  await depositLiquidity(world.ctx, {
    accountId: id,
    tenantId: world.tenantId,
    ledger: asset.ledger,
    transferId: uuidv7(),
    amount: 12n,
  })
  const worker = start({ withdrawalThrottleDelayMs: 0 })
  const [event] = await waitFor(async () => {
    const events = await world.events('wallet_address.web_monetization')
    return events.length > 0 && events
  }, 8_000)
  await worker.close()
  assert.equal(event?.withdrawal, 12n)
})
