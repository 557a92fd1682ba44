import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs, TEST_SERVER_VARIABLE, waitFor } from '../shared/testing/index.ts'
import { closeAll, deployableNames } from './bank.ts'
import { startChildBank } from './child-bank.ts'
import { createQuote, createReceiver, pay } from './payment.ts'
import { ended, moved, prepare, untilMoved } from './testing/many-payments.ts'
import { type OwnPostgres, startOwnPostgres } from './testing/own-postgres.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000

let postgres: OwnPostgres
let banks: TestBanks
before(async () => {
  postgres = await startOwnPostgres()
  process.env[TEST_SERVER_VARIABLE] = postgres.connectionString
  // Many packets per payment, so that some are on their way at any moment.
  banks = await startTestBanks({ plans: { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 20n } } })
})
after(async () => {
  await banks.close()
  await postgres.close()
})

/** The deployable that wrote a line. */
const writerOf = (line: string): string => /"name":"([^"]+)"/.exec(line)?.[1] ?? line

for (const [how, awayMs] of [
  ['fast', 0],
  ['kill', 1_500],
] as const)
  it(`F19, F21: PostgreSQL is ${how === 'fast' ? 'restarted' : 'killed and recovers'} in the middle of payments: each completes, and the books are right`, async () => {
    const resume = banks.a.wallet.holdDeposits()
    const payments = [
      ...(await prepare(banks, ['b', 'bahati'], 12, timeoutMs)),
      ...(await prepare(banks, ['a', 'amara'], 8, timeoutMs)),
    ]
    const before = await moved(banks, 'a')
    resume()
    await untilMoved(banks, 'a', before + 30, timeoutMs)
    await postgres.leave(how)
    await sleep(awayMs)
    await postgres.comeBack()
    const ends = await ended(payments)
    assert.deepEqual(
      ends.map(({ state, sentAmount }) => [state, sentAmount.value]),
      payments.map((_, index) => ['COMPLETED', index < 12 ? '500' : '550']),
    )
    await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
    await banks.audit()
  })

it('F19: while PostgreSQL is away a bank neither spins nor floods its log, and works soon after it is back', async () => {
  const { settings, environment, deployables } = banks.a
  await closeAll(deployables.splice(0))
  const lines: string[] = []
  const bank = await startChildBank({
    settings,
    environment: { ...environment, LOG_LEVEL: 'info' },
    only: deployableNames,
    onLog: (text) => void lines.push(...text.split('\n').filter((line) => line !== '')),
  })
  try {
    const plan = {
      payer: banks.side('a', 'alice'),
      payee: banks.side('a', 'amara'),
      receiveValue: 500n,
      timeoutMs,
    }
    await pay(plan)
    await postgres.leave('fast')
    await sleep(1_000)
    const [before, linesBefore, startedAt] = [cpuMs(bank.pid), lines.length, performance.now()]
    await sleep(8_000)
    const seconds = (performance.now() - startedAt) / 1000
    const share = ((cpuMs(bank.pid) ?? Number.NaN) - (before ?? Number.NaN)) / 1000 / seconds
    const written = Map.groupBy(lines.slice(linesBefore), writerOf)
    const perMinute = [...written].map(
      ([name, { length }]) => [name, Math.round((length * 60) / seconds)] as const,
    )
    await postgres.comeBack()
    const backAt = performance.now()
    await waitFor(
      async () => await createQuote(plan, await createReceiver(plan)).catch(() => undefined),
      timeoutMs,
    )
    const recoveredMs = performance.now() - backAt
    console.log(
      `six deployables, PostgreSQL away: ${(share * 100).toFixed(1)} % of one CPU, log lines a minute: ${perMinute.map((each) => each.join(' ')).join(', ')}; works again after ${recoveredMs.toFixed(0)} ms`,
    )
    assert.ok(share < 0.2, `${share} of a CPU`)
    for (const [name, count] of perMinute) assert.ok(count < 200, `${name}: ${count} lines a minute`)
    assert.ok(recoveredMs < 5_000, `${recoveredMs} ms`)
    assert.equal((await pay(plan)).outgoing.state, 'COMPLETED')
    await banks.audit()
  } finally {
    await bank.close()
  }
})
