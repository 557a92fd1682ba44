import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../shared/testing/unruly-broker.ts'
import type { BankName } from '../bank-settings.ts'
import { type ChildBank, startChildBank } from '../child-bank.ts'
import { awaitWithdrawals, pay } from '../payment.ts'
import type { Mischief } from './broker-mischief.ts'
import { ended, prepare } from './many-payments.ts'
import { stopDeployable, type TestBanks } from './test-banks.ts'

const REMOTE = 16
const LOCAL = 8
const timeoutMs = 150_000
const MISCHIEF_MS = 6_000
const PAUSE_MS = 25
const workers = ['webhooks', 'payments'] as const

/** Bank A's workers in a process of their own, which can be killed in the middle of whatever they have in hand. */
async function moveWorkers(banks: TestBanks): Promise<() => Promise<ChildBank>> {
  for (const name of workers) await stopDeployable(banks.a, name)
  return () => startChildBank({ settings: banks.a.settings, environment: banks.a.environment, only: workers })
}

/** The whole flow, from creation to withdrawals. */
export async function assertPaid(banks: TestBanks): Promise<void> {
  const plan = {
    payer: banks.side('a', 'alice'),
    payee: banks.side('b', 'bob'),
    receiveValue: 500n,
    timeoutMs: 30_000,
  }
  const outcome = await pay(plan)
  assert.equal(outcome.outgoing.state, 'COMPLETED')
  assert.equal(outcome.received?.value, '500')
  const withdrawn = await awaitWithdrawals(plan, outcome)
  assert.deepEqual([withdrawn.payer.value, withdrawn.payee.value], ['6', '500'])
  await banks.audit()
}

/**
 * Payments within and between two banks while their queues misbehave in every way: messages come twice, late and never, consumers
 * die with a batch in hand, and everything on its way is lost twice. Every payment is paid once, every wallet hears of it, and the
 * books hold.
 */
export async function payThroughChaos(
  banks: TestBanks,
  mischiefOf: (name: BankName, random: () => number) => Promise<Mischief>,
): Promise<void> {
  const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000)
  console.log(`CHAOS_SEED=${seed}`)
  const random = seededRandom(seed)
  const startWorkers = await moveWorkers(banks)
  let child = await startWorkers()
  const mischiefs = [await mischiefOf('a', random), await mischiefOf('b', random)]
  const resume = banks.a.wallet.holdDeposits()
  let isOver = false
  const misbehave = async (mischief: Mischief) => {
    while (!isOver) {
      await (random() < 0.85 ? mischief.duplicate() : mischief.steal())
      await sleep(random() * PAUSE_MS * 2)
    }
  }
  try {
    const payments = (
      await Promise.all([
        prepare(banks, ['b', 'bob'], REMOTE, timeoutMs),
        prepare(banks, ['a', 'amara'], LOCAL, timeoutMs),
      ])
    ).flat()
    const misbehaving = Promise.all(mischiefs.map(misbehave))
    resume()
    for (let round = 0; round < 2; round++) {
      await sleep(MISCHIEF_MS / 4 + random() * 500)
      await child.kill()
      for (const mischief of mischiefs) await mischief.purge()
      child = await startWorkers()
    }
    await sleep(MISCHIEF_MS / 2)
    isOver = true
    await misbehaving
    const ends = await ended(payments)
    assert.deepEqual(
      ends.map(({ state }) => state),
      payments.map(() => 'COMPLETED'),
    )
    for (const { incomingPaymentId, plan } of payments)
      await plan.payee.journal.wait('incoming_payment.completed', incomingPaymentId, timeoutMs)
    await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
    await banks.audit()
  } finally {
    isOver = true
    resume()
    await child.close()
    for (const mischief of mischiefs) await mischief.close()
  }
}
