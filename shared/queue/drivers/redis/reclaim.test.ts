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

test('F37: entries of a consumer that died are found behind any number that others have in hand', async (t) => {
  if (!server) return t.skip('redis-server is not installed')
  const stream = 'test:behind'
  const broker = await createRedisBroker({ url: server.url, stream, log: silentLogger })
  const messages = Array.from({ length: 60 }, () => ({ key: uuidv7(), body: 'x' }))
  await broker.send(messages)
  await redis.xgroup('CREATE', stream, 'upesi', '0')
  // The first fifty are in good hands for longer than this test takes, the last ten in nobody's.
  await redis.xreadgroup('GROUP', 'upesi', 'alive', 'COUNT', 50, 'STREAMS', stream, '>')
  const read = await redis.xreadgroup('GROUP', 'upesi', 'dead', 'COUNT', 10, 'STREAMS', stream, '>')
  const ids = ((read as unknown as [string, [string][]][])[0]?.[1] ?? []).map(([id]) => id)
  const visibilitySeconds = 60
  await redis.call('XCLAIM', stream, 'upesi', 'dead', '0', ...ids, 'IDLE', '600000', 'JUSTID')
  const seen: string[] = []
  const consumer = broker.consume(
    (taken) =>
      taken.map(async ({ id }): Promise<Verdict> => {
        seen.push(id)
        return { status: 'done' }
      }),
    // Redis looks at ten times as many entries as there is room for.
    { room: () => 1, visibilitySeconds },
  )
  try {
    await waitFor(() => seen.length === ids.length)
    assert.deepEqual(seen.toSorted(), ids.toSorted())
    assert.equal((await broker.depth()).inFlight, 50)
  } finally {
    await consumer.close()
    await broker.close()
  }
})
