import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestRedis, waitFor } from '../testing/index.ts'
import { connectRedis } from './redis.ts'
import { silentLogger } from './silent-log.ts'

test('F34, F35: a Redis that stays silent is given up, so that nothing piles up behind it, and found again when it answers', async (t) => {
  const server = await startTestRedis()
  if (!server) return t.skip('redis-server is not installed')
  const redis = await connectRedis({ url: server.url, log: silentLogger })
  try {
    await waitFor(() => redis.status === 'ready')
    server.pause()
    const startedAtMs = performance.now()
    await assert.rejects(redis.incr('key'))
    const waitedMs = performance.now() - startedAtMs
    assert.ok(waitedMs < 1_500, `${waitedMs} ms`)
    await waitFor(() => redis.status !== 'ready')
    // From then on commands fail at once: there is no queue for them.
    const answers = await Promise.allSettled(Array.from({ length: 1_000 }, () => redis.incr('key')))
    assert.ok(answers.every(({ status }) => status === 'rejected'))
    server.resume()
    await waitFor(() => redis.status === 'ready')
    assert.ok(Number(await redis.incr('key')) <= 2, 'what was given up is not sent later')
  } finally {
    redis.disconnect()
    await server.stop()
  }
})
