import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../shared/testing/index.ts'
import { auditBanks } from './audit/audit-banks.ts'
import { closeAll, deployableNames } from './bank.ts'
import type { BankName } from './bank-settings.ts'
import { type ChildBank, startChildBank } from './child-bank.ts'
import type { OutgoingAnswer } from './payment.ts'
import { peerTotals } from './testing/books.ts'
import { endLeases } from './testing/leases.ts'
import { ended, prepare, untilMoved } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000

/** Many packets per payment, so that some are on their way at any moment. */
const smallPackets = { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 20n } }

/** A bank in a process of its own; its wallet stays here. It can be killed and started again. */
async function startElsewhere(banks: TestBanks, name: BankName) {
  const { settings, environment, deployables } = banks[name]
  await closeAll(deployables.splice(0))
  const start = () => startChildBank({ settings, environment, only: deployableNames })
  let child: ChildBank = await start()
  return {
    async killAndRestart() {
      await child.kill()
      await endLeases(banks.databases[name].resources)
      child = await start()
    },
    close: () => child.close(),
  }
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

describe('F31: a bank whose process is killed while payments run', { concurrency: true }, () => {
  it('the payer’s: every payment ends once, and it never books a packet that the payee has not', async () => {
    const banks = await startTestBanks({ plans: smallPackets })
    const bank = await startElsewhere(banks, 'a')
    try {
      const resume = banks.a.wallet.holdDeposits()
      const payments = await prepare(banks, ['b', 'bahati'], 12, timeoutMs)
      resume()
      await untilMoved(banks, 'a', 40, timeoutMs)
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
      const payments = await prepare(banks, ['b', 'bahati'], 12, timeoutMs)
      resume()
      for (const packets of [40, 120]) {
        await untilMoved(banks, 'b', packets, timeoutMs)
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
