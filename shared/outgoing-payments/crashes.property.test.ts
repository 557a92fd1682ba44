import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { getIncomingPayment } from '../incoming-payments/index.ts'
import { createPaymentMethods } from '../payment-methods/index.ts'
import { type Db, Fault, sql } from '../platform/index.ts'
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

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
  world.connector.prices['USD EUR'] = '0.91'
  world.connector.packetsPerSlice = 2
  world.connector.maxPacketAmount = 20n
})
after(() => world.close())

const died = () => new Fault('ledger_outcome_unknown', { retryable: true, message: 'the process died' })
const isFault = (error: unknown) => error instanceof Fault || error instanceof LeaseLost

/** The world as a process sees it that dies now and then: before a call went out, or after it was applied. */
function mortal(chance: () => number) {
  const risk = async <T>(call: () => Promise<T>): Promise<T> => {
    if (chance() < 0.06) throw died()
    const result = await call()
    if (chance() < 0.06) throw died()
    return result
  }
  const mortalDb = (db: Db): Db => ({
    many: (map, query) => risk(() => db.many(map, query)),
    maybe: (map, query) => risk(() => db.maybe(map, query)),
    one: (map, query) => risk(() => db.one(map, query)),
    execute: (query) => risk(() => db.execute(query)),
    batched: (statement, item) => risk(() => db.batched(statement, item)),
    tx: (work) => risk(() => db.tx((inner) => work(mortalDb(inner)))),
  })
  const { ledger, connector } = world.ctx
  const ctx = {
    ...world.ctx,
    db: mortalDb(world.db),
    ledger: {
      ...ledger,
      createAccounts: (items: never) => risk(() => ledger.createAccounts(items)),
      createTransfers: (items: never) => risk(() => ledger.createTransfers(items)),
      lookupAccounts: (items: never) => risk(() => ledger.lookupAccounts(items)),
      lookupTransfers: (items: never) => risk(() => ledger.lookupTransfers(items)),
    },
    connector: {
      ...connector,
      send: (input: never) =>
        risk(() => connector.send(input)).catch((error: unknown) => {
          throw error instanceof Fault ? new Fault('connector_unavailable', { retryable: true }) : error
        }),
    },
  }
  return { ...ctx, methods: createPaymentMethods(ctx) }
}

/** A generator of numbers in [0, 1) that a seed repeats (mulberry32). */
function randomOf(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

async function workOnce(ctx: ReturnType<typeof mortal>, chance: () => number): Promise<void> {
  await Promise.all(
    (await world.claim()).map(async (job) => {
      try {
        await world.finish(job, await processOutgoingPayment(ctx, job))
      } catch (error) {
        assert.ok(isFault(error), String(error))
        // Half of the dead leave their lease to run out, the others are noticed at once.
        if (chance() < 0.5) await world.finish(job, { status: 'retry', at: world.clock.now() })
        else await world.db.execute(sql`update jobs set lease_until = now() where key = ${job.key}`)
      }
    }),
  )
}

const isOpen = async ({ id }: OutgoingPayment) =>
  ['FUNDING', 'SENDING'].includes((await getOutgoingPayment(world.ctx, 'all', id)).state)

test('F7, F31: whenever processes die: one deposit, one payment, one event, and every unit accounted for', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (start) => {
      const chance = randomOf(start)
      const ctx = mortal(chance)
      const shared = await world.incoming(world.carol, 150n)
      const cross = await world.incoming(world.bob)
      const remote = world.remote.addPayment()
      const payments = await Promise.all(
        [shared.url, shared.url, cross.url, remote.url, remote.url].map((url) =>
          world.outgoing(world.alice, url, { debit: 100n }),
        ),
      )
      const cancelled = payments[4] as OutgoingPayment

      for (let round = 0; round < 12; round++) {
        await Promise.all(
          payments.map(async (payment) => {
            const input = { outgoingPaymentId: payment.id }
            const step =
              payment === cancelled && chance() < 0.3
                ? cancelOutgoingPayment(ctx, 'all', { id: payment.id })
                : fundOutgoingPayment(ctx, 'all', input)
            await step.catch((error: unknown) =>
              assert.ok(isFault(error) || error instanceof OutgoingPaymentRefusal, String(error)),
            )
          }),
        )
        await workOnce(ctx, chance)
        world.clock.advance(3_000)
        await sweepOutgoingPayments(ctx, { limit: 100 }).catch((error) => assert.ok(isFault(error)))
      }
      // The living finish what the dead have left.
      for (let round = 0; round < 30 && (await Promise.all(payments.map(isOpen))).includes(true); round++) {
        world.clock.advance(10_000)
        await sweepOutgoingPayments(world.ctx, { limit: 100 })
        await world.runJobs()
        for (const payment of payments)
          if (await isOpen(payment)) await world.fund(payment).catch(() => undefined)
      }

      let local = 0n
      for (const { id, debitAmount } of payments) {
        const paid = await getOutgoingPayment(world.ctx, 'all', id)
        const [held] = await getOutgoingPaymentLiquidity(world.ctx, [id])
        const ends = await world.db.many(
          (row) => row.type as string,
          sql`select type from webhook_events where outgoing_payment_id = ${id} and type <> 'outgoing_payment.created'`,
        )
        if (paid.state === 'CANCELLED') {
          assert.equal(held ?? 0n, 0n)
          assert.deepEqual(ends, [])
          continue
        }
        assert.ok(paid.state === 'COMPLETED' || paid.state === 'FAILED', paid.state)
        assert.deepEqual(ends, [`outgoing_payment.${paid.state.toLowerCase()}`])
        assert.equal(paid.sentAmount.value + (held ?? -1n), debitAmount.value)
        if (paid.state === 'COMPLETED') assert.ok(paid.sentAmount.value > 0n)
        const deposits = await world.ledger.queryTransfers({ accountId: id, side: 'credits', limit: 10 })
        assert.deepEqual(
          deposits.map(({ amount }) => amount),
          [debitAmount.value],
        )
        if (paid.receiver === shared.url) local += paid.deliveredAmount.value
      }
      const { receivedAmount } = await getIncomingPayment(world.ctx, 'all', shared.id)
      assert.equal(receivedAmount.value, local)
      for (const { difference, pending } of await world.audit())
        assert.deepEqual([difference, pending], [0n, 0n])
    }),
    { seed, numRuns: 8 },
  )
})
