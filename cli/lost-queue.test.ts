import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb, sql } from '../shared/platform/index.ts'
import { moveElsewhere } from './kill-sweep/killable-bank.ts'
import { ended, prepare, untilMoved } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000

let banks: TestBanks
before(async () => {
  banks = await startTestBanks({ plans: { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 20n } } })
})
after(() => banks.close())

it('F36: both banks lose the jobs of all their payments in the middle of them: everything is found again within a minute', async () => {
  const resume = banks.a.wallet.holdDeposits()
  const payments = await prepare(banks, ['b', 'bahati'], 12, timeoutMs)
  resume()
  await untilMoved(banks, 'a', 30, timeoutMs)
  for (const name of ['a', 'b'] as const) {
    const db = createDb({ connectionString: banks.databases[name].resources, poolSizeMax: 1 })
    // A webhook's job begins and ends in the statements of its delivery: nothing loses it alone.
    await db.execute(sql`delete from jobs where queue <> 'webhooks'`)
    await db.close()
  }
  const ends = await ended(payments)
  assert.deepEqual(
    ends.map(({ state, sentAmount }) => [state, sentAmount.value]),
    payments.map(() => ['COMPLETED', '500']),
  )
  // The payee's side found its jobs again for itself.
  await Promise.all(
    payments.map(({ incomingPaymentId }) =>
      banks.journals.b.wait('incoming_payment.completed', incomingPaymentId, timeoutMs),
    ),
  )
  await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
  await banks.audit()
})

it('F20: a bank that has nothing to do hardly asks its database anything', async () => {
  const bank = await moveElsewhere(banks, 'a')
  try {
    await sleep(2_000)
    const count = bank.countStatements()
    const startedAt = performance.now()
    await sleep(6_000)
    const perSecond = (count() * 1000) / (performance.now() - startedAt)
    console.log(`six deployables, idle: ${perSecond.toFixed(1)} statements a second`)
    assert.ok(perSecond < 6, `${perSecond} statements a second`)
  } finally {
    await bank.close()
  }
})
