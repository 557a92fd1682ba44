import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { deposit, ended, prepare } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 120_000
const LOCAL = 160
const REMOTE = 40
const liquidity = { assetLiquidity: 10n ** 12n, peerLiquidity: 10n ** 12n }

let banks: TestBanks
before(async () => {
  banks = await startTestBanks({
    plans: { a: { ...plainPlans.a, ...liquidity }, b: { ...plainPlans.b, ...liquidity } },
  })
})
after(() => banks.close())

it('200 deposits at the same moment, local and remote, all succeed at once, and each payment is paid once', async () => {
  const resume = banks.a.wallet.holdDeposits()
  const payments = (
    await Promise.all([
      prepare(banks, ['a', 'amara'], LOCAL, timeoutMs),
      prepare(banks, ['b', 'bob'], REMOTE, timeoutMs),
    ])
  ).flat()
  // Throws what the Admin API refuses.
  await Promise.all(payments.map(deposit))
  // The wallet deposits as well, as it does for every payment: a repeat.
  resume()
  const ends = await ended(payments)
  assert.deepEqual(
    ends.map(({ state }) => state),
    payments.map(() => 'COMPLETED'),
  )
  await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
  await banks.audit()
})
