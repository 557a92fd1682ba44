import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connectRedis, type Redis, silentLogger, uuidv7 } from '../../../platform/index.ts'
import { startTestRedis, type TestRedis, waitFor } from '../../../testing/index.ts'
import type { Verdict } from '../model.ts'
import { createRedisBroker } from './index.ts'

let server: TestRedis | undefined
let redis: Redis
before(async () => {
  server = await startTestRedis()
  if (!server) return
  redis = await connectRedis({ url: server.url, log: silentLogger })
  await waitFor(() => redis.status === 'ready')
})
after(async () => {
  redis?.disconnect()
  await server?.stop()
})

test('what cannot be buried comes again, and those that ended with it do not', async (t) => {
  if (!server) return t.skip('redis-server is not installed')
  const stream = 'test:unburied'
  // No stream: nothing can be added to it.
  await redis.set(`${stream}:dead`, 'else')
  const broker = await createRedisBroker({ url: server.url, stream, log: silentLogger })
  const deliveries: string[] = []
  const bodies = ['one', 'poison', 'two']
  await broker.send(bodies.map((body) => ({ key: uuidv7(), body })))
  const consumer = broker.consume(
    (messages) =>
      messages.map(async ({ body }): Promise<Verdict> => {
        deliveries.push(body)
        return body === 'poison' ? { status: 'dead', reason: 'poison' } : { status: 'done' }
      }),
    { room: () => 10, visibilitySeconds: 0.5 },
  )
  try {
    await waitFor(() => deliveries.filter((body) => body === 'poison').length === 3)
    assert.deepEqual(
      deliveries.filter((body) => body !== 'poison'),
      ['one', 'two'],
    )
    assert.equal(await redis.xlen(stream), 1)
  } finally {
    await consumer.close()
    await broker.close()
  }
})

test('F37: what was delivered too often and cannot be buried does not keep from being taken over what nobody has', async (t) => {
  if (!server) return t.skip('redis-server is not installed')
  const stream = 'test:unburied-and-others'
  await redis.set(`${stream}:dead`, 'else')
  const broker = await createRedisBroker({ url: server.url, stream, log: silentLogger })
  await broker.send(['poison', 'other'].map((body) => ({ key: uuidv7(), body })))
  await redis.xgroup('CREATE', stream, 'upesi', '0')
  const read = await redis.xreadgroup('GROUP', 'upesi', 'gone', 'COUNT', 10, 'STREAMS', stream, '>')
  const ids = ((read as unknown as [string, [string][]][])[0]?.[1] ?? []).map(([id]) => id)
  for (const [index, id] of ids.entries())
    await redis.call(
      'XCLAIM',
      stream,
      'upesi',
      'gone',
      '0',
      id,
      'IDLE',
      '600000',
      'RETRYCOUNT',
      index === 0 ? '50' : '1',
    )
  const seen: string[] = []
  const consumer = broker.consume(
    (messages) =>
      messages.map(async ({ body }): Promise<Verdict> => {
        seen.push(body)
        return { status: 'done' }
      }),
    { room: () => 10, visibilitySeconds: 2 },
  )
  try {
    await waitFor(() => seen.length > 0)
    assert.deepEqual(seen, ['other'])
  } finally {
    await consumer.close()
    await broker.close()
  }
})
