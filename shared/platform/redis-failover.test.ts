import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { startTestRedis, waitFor } from '../testing/index.ts'
import { connectRedis } from './redis.ts'
import { silentLogger } from './silent-log.ts'

test('a server that has become a replica is left for the one that its name leads to now', async (t) => {
  const servers = [await startTestRedis(), await startTestRedis()] as const
  const [first, second] = servers
  if (!first || !second) return t.skip('redis-server is not installed')
  let target = first
  const proxy = createServer((socket) => {
    const upstream = connect(Number(new URL(target.url).port), '127.0.0.1')
    for (const end of [socket, upstream]) end.on('error', () => undefined)
    socket.pipe(upstream).pipe(socket)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = proxy.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const redis = await connectRedis({ url: `redis://127.0.0.1:${port}`, log: silentLogger })
  const admin = await connectRedis({ url: first.url, log: silentLogger })
  try {
    await waitFor(() => redis.status === 'ready' && admin.status === 'ready')
    await redis.incr('key')
    await admin.call('REPLICAOF', '127.0.0.1', new URL(second.url).port)
    target = second
    await waitFor(() =>
      redis.incr('key').then(
        () => true,
        () => false,
      ),
    )
    assert.ok(Number(await redis.incr('key')) > 0)
  } finally {
    redis.disconnect()
    admin.disconnect()
    proxy.close()
    for (const server of servers) await server?.stop()
  }
})
