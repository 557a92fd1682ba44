import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { parseGrantLimits } from '../grant-limits/index.ts'
import { type Db, Fault, sql, uuidv7 } from '../platform/index.ts'
import { LeaseLost } from '../queue/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  auditGrants,
  cancelOutgoingPayment,
  cancelUnfundedPayments,
  createGrantedPayment,
  findGrantSpent,
  fundOutgoingPayment,
  type Grant,
  OutgoingPaymentRefusal,
  processOutgoingPayment,
} from './index.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
  world.connector.maxPacketAmount = 10n
  world.connector.packetsPerSlice = 3
})
after(() => world.close())

/** Enough for the largest payment. */
const RUNS_MAX = 8
const UNBROKEN = 1000
const HOUR_MS = 3_600_000
const LIMIT = 150n
const usd = { value: String(LIMIT), assetCode: 'USD', assetScale: 2 }
const limitsOf: Record<string, Record<string, unknown>> = {
  debit: { debitAmount: usd },
  receive: { receiveAmount: usd },
  hourly: { debitAmount: usd, interval: 'R/2031-01-01T00:00:00Z/PT1H' },
}

const died = () => new Fault('database_unavailable', { retryable: true, message: 'the connection was cut' })
const isExpected = (error: unknown) =>
  error instanceof OutgoingPaymentRefusal || error instanceof Fault || error instanceof LeaseLost

/** The world of a process whose connection is cut now and then: before a statement went out, or after it was carried out. */
function mortal(cuts: Iterator<boolean>) {
  const cut = () => cuts.next().value === true
  const risk = async <T>(call: () => Promise<T>): Promise<T> => {
    if (cut()) throw died()
    const result = await call()
    if (cut()) throw died()
    return result
  }
  const db: Db = {
    many: (map, query) => risk(() => world.db.many(map, query)),
    maybe: (map, query) => risk(() => world.db.maybe(map, query)),
    one: (map, query) => risk(() => world.db.one(map, query)),
    execute: (query) => risk(() => world.db.execute(query)),
    batched: (statement, item) => risk(() => world.db.batched(statement, item)),
    tx: (work) => world.db.tx(work),
  }
  return { ...world.ctx, db }
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('pay' as const),
      grant: fc.nat({ max: 2 }),
      debit: fc.bigInt({ min: 2n, max: 90n }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('cancel' as const, 'fund' as const, 'fund' as const),
      pick: fc.nat(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      /** Slices that each run may send, before the way breaks for good. */
      slices: fc.oneof(fc.nat({ max: 8 }), { weight: 3, arbitrary: fc.constant(UNBROKEN) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('timeouts' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
const rounds = fc.array(
  fc.record({
    /** All of a round run at the same time. */
    steps: fc.array(step, { minLength: 1, maxLength: 12 }),
    passMs: fc.constantFrom(0, 1000, HOUR_MS / 2, HOUR_MS),
  }),
  { minLength: 4, maxLength: 10 },
)

interface Run {
  grants: Grant[]
  /** Ids of quotes, each of which may have become a payment. */
  tried: string[]
}

async function pay(ctx: ReturnType<typeof mortal>, run: Run, grant: Grant, debit: bigint) {
  const { id: quoteId } = await world.quote(world.alice, world.remote.addPayment().url, { debit })
  run.tried.push(quoteId)
  return await createGrantedPayment(ctx, {
    tenantId: world.tenantId,
    walletAddressId: world.alice.id,
    quoteId,
    grant,
    initiatedBy: 'OPEN_PAYMENTS',
  })
}

async function carryOut(ctx: ReturnType<typeof mortal>, run: Run, next: Step): Promise<unknown> {
  const picked = 'pick' in next ? run.tried[next.pick % Math.max(1, run.tried.length)] : undefined
  switch (next.kind) {
    case 'pay':
      return await pay(ctx, run, run.grants[next.grant] as Grant, next.debit)
    case 'cancel':
      return picked && (await cancelOutgoingPayment(ctx, 'all', { id: picked }))
    case 'fund':
      return picked && (await fundOutgoingPayment(ctx, 'all', { outgoingPaymentId: picked }))
    case 'timeouts':
      return await cancelUnfundedPayments(ctx, { timeoutMs: HOUR_MS, limit: 3 })
    case 'work':
      world.connector.sendFailures = [
        ...Array<undefined>(next.slices).fill(undefined),
        ...Array(6).fill({ code: 'protocol_violation', message: 'it broke', retryable: false }),
      ]
      // A way that breaks for one run and not for the other at the same time is none: the connector joins their slices.
      for (let runs = 0; runs < RUNS_MAX; runs++) await workOnce(ctx, next.slices === UNBROKEN ? 2 : 1)
      return
  }
}

async function workOnce(ctx: ReturnType<typeof mortal>, workers: number): Promise<void> {
  await Promise.all(
    (await world.claim()).map(async (job) => {
      // Two at the same time, as after a pause of the first: only one can record.
      const runs = await Promise.allSettled(
        Array.from({ length: workers }, () => processOutgoingPayment(ctx, job)),
      )
      for (const result of runs)
        if (result.status === 'rejected') assert.ok(isExpected(result.reason), String(result.reason))
      await world.finish(job, { status: 'retry', at: world.clock.now() })
    }),
  )
}

/** Of each counter of these grants. */
const amountsOf = (grants: readonly Grant[]) =>
  world.db.many(
    (row) => ({ grantId: row.grant_id as string, side: row.side as string, amount: row.amount as bigint }),
    sql`select grant_id, side, amount from grant_spending where grant_id = any(${grants.map(({ id }) => id)}::text[])`,
  )

async function checkInvariants({ grants: [debit, receive, hourly] }: Run): Promise<void> {
  assert.deepEqual((await auditGrants(world.db)).findings, [])
  const limited = [debit, receive, hourly].filter((grant) => grant !== undefined)
  for (const { grantId, side, amount } of await amountsOf(limited)) {
    const isLimited = side === (grantId === receive?.id ? 'RECEIVE' : 'DEBIT')
    assert.ok(!isLimited || amount <= LIMIT, `${side} of ${amount}`)
  }
}

/** Some of what is left is paid in peace. */
async function finishSome(run: Run): Promise<void> {
  const whole = mortal([][Symbol.iterator]())
  world.connector.sendFailures = []
  for (const outgoingPaymentId of run.tried.slice(-3))
    await fundOutgoingPayment(whole, 'all', { outgoingPaymentId }).catch((error) =>
      assert.ok(isExpected(error), String(error)),
    )
  for (let runs = 0; runs < RUNS_MAX; runs++) await workOnce(whole, 1)
}

/** With nothing else under way what is left can be spent, to the last unit, and not one more. */
async function checkRemainder(run: Run): Promise<void> {
  const [grant] = run.grants
  assert.ok(grant)
  const found = await findGrantSpent(world.ctx, { tenantId: world.tenantId, grant })
  const left = LIMIT - (found?.debitAmount.value ?? 0n)
  const whole = mortal([][Symbol.iterator]())
  await assert.rejects(pay(whole, run, grant, left + 2n), { code: 'outside_grant' })
  if (left < 2n) return
  const { spent } = await pay(whole, run, grant, left)
  assert.equal(spent.debitAmount.value, LIMIT - left)
  await assert.rejects(pay(whole, run, grant, 2n), { code: 'outside_grant' })
}

test('however payments are created, failed, cancelled, completed and cut off: grants count what their payments say, and never more than the limit', async () => {
  const reached: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(rounds, fc.infiniteStream(fc.nat({ max: 30 })), async (plan, dice) => {
      const cuts = (function* () {
        for (const die of dice) yield die === 0
      })()
      const run: Run = {
        grants: Object.values(limitsOf).map((limits) => ({ id: uuidv7(), limits: parseGrantLimits(limits) })),
        tried: [],
      }
      const ctx = mortal(cuts)
      for (const { steps, passMs } of plan) {
        const results = await Promise.allSettled(steps.map((next) => carryOut(ctx, run, next)))
        for (const result of results)
          if (result.status === 'rejected') assert.ok(isExpected(result.reason), String(result.reason))
        await checkInvariants(run)
        world.clock.advance(passMs)
      }
      await checkRemainder(run)
      await finishSome(run)
      await checkInvariants(run)
      const states = await world.db.many(
        (row) => row.state as string,
        sql`select state from outgoing_payments where id = any(${run.tried}::uuid[])`,
      )
      for (const state of states) reached[state] = (reached[state] ?? 0) + 1
    }),
    { seed, numRuns: 16 },
  )
  console.log(reached)
  for (const state of ['CANCELLED', 'FAILED', 'COMPLETED'])
    assert.ok((reached[state] ?? 0) > 0, `${state} was reached`)
})
