import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectRedis, silentLogger } from '../../shared/platform/index.ts'
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
      const [first, second] = clients.map((client) => createRedisTotals(client, silentLogger))
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
    const totals = createRedisTotals(client, silentLogger)
    const startedAt = performance.now()
    for (let count = 0; count < 20; count++) assert.equal(await totals.add('d', 1n), undefined)
    assert.ok(performance.now() - startedAt < 5_000)
    await totals.close()
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
