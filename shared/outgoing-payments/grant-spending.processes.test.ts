import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type GrantLimits, parseGrantLimits } from '../grant-limits/index.ts'
import { completeIncomingPayment } from '../incoming-payments/index.ts'
import { sql, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import type { Order, Orders, Outcome } from './grant-spending.processes.client.ts'
import {
  auditGrants,
  cancelUnfundedPayments,
  findGrantSpent,
  type Grant,
  processOutgoingPayment,
} from './index.ts'

const PROCESSES = 4
const client = fileURLToPath(new URL('./grant-spending.processes.client.ts', import.meta.url))

let world: PaymentWorld
let children: ChildProcess[] = []
before(async () => {
  world = await createPaymentWorld()
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  try {
    const { counters, findings } = await auditGrants(world.db)
    assert.ok(counters > 0)
    assert.deepEqual(findings, [])
  } finally {
    await world.close()
  }
})

const usd = (value: bigint) => ({ value: String(value), assetCode: 'USD', assetScale: 2 })
const newGrant = (limits?: Record<string, unknown>): Grant & { limits: GrantLimits } => ({
  id: uuidv7(),
  limits: parseGrantLimits(limits ?? {}),
})

/** Quotes of a local receiver, in one currency: what is debited arrives. */
async function quotes(count: number, debit: bigint): Promise<{ ids: string[]; receiverId: string }> {
  const { id, url } = await world.incoming(world.carol)
  const ids: string[] = []
  while (ids.length < count) {
    const batch = Array.from({ length: Math.min(20, count - ids.length) }, () =>
      world.quote(world.alice, url, { debit }),
    )
    ids.push(...(await Promise.all(batch)).map((quote) => quote.id))
  }
  return { ids, receiverId: id }
}
const payOf = (grant: Grant) => (id: string) => ({
  kind: 'pay' as const,
  id,
  grant,
  walletAddressId: world.alice.id,
  tenantId: world.tenantId,
})
/** One process's share of a list. */
const share = <T>(list: readonly T[], process: number) =>
  list.filter((_, index) => index % PROCESSES === process)

/** One that has died is replaced. */
async function startProcesses(): Promise<ChildProcess[]> {
  const living = children.filter(({ connected }) => connected)
  const started = Array.from({ length: PROCESSES - living.length }, () =>
    fork(client, { serialization: 'advanced' }),
  )
  children = [...living, ...started]
  await Promise.all(started.map((child) => once(child, 'message')))
  return children
}

/** Each process gets its orders, and all begin once all are up. `watch` sees outcomes as they come. */
async function runProcesses(
  ordersOf: (process: number) => Order[],
  watch: (outcome: Outcome, child: ChildProcess) => void = () => undefined,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const runOrders = (child: ChildProcess, orders: Order[]): Promise<void> =>
    new Promise((resolve) => {
      const settle = () => {
        child.off('message', listen).off('exit', settle)
        resolve()
      }
      const listen = (message: Outcome | 'done') => {
        if (message === 'done') return settle()
        outcomes.push(message)
        watch(message, child)
      }
      child.on('message', listen).once('exit', settle)
      const { connectionString } = world.db
      const { settings } = world.ctx
      child.send({ connectionString, settings, now: world.clock.now(), orders } satisfies Orders)
    })
  const processes = await startProcesses()
  await Promise.all(processes.map((child, index) => runOrders(child, ordersOf(index))))
  return outcomes
}

const tally = (outcomes: readonly Outcome[]) => {
  const codes: Record<string, number> = {}
  for (const { code } of outcomes) codes[code] = (codes[code] ?? 0) + 1
  return codes
}
const spent = async (grant: Grant) => {
  const found = await findGrantSpent(world.ctx, { tenantId: world.tenantId, grant })
  return found && [found.debitAmount.value, found.receiveAmount.value]
}
const states = async (ids: readonly string[]) => {
  const rows = await world.db.many(
    (row) => row.state as string,
    sql`select state from outgoing_payments where id = any(${ids}::uuid[])`,
  )
  const counts: Record<string, number> = {}
  for (const state of rows) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

for (const side of ['debitAmount', 'receiveAmount'] as const)
  test(`200 payments at once from ${PROCESSES} processes fill a limit of the ${side} exactly`, async () => {
    const grant = newGrant({ [side]: usd(1000n) })
    const { ids } = await quotes(200, 10n)
    const outcomes = await runProcesses((process) => share(ids, process).map(payOf(grant)))
    assert.deepEqual(tally(outcomes), { ok: 100, outside_grant: 100 })
    assert.deepEqual(await spent(grant), [1000n, 1000n])
    assert.deepEqual(await states(ids), { FUNDING: 100 })
  })

test('amounts that do not divide the limit stay below it, and leave no room for another', async () => {
  const grant = newGrant({ debitAmount: usd(100n), interval: 'R/2031-01-01T00:00:00Z/P1Y' })
  const { ids } = await quotes(40, 7n)
  const outcomes = await runProcesses((process) => share(ids, process).map(payOf(grant)))
  assert.deepEqual(tally(outcomes), { ok: 14, outside_grant: 26 })
  assert.deepEqual(await spent(grant), [98n, 98n])
})

test('many grants at once, payments of each in every process', async () => {
  const grants = Array.from({ length: 10 }, () => newGrant({ debitAmount: usd(30n) }))
  const { ids } = await quotes(80, 10n)
  const outcomes = await runProcesses((process) =>
    share(ids, process).map((id, index) => payOf(grants[index % grants.length] as Grant)(id)),
  )
  assert.deepEqual(tally(outcomes), { ok: 30, outside_grant: 50 })
  for (const grant of grants) assert.deepEqual(await spent(grant), [30n, 30n])
})

test('one quote under one grant by all processes is one payment, counted once', async () => {
  const grant = newGrant({ debitAmount: usd(100n) })
  const { ids } = await quotes(10, 10n)
  const outcomes = await runProcesses(() => ids.map(payOf(grant)))
  assert.deepEqual(tally(outcomes), { ok: 10, invalid_quote: 30 })
  assert.deepEqual(await spent(grant), [100n, 100n])
})

test('cancelled, timed out, funded and failed at the same time: everything comes back once', async () => {
  const grant = newGrant({ debitAmount: usd(400n) })
  const { ids, receiverId } = await quotes(40, 10n)
  const paid = await runProcesses((process) => share(ids, process).map(payOf(grant)))
  assert.deepEqual(tally(paid), { ok: 40 })
  await completeIncomingPayment(world.ctx, 'all', receiverId)
  // Each payment is cancelled by two processes and funded by two; those that nobody funds yet also time out.
  const running = runProcesses((process) =>
    ids.map((id) => ({ id, kind: process % 2 === 0 ? ('cancel' as const) : ('fund' as const) })),
  )
  let isRunning = true
  const timeouts = (async () => {
    while (isRunning) await cancelUnfundedPayments(world.ctx, { timeoutMs: 0, limit: 2 })
  })()
  await running
  isRunning = false
  await timeouts
  // The receiver is completed: what was funded fails, by several workers at once.
  for (let jobs = await world.claim(); jobs.length > 0; jobs = await world.claim()) {
    const runs = jobs.flatMap((job) => [job, job, job].map((same) => processOutgoingPayment(world.ctx, same)))
    await Promise.allSettled(runs)
    for (const job of jobs) await world.finish(job, { status: 'done' })
  }
  const ended = await states(ids)
  assert.equal((ended.CANCELLED ?? 0) + (ended.FAILED ?? 0), 40, JSON.stringify(ended))
  assert.deepEqual(await spent(grant), [0n, 0n])
})

test('processes that are killed while they pay leave no phantom: the limit is filled exactly by the others', async () => {
  const grant = newGrant({ debitAmount: usd(1000n) })
  const { ids } = await quotes(160, 10n)
  const killed = new Set<ChildProcess>()
  await runProcesses(
    (process) => share(ids.slice(0, 80), process).map(payOf(grant)),
    (_outcome, child) => {
      if (killed.size >= 3 || killed.has(child)) return
      killed.add(child)
      child.kill('SIGKILL')
    },
  )
  assert.equal(killed.size, 3)
  // What was committed for the dead is there with its count, and nothing else is.
  await waitForQuiet()
  assert.deepEqual((await auditGrants(world.db)).findings, [])
  const { FUNDING: paid = 0 } = await states(ids)
  assert.deepEqual(await spent(grant), [BigInt(paid) * 10n, BigInt(paid) * 10n])
  await runProcesses((process) => share(ids, process).map(payOf(grant)))
  assert.deepEqual(await spent(grant), [1000n, 1000n])
  assert.deepEqual(await states(ids), { FUNDING: 100 })
})

/** Postgres may still be at the last statement of a client that is gone. */
async function waitForQuiet(): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const busy = await world.db.one(
      (row) => Number(row.count),
      sql`select count(*) as count from pg_stat_activity
        where datname = current_database() and application_name = 'granted-payer' and state = 'active'`,
    )
    if (busy === 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('connections of dead processes stay')
}

test('connections that are cut while processes pay leave no phantom', async () => {
  const grant = newGrant({ debitAmount: usd(1000n) })
  const { ids } = await quotes(160, 10n)
  const cuts: Promise<unknown>[] = []
  const outcomes = await runProcesses(
    (process) => share(ids.slice(0, 120), process).map(payOf(grant)),
    () => {
      if (cuts.length < 3)
        cuts.push(
          world.db.execute(sql`select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name = 'granted-payer'`),
        )
    },
  )
  await Promise.all(cuts)
  assert.ok((tally(outcomes).database_unavailable ?? 0) > 0, 'some were cut')
  assert.deepEqual((await auditGrants(world.db)).findings, [])
  await runProcesses((process) => share(ids, process).map(payOf(grant)))
  assert.deepEqual(await spent(grant), [1000n, 1000n])
})
