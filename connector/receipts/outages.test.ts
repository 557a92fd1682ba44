import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { verifyReceipt } from 'ilp-protocol-stream'
import { connectRedis, type Redis, silentLogger, uuidv7 } from '../../shared/platform/index.ts'
import { createStreamCredentials, type ReceiptSetup } from '../../shared/stream-credentials/index.ts'
import {
  createTestDatabase,
  startTestRedis,
  type TestDatabase,
  type TestRedis,
  waitFor,
} from '../../shared/testing/index.ts'
import { createWalletAddress } from '../../shared/wallet-addresses/index.ts'
import { isFulfill } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import { exchangePacket, openConnection } from '../stream/connection.ts'
import { postPrepare } from '../testing/test-hop.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'

let redis: TestRedis | undefined
let client: Redis | undefined
let database: TestDatabase
let node: TestNode
let usd: LedgerAsset
let from: { id: string; token: string }
before(async () => {
  redis = await startTestRedis()
  if (redis) client = await connectRedis({ url: redis.url, log: silentLogger })
  database = await createTestDatabase('resources')
  node = await startTestNode({
    connectionString: database.connectionString,
    env: { REDIS_URL: redis?.url ?? 'none' },
  })
  usd = await node.asset('USD', 2)
  from = await node.peer(usd, { address: 'test.a', liquidity: 1_000_000n })
})
after(async () => {
  client?.disconnect()
  await node.close()
  await database.drop()
  await redis?.stop()
})

/** A payer that asks for receipts, and what its receiver has. */
async function payer() {
  const wallet = await createWalletAddress(node.node, {
    tenantId: node.node.settings.operatorTenantId,
    assetId: usd.id,
    address: `https://wallet.example/${uuidv7()}`,
  })
  const receipt: ReceiptSetup = { nonce: randomBytes(16), secret: randomBytes(32) }
  const { ilpAddress, sharedSecret } = createStreamCredentials({
    streamSecret: node.config.streamSecret,
    ilpAddress: 'test.node',
    paymentTag: wallet.id,
    asset: { assetCode: usd.assetCode, assetScale: usd.assetScale },
    receipt,
  })
  return {
    credited: () => node.credited(wallet.id),
    /** Whether it was fulfilled, and the total of its receipt where there was one. */
    async send(amount: bigint): Promise<{ isFulfilled: boolean; total?: bigint; ms: number }> {
      const startedAt = performance.now()
      const { reply, authentic } = await exchangePacket(
        openConnection({ ilpAddress, sharedSecret: sharedSecret.toString('base64url') }),
        (prepare) => postPrepare(node.url, from.token, prepare),
        {
          amount,
          minimumAmount: 0n,
          expiresAt: new Date(Date.now() + 20_000),
          frames: [],
          fulfillable: true,
        },
      )
      const ms = performance.now() - startedAt
      const frame = authentic?.frames.find(({ type }) => type === 'streamReceipt')
      if (frame?.type !== 'streamReceipt') return { isFulfilled: isFulfill(reply), ms }
      const { totalReceived } = verifyReceipt(frame.receipt, () => receipt.secret)
      return { isFulfilled: isFulfill(reply), total: BigInt(totalReceived.toString()), ms }
    },
  }
}

test('F34: Redis is flushed a hundred times between packets: each is fulfilled and credited once, receipts start anew and never say too much', async (t) => {
  if (!client) return t.skip('redis-server is not installed')
  const { send, credited } = await payer()
  let sent = 0n
  for (let flush = 0; flush < 100; flush++) {
    const [, ...answers] = await Promise.all([client.flushall(), send(3n), send(4n)])
    sent += 7n
    for (const { isFulfilled, total } of answers) {
      assert.ok(isFulfilled)
      assert.ok(total !== undefined && total > 0n && total <= sent, `${total} of ${sent}`)
    }
  }
  assert.equal(await credited(), sent)
})

test('F34: Redis fails over to one that has lost its last writes, a hundred times: receipts go back, never ahead, and nothing else happens', async (t) => {
  if (!client) return t.skip('redis-server is not installed')
  const server = client
  const { send, credited } = await payer()
  let sent = 0n
  let older: (readonly [key: string, total: string])[] = []
  for (let failover = 0; failover < 100; failover++) {
    const keys = await server.keys('stream_received:*')
    const totals = await Promise.all(keys.map(async (key) => [key, (await server.get(key)) ?? '0'] as const))
    const lose = Promise.all(older.map(([key, total]) => server.set(key, total)))
    const [, ...answers] = await Promise.all([lose, send(3n), send(4n)])
    sent += 7n
    for (const { isFulfilled, total } of answers) {
      assert.ok(isFulfilled)
      assert.ok(total !== undefined && total > 0n && total <= sent, `${total} of ${sent}`)
    }
    older = totals
  }
  assert.equal(await credited(), sent)
})

for (const [how, leave, comeBack] of [
  ['killed', (server: TestRedis) => server.kill(), (server: TestRedis) => server.start()],
  ['silent', async (server: TestRedis) => server.pause(), async (server: TestRedis) => server.resume()],
] as const)
  test(`F35: with Redis ${how} packets are fulfilled without receipts, and with them again when it is back`, async (t) => {
    if (!redis) return t.skip('redis-server is not installed')
    const { send, credited } = await payer()
    assert.equal((await send(5n)).total, 5n)
    const counted = () => node.connector.counters.read().missing_receipts
    const countedBefore = counted()
    let missing = 0
    await leave(redis)
    try {
      for (let packet = 0; packet < 10; packet++) {
        const { isFulfilled, total, ms } = await send(5n)
        assert.deepEqual([isFulfilled, total], [true, undefined])
        missing++
        assert.ok(ms < 2_000, `a packet took ${ms} ms`)
      }
    } finally {
      await comeBack(redis)
    }
    let sent = 55n
    await waitFor(async () => {
      const { isFulfilled, total } = await send(5n)
      sent += 5n
      assert.ok(isFulfilled)
      if (total === undefined) missing++
      return total !== undefined && total <= sent
    }, 15_000)
    assert.equal(await credited(), sent)
    assert.equal(
      counted() - countedBefore,
      missing,
      'each packet without its receipt is counted, and no other',
    )
  })
