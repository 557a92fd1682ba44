import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
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
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000

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
async function prepare(banks: TestBanks, payee: ['a' | 'b', string], count: number): Promise<Running[]> {
  const plan: PaymentPlan = {
    payer: banks.side('a', 'alice'),
    payee: banks.side(...payee),
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

describe('a bank whose process is killed while payments run', { concurrency: true }, () => {
  it('the payer’s: every payment ends once, and it never books a packet that the payee has not', async () => {
    const banks = await startTestBanks()
    const bank = await startElsewhere(banks, 'a')
    try {
      const resume = banks.a.wallet.holdDeposits()
      const payments = [
        ...(await prepare(banks, ['b', 'bob'], 16)),
        ...(await prepare(banks, ['a', 'amara'], 8)),
      ]
      resume()
      for (const pauseMs of [120, 250]) {
        await sleep(pauseMs)
        await bank.killAndRestart()
      }
      const ends = await ended(payments)
      for (const { state } of ends) assert.ok(['COMPLETED', 'FAILED'].includes(state), state)
      await auditEach(banks)
      const { owes, isOwed } = await peerTotals(banks.databases)
      console.log({ owes, isOwed, ends: ends.map(({ state }) => state).join() })
      assert.ok(owes <= isOwed, `the payer's node counts ${owes}, the payee's ${isOwed}`)
    } finally {
      await bank.close()
      await banks.close()
    }
  })

  it('the payee’s: every payment ends once', async () => {
    const banks = await startTestBanks()
    const bank = await startElsewhere(banks, 'b')
    try {
      const resume = banks.a.wallet.holdDeposits()
      const payments = await prepare(banks, ['b', 'bob'], 16)
      resume()
      await sleep(150)
      await bank.killAndRestart()
      const ends = await ended(payments)
      for (const { state } of ends) assert.ok(['COMPLETED', 'FAILED'].includes(state), state)
      await auditEach(banks)
      const { owes, isOwed } = await peerTotals(banks.databases)
      console.log({ owes, isOwed, ends: ends.map(({ state }) => state).join() })
      assert.ok(owes <= isOwed, `the payer's node counts ${owes}, the payee's ${isOwed}`)
    } finally {
      await bank.close()
      await banks.close()
    }
  })
})
