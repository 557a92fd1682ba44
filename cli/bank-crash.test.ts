import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb, sql } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { auditBanks } from './audit/audit-banks.ts'
import { closeAll, deployableNames } from './bank.ts'
import type { BankName } from './bank-settings.ts'
import { type ChildBank, startChildBank } from './child-bank.ts'
import {
  createOutgoingPayment,
  createQuote,
  createReceiver,
  getOutgoing,
  type OutgoingAnswer,
  type PaymentPlan,
} from './payment.ts'
import { peerTotals } from './testing/books.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000

/** Many packets per payment, so that some are on their way at any moment. */
const smallPackets = { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 20n } }

interface Running {
  plan: PaymentPlan
  id: string
}

/** A bank in a process of its own; its wallet stays here. It can be killed and started again. */
async function startElsewhere(banks: TestBanks, name: BankName) {
  const { settings, environment, deployables } = banks[name]
  await closeAll(deployables.splice(0))
  const start = () => startChildBank({ settings, environment, only: deployableNames })
  let child: ChildBank = await start()
  return {
    async killAndRestart() {
      await child.kill()
      child = await start()
    },
    close: () => child.close(),
  }
}

/** Payments that wait for their money: they all begin at once when it is released. */
async function prepare(banks: TestBanks, payee: string, count: number): Promise<Running[]> {
  const plan: PaymentPlan = {
    payer: banks.side('a', 'alice'),
    payee: banks.side('b', payee),
    receiveValue: 500n,
    timeoutMs,
  }
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const quote = await createQuote(plan, await createReceiver(plan))
      return { plan, id: await createOutgoingPayment(plan, quote.id) }
    }),
  )
}

/** Until so many packets have moved money on that bank: the rest is on its way or about to be. */
async function untilMoved(banks: TestBanks, name: BankName, count: number): Promise<void> {
  const db = createDb({ connectionString: banks.databases[name].resources, poolSizeMax: 1 })
  const moved = () =>
    db.one(
      (row) => Number(row.count),
      sql`select count(*) as count from ledger.transfers where code = 1 and kind in (0, 2)`,
    )
  await waitFor(async () => (await moved()) >= count, timeoutMs)
  await db.close()
}

/** Every payment ends once, and its wallet hears of it. */
async function ended(payments: readonly Running[]): Promise<OutgoingAnswer[]> {
  return await Promise.all(
    payments.map(async ({ plan, id }) => {
      const { journal, bank } = plan.payer
      await Promise.race([
        journal.wait('outgoing_payment.completed', id, timeoutMs),
        journal.wait('outgoing_payment.failed', id, timeoutMs),
      ])
      return await getOutgoing(bank, id)
    }),
  )
}

/** What holds on each bank by itself, whatever was killed: I1, I2, I4 and I5. Leases of the dead run out first. */
async function auditEach(banks: TestBanks): Promise<void> {
  const own = async () => {
    const findings = await auditBanks(banks.databases, { settleMs: 0 })
    return findings.filter(
      ({ invariant, bank, problem }) => bank.length === 1 && !invariant.startsWith('I9') && problem,
    )
  }
  const until = Date.now() + timeoutMs
  while ((await own()).length > 0 && Date.now() < until) await sleep(500)
  assert.deepEqual(await own(), [])
}

/** The payer's customer pays what was sent, and nothing stays reserved. */
async function walletAgrees(banks: TestBanks, ends: readonly OutgoingAnswer[]): Promise<void> {
  const account = () => banks.a.wallet.account(banks.side('a', 'alice').walletAddress.id)
  const opened = banks.a.wallet.account(banks.side('a', 'amara').walletAddress.id).balance
  const sent = ends.reduce((sum, { sentAmount }) => sum + BigInt(sentAmount.value), 0n)
  await waitFor(async () => account().held === 0n, timeoutMs)
  assert.equal(account().balance, opened - sent)
}

describe('a bank whose process is killed while payments run', { concurrency: true }, () => {
  it('the payer’s: every payment ends once, and it never books a packet that the payee has not', async () => {
    const banks = await startTestBanks({ plans: smallPackets })
    const bank = await startElsewhere(banks, 'a')
    try {
      const resume = banks.a.wallet.holdDeposits()
      const payments = await prepare(banks, 'bahati', 12)
      resume()
      await untilMoved(banks, 'a', 40)
      await bank.killAndRestart()
      const ends = await ended(payments)
      await auditEach(banks)
      await walletAgrees(banks, ends)
      // Packets that were on their way arrived, and their proof died with the process: the payee's node counts them, the payer's not.
      const { owes, isOwed } = await peerTotals(banks.databases)
      assert.ok(owes <= isOwed, `the payer's node counts ${owes}, the payee's ${isOwed}`)
    } finally {
      await bank.close()
      await banks.close()
    }
  })

  it('the payee’s: every payment ends once, and both nodes count the same packets', async () => {
    const banks = await startTestBanks({ plans: smallPackets })
    const bank = await startElsewhere(banks, 'b')
    try {
      const resume = banks.a.wallet.holdDeposits()
      const payments = await prepare(banks, 'bahati', 12)
      resume()
      for (const packets of [40, 120]) {
        await untilMoved(banks, 'b', packets)
        await bank.killAndRestart()
      }
      const ends = await ended(payments)
      await auditEach(banks)
      await walletAgrees(banks, ends)
      // Back within the life of a packet, the node answers repeats as the one before it would have.
      assert.deepEqual(
        ends.map(({ state, sentAmount }) => [state, sentAmount.value]),
        ends.map(() => ['COMPLETED', '500']),
      )
      await banks.audit()
    } finally {
      await bank.close()
      await banks.close()
    }
  })
})
