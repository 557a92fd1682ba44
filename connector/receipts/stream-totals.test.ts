import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectRedis, silentLogger, systemClock } from '../../shared/platform/index.ts'
import { startTestRedis, testClock, waitFor } from '../../shared/testing/index.ts'
import { createMemoryTotals, createRedisTotals } from './stream-totals.ts'

describe('STREAM totals in memory', () => {
  it('add up per connection, and start anew after ten idle minutes', async () => {
    const clock = testClock()
    const totals = createMemoryTotals(clock)
    assert.equal(await totals.add('a', 5n), 5n)
    assert.equal(await totals.add('b', 7n), 7n)
    clock.advance(599_000)
    assert.equal(await totals.add('a', 6n), 11n)
    clock.advance(600_001)
    assert.equal(await totals.add('a', 1n), 1n)
  })
})

describe('STREAM totals in Redis', () => {
  it('add up across connections to it, with an expiry', async (test) => {
    const server = await startTestRedis()
    if (!server) return test.skip('redis-server is not installed')
    const clients = await Promise.all([1, 2].map(() => connectRedis({ url: server.url, log: silentLogger })))
    try {
      for (const client of clients) await waitFor(async () => client.status === 'ready' || undefined)
      const [first, second] = clients.map((client) => createRedisTotals(client, systemClock, silentLogger))
      assert.ok(first && second)
      await Promise.all(Array.from({ length: 50 }, (_, index) => (index % 2 ? first : second).add('c', 2n)))
      assert.equal(await first.add('c', 1n), 101n)
      const seconds = await clients[0]?.ttl('stream_received:c')
      assert.ok(seconds !== undefined && seconds > 590 && seconds <= 600, String(seconds))
      assert.equal(
        await second.add('c', 2n ** 63n),
        undefined,
        'beyond what Redis counts there is no receipt',
      )
    } finally {
      for (const client of clients) client.disconnect()
      await server.stop()
    }
  })

  it('F35: are unknown while Redis is away, at once', async () => {
    const client = await connectRedis({ url: 'redis://127.0.0.1:9', log: silentLogger })
    const totals = createRedisTotals(client, systemClock, silentLogger)
    const startedAt = performance.now()
    for (let count = 0; count < 20; count++) assert.equal(await totals.add('d', 1n), undefined)
    assert.ok(performance.now() - startedAt < 5_000)
    await totals.close()
  })
})

describe('F34, F35: an hour without Redis, by the clock', () => {
  /** Counts like Redis, or is away: a command ends in an error, at once or after its time. */
  function fakeRedis() {
    const state = { isAway: false, asked: 0, totals: new Map<string, bigint>() }
    const multi = () => {
      let total = 0n
      const transaction = {
        incrby(key: string, amount: string) {
          total = (state.totals.get(key) ?? 0n) + BigInt(amount)
          if (!state.isAway) state.totals.set(key, total)
          return transaction
        },
        expire: () => transaction,
        async exec() {
          state.asked++
          if (state.isAway) throw new Error('Command timed out')
          return [[null, total]]
        },
      }
      return transaction
    }
    return { state, redis: { multi, disconnect: () => undefined } as never }
  }

  it('it is asked once a second, nobody else waits, and receipts never say more than has arrived', async () => {
    const clock = testClock()
    const { state, redis } = fakeRedis()
    const totals = createRedisTotals(redis, clock, silentLogger)
    assert.equal(await totals.add('e', 5n), 5n)
    state.isAway = true
    let arrived = 5n
    for (let packet = 0; packet < 36_000; packet++) {
      assert.equal(await totals.add('e', 1n), undefined)
      arrived++
      clock.advance(100)
    }
    assert.equal(state.asked, 1 + 3_600)
    state.isAway = false
    state.totals.clear()
    clock.advance(1_000)
    // A failover to a Redis that has lost it all: the receipt starts anew.
    const total = await totals.add('e', 2n)
    assert.equal(total, 2n)
    assert.ok(total <= arrived)
  })

  it('a figure that Redis does not count is no outage', async () => {
    const clock = testClock()
    const { state, redis } = fakeRedis()
    const totals = createRedisTotals(redis, clock, silentLogger)
    const { multi } = redis as { multi: () => { exec: unknown } }
    Object.assign(redis, {
      multi: () => Object.assign(multi(), { exec: async () => [[new Error('overflow'), null]] }),
    })
    assert.equal(await totals.add('f', 1n), undefined)
    Object.assign(redis, { multi })
    assert.equal(await totals.add('g', 1n), 1n)
    assert.equal(state.asked, 1)
  })
})

describe('TLS to Redis', () => {
  it('refuses a CA file that cannot be read', async () => {
    await assert.rejects(
      connectRedis({ url: 'rediss://127.0.0.1:9', caFile: '/no/such/file.pem', log: silentLogger }),
      /ENOENT/,
    )
  })
})
