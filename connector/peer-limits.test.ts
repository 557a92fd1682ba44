import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { updatePeer } from '../shared/peers/index.ts'
import { createTestDatabase, startTestRedis, type TestDatabase, waitFor } from '../shared/testing/index.ts'
import { type IlpPrepare, type IlpReply, isFulfill, isReject } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import { fulfilWithData, postPrepare, startTestHop, type TestHop, testPrepare } from './testing/test-hop.ts'
import { startTestNode, type TestNode } from './testing/test-node.ts'

const codeOf = (reply: IlpReply) => (isReject(reply) ? `${reply.code} ${reply.message}` : 'fulfilled')
const wrong = (prepare: IlpPrepare): IlpReply => ({
  ...fulfilWithData(prepare),
  fulfillment: Buffer.alloc(32),
})

describe('limits of a peer', () => {
  let database: TestDatabase
  let node: TestNode
  let hop: TestHop
  let usd: LedgerAsset
  let answer: (prepare: IlpPrepare) => IlpReply
  let count = 0
  before(async () => {
    database = await createTestDatabase('resources')
    hop = await startTestHop((prepare) => answer(prepare))
    node = await startTestNode({ connectionString: database.connectionString })
    usd = await node.asset('USD', 2)
    await node.peer(usd, { address: 'test.to', endpoint: hop.url })
  })
  after(async () => {
    await node.close()
    await hop.close()
    await database.drop()
  })
  const from = async (limits: Parameters<TestNode['peer']>[1] extends infer P ? Partial<P> : never) => {
    answer = fulfilWithData
    const peer = await node.peer(usd, { address: `test.from${++count}`, liquidity: 1_000_000n, ...limits })
    const post = (fields: Parameters<typeof testPrepare>[1] = {}) =>
      postPrepare(node.url, peer.token, testPrepare('test.to.x', fields))
    return { peer, post }
  }
  const amountLimit = { amount: 100n, seconds: 3_600 }

  test('more money than the limit is T04; what fits still passes', async () => {
    const { peer, post } = await from({ amountLimit })
    assert.ok(isFulfill(await post({ amount: 70n })))
    assert.equal(codeOf(await post({ amount: 31n })), 'T04 exceeded money bandwidth, throttling.')
    assert.ok(isFulfill(await post({ amount: 30n })))
    assert.equal(codeOf(await post({ amount: 1n })), 'T04 exceeded money bandwidth, throttling.')
    assert.ok(isFulfill(await post({ amount: 0n })))
    assert.equal(await node.balance(peer.id), 1_000_000n - 100n)
  })

  test('a packet that would never pass is F08, with what would', async () => {
    for (const [limits, maximum] of [
      [{ amountLimit }, 100n],
      [{ amountLimit, maxPacketAmount: 60n }, 60n],
      [{ amountLimit, maxPacketAmount: 600n }, 100n],
    ] as const) {
      const { post } = await from(limits)
      const reply = await post({ amount: maximum + 1n })
      assert.ok(isReject(reply) && reply.code === 'F08')
      assert.deepEqual(
        [reply.data.readBigUInt64BE(0), reply.data.readBigUInt64BE(8)],
        [maximum + 1n, maximum],
      )
      assert.ok(isFulfill(await post({ amount: maximum })))
    }
  })

  test('what is rejected is given back: by this node, by the next, and when the proof is wrong', async () => {
    const { post } = await from({ amountLimit })
    const refusals: [(prepare: IlpPrepare) => IlpReply, Parameters<typeof post>[0]][] = [
      [fulfilWithData, { destination: 'test.nowhere' }],
      [() => ({ code: 'F99', triggeredBy: 'test.to', message: '', data: Buffer.alloc(0) }), {}],
      [wrong, {}],
      [fulfilWithData, { lifeMs: 1_500 }],
    ]
    for (const [answered, fields] of refusals) {
      answer = answered
      assert.ok(isReject(await post({ amount: 100n, ...fields })))
    }
    answer = fulfilWithData
    assert.ok(isFulfill(await post({ amount: 100n })))
  })

  test('many at once: exactly what the limit allows', async () => {
    const { peer, post } = await from({ amountLimit: { amount: 500n, seconds: 3_600 } })
    const replies = await Promise.all(Array.from({ length: 120 }, () => post({ amount: 10n })))
    assert.equal(replies.filter(isFulfill).length, 50)
    assert.equal(await node.balance(peer.id), 1_000_000n - 500n)
  })

  test('amounts beyond what numbers hold exactly', async () => {
    const { post } = await from({
      liquidity: 2n ** 64n - 1n,
      amountLimit: { amount: 2n ** 63n + 1n, seconds: 86_400 },
    })
    assert.ok(isFulfill(await post({ amount: 2n ** 62n })))
    assert.ok(isFulfill(await post({ amount: 2n ** 62n - 5_000n })))
    assert.match(codeOf(await post({ amount: 2n ** 52n })), /^T04/)
  })

  test('more packets than the limit are T05, rejected ones among them', async () => {
    const { post } = await from({ packetsPerMinute: 3 })
    assert.match(codeOf(await post({ destination: 'test.nowhere' })), /^F02/)
    assert.ok(isFulfill(await post()))
    assert.ok(isFulfill(await post({ amount: 0n })))
    assert.equal(codeOf(await post()), 'T05 too many requests, throttling.')
    assert.equal(codeOf(await post({ amount: 0n })), 'T05 too many requests, throttling.')
  })

  test('a change of the limits counts from its notification', async () => {
    const { peer, post } = await from({ packetsPerMinute: 1 })
    assert.ok(isFulfill(await post()))
    assert.match(codeOf(await post()), /^T05/)
    await updatePeer(node.node, 'all', { id: peer.id, packetsPerMinute: null, amountLimit })
    await waitFor(async () => codeOf(await post({ amount: 101n })).startsWith('F08'))
    await updatePeer(node.node, 'all', { id: peer.id, amountLimit: null })
    await waitFor(async () => codeOf(await post({ amount: 101n })) === 'fulfilled')
  })

  test('a repeat of a packet that was paid is never told that it was not, whatever the limits say by now', async (t) => {
    const { peer } = await from({})
    const paid = testPrepare('test.to.x')
    assert.ok(isFulfill(await postPrepare(node.url, peer.token, paid)))
    // Here it is remembered; another connector knows it from the ledger only, and has no proof to show.
    const second = await startTestNode({ connectionString: database.connectionString })
    t.after(() => second.close())
    for (const [refusal, limits] of [
      [/^T05/, { packetsPerMinute: 1, amountLimit: null, maxPacketAmount: null }],
      [
        /^T04/,
        { packetsPerMinute: null, amountLimit: { amount: 10n, seconds: 86_400 }, maxPacketAmount: null },
      ],
      [/^F08/, { packetsPerMinute: null, amountLimit: null, maxPacketAmount: 1n }],
    ] as const) {
      await updatePeer(node.node, 'all', { id: peer.id, ...limits })
      // Each refuses by the new limit, not by the one before, of which it has not heard otherwise yet.
      for (const { url } of [node, second])
        await waitFor(async () =>
          refusal.test(codeOf(await postPrepare(url, peer.token, testPrepare('test.to.x')))),
        )
      assert.ok(isFulfill(await postPrepare(node.url, peer.token, paid)))
      await assert.rejects(postPrepare(second.url, peer.token, paid), /HTTP 500/)
      assert.match(codeOf(await postPrepare(second.url, peer.token, testPrepare('test.to.x'))), refusal)
    }
  })
})

test('connectors whose Redis was never there count themselves in the database, and let pass a limit once', async () => {
  const database = await createTestDatabase('resources')
  const hop = await startTestHop(fulfilWithData)
  const options = { connectionString: database.connectionString, env: { REDIS_URL: 'redis://127.0.0.1:9' } }
  const nodes = await Promise.all([startTestNode(options), startTestNode(options), startTestNode(options)])
  const [node] = nodes
  try {
    const usd = await node!.asset('USD', 2)
    await node!.peer(usd, { address: 'test.to', endpoint: hop.url })
    const peer = await node!.peer(usd, {
      address: 'test.from',
      liquidity: 1_000_000n,
      amountLimit: { amount: 900n, seconds: 86_400 },
    })
    for (const each of nodes) await waitFor(() => each.connector.directory.findPeerByToken(peer.token))
    // Until all have been counted by all.
    await sleep(2_200)
    const codes = await Promise.all(
      Array.from({ length: 300 }, async (_, index) =>
        codeOf(
          await postPrepare(nodes[index % 3]!.url, peer.token, testPrepare('test.to.x', { amount: 10n })),
        ),
      ),
    )
    assert.equal(codes.filter((code) => code === 'fulfilled').length, 90)
    assert.equal(codes.filter((code) => /^T04 .*throttling/.test(code)).length, 210)
  } finally {
    for (const each of nodes) await each.close()
    await hop.close()
    await database.drop()
  }
})

test('F35: two connectors of a node share a peer’s limits over Redis; it is flushed and killed in mid-traffic, and every packet gets its answer', async (t) => {
  const redis = await startTestRedis()
  if (!redis) return t.skip('redis-server is not installed')
  const database = await createTestDatabase('resources')
  const hop = await startTestHop(fulfilWithData)
  const options = { connectionString: database.connectionString, env: { REDIS_URL: redis.url } }
  const nodes = [await startTestNode(options), await startTestNode(options)] as const
  const [node] = nodes
  try {
    const usd = await node.asset('USD', 2)
    await node.peer(usd, { address: 'test.to', endpoint: hop.url })
    let peers = 0
    /** A peer that both connectors know. */
    const limited = async (limits: {
      packetsPerMinute?: number
      amountLimit?: { amount: bigint; seconds: number }
    }) => {
      const peer = await node.peer(usd, { address: `test.from${++peers}`, liquidity: 1_000_000n, ...limits })
      await waitFor(() => nodes[1].connector.directory.findPeerByToken(peer.token))
      return peer
    }
    const send = async (token: string, count: number, amount = 1n) => {
      const codes = await Promise.all(
        Array.from({ length: count }, async (_, index) =>
          codeOf(await postPrepare(nodes[index % 2]!.url, token, testPrepare('test.to.x', { amount }))),
        ),
      )
      return {
        fulfilled: codes.filter((code) => code === 'fulfilled').length,
        throttled: codes.filter((code) => /^T0[45] .*throttling/.test(code)).length,
      }
    }

    const packets = await limited({ packetsPerMinute: 60 })
    const first = await send(packets.token, 120)
    // One a second comes back.
    assert.ok(first.fulfilled >= 60 && first.fulfilled <= 66, JSON.stringify(first))
    assert.equal(first.fulfilled + first.throttled, 120)

    // Where Redis answers too late, as on a machine that has other work, each counts for itself.
    const unshared = () =>
      nodes.reduce((sum, { connector }) => sum + connector.counters.read().unshared_limits, 0)
    const paid = await waitFor(async () => {
      const before = unshared()
      const money = await limited({ amountLimit: { amount: 1_000n, seconds: 86_400 } })
      const sent = await send(money.token, 200, 10n)
      return unshared() === before && sent
    })
    assert.deepEqual(paid, { fulfilled: 100, throttled: 100 })

    const flushed = await limited({ amountLimit: { amount: 1_000n, seconds: 86_400 } })
    const around = await Promise.all([
      send(flushed.token, 100, 10n),
      redis.kill().then(() => redis.start()),
      send(flushed.token, 100, 10n),
    ])
    assert.equal(around[0].fulfilled + around[0].throttled, 100)
    assert.equal(around[2].fulfilled + around[2].throttled, 100)

    const away = await limited({ amountLimit: { amount: 1_000n, seconds: 86_400 } })
    await redis.kill()
    const alone = await send(away.token, 300, 10n)
    assert.equal(alone.fulfilled + alone.throttled, 300)
    // Each has at most its part, and at least a connector's.
    assert.ok(alone.fulfilled >= 50 && alone.fulfilled <= 200, JSON.stringify(alone))
    assert.ok(nodes.every(({ connector }) => connector.counters.read().unshared_limits > 0))
  } finally {
    for (const each of nodes) await each.close()
    await hop.close()
    await redis.stop()
    await database.drop()
  }
})
