import assert from 'node:assert/strict'
import { after, before, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectRedis, silentLogger } from '../shared/platform/index.ts'
import { startTestRedis, type TestRedis } from '../shared/testing/index.ts'
import { ended, moved, prepare, type Running, untilMoved } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 60_000
const FLUSHES = 100

let redis: TestRedis | undefined
let banks: TestBanks
before(async () => {
  redis = await startTestRedis()
  const environment = { REDIS_URL: redis?.url ?? 'none' }
  // Many packets per payment, so that some are on their way at any moment.
  banks = await startTestBanks({
    plans: { a: plainPlans.a, b: { ...plainPlans.b, maxPacketAmount: 20n } },
    environments: { a: environment, b: environment },
  })
})
after(async () => {
  await banks.close()
  await redis?.stop()
})

/** Payments that have begun and have not ended. */
async function inTheMiddle(): Promise<Running[]> {
  const resume = banks.a.wallet.holdDeposits()
  const payments = await prepare(banks, ['b', 'bahati'], 12, timeoutMs)
  const before = await moved(banks, 'a')
  resume()
  await untilMoved(banks, 'a', before + 20, timeoutMs)
  return payments
}

async function allArePaid(payments: readonly Running[]): Promise<void> {
  const ends = await ended(payments)
  assert.deepEqual(
    ends.map(({ state, sentAmount }) => [state, sentAmount.value]),
    payments.map(() => ['COMPLETED', '500']),
  )
  await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
  await banks.audit()
}

function theRedis(t: TestContext): TestRedis | undefined {
  if (!redis) t.skip('redis-server is not installed')
  return redis
}

it('F34: Redis is flushed a hundred times in the middle of payments: it costs no money and no payment', async (t) => {
  const server = theRedis(t)
  if (!server) return
  const client = await connectRedis({ url: server.url, log: silentLogger })
  try {
    const payments = await inTheMiddle()
    const flushing = async () => {
      for (let flush = 0; flush < FLUSHES; flush++) {
        await client.flushall()
        await sleep(Math.random() * 20)
      }
    }
    await Promise.all([flushing(), allArePaid(payments)])
  } finally {
    client.disconnect()
  }
})

for (const [how, leave, comeBack] of [
  ['killed', (server: TestRedis) => server.kill(), (server: TestRedis) => server.start()],
  ['silent', async (server: TestRedis) => server.pause(), async (server: TestRedis) => server.resume()],
] as const)
  it(`F35: Redis is ${how} in the middle of payments, which go on without it; and it is used again when it is back`, async (t) => {
    const server = theRedis(t)
    if (!server) return
    const payments = await inTheMiddle()
    await leave(server)
    try {
      await allArePaid(payments)
    } finally {
      await comeBack(server)
    }
    await allArePaid(await inTheMiddle())
  })
