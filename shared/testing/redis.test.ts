import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { startTestRedis } from './index.ts'

test('a test Redis is empty, answers, and is gone after its end', async (t) => {
  const server = await startTestRedis()
  if (!server) {
    t.skip('redis-server is not installed')
    return
  }
  const redis = new Redis(server.url, { retryStrategy: () => null })
  redis.on('error', () => undefined)
  try {
    assert.equal(await redis.dbsize(), 0)
    assert.equal(await redis.set('key', 'value'), 'OK')
  } finally {
    redis.disconnect()
    await server.stop()
  }
  const late = new Redis(server.url, { lazyConnect: true, retryStrategy: () => null })
  late.on('error', () => undefined)
  await assert.rejects(late.connect())
})
