import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../../shared/ledger/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import { type IlpPrepare, isFulfill, isReject } from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import {
  fulfilAfter,
  fulfilWithData,
  type HopAnswer,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from '../testing/test-hop.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'

/** The setting's default is 5 s: what is tried here is its fifth, and so are the times around it. */
const HOLD_SECONDS = 1

/** Accounts whose holds last one second, whatever was asked for. */
const shortHolds = new Set<string>()
const shortening = (ledger: Ledger): Ledger => ({
  ...ledger,
  createTransfers: (events) =>
    ledger.createTransfers(
      shortHolds.size > 0 &&
        events.some((event) => 'debitAccountId' in event && shortHolds.has(event.debitAccountId))
        ? events.map((event) => (event.kind === 'pending' ? { ...event, timeoutSeconds: 1 } : event))
        : events,
    ),
})

const answers = new Map<string, (prepare: IlpPrepare) => Promise<HopAnswer>>()
let database: TestDatabase
let node: TestNode
let hop: TestHop
let usd: LedgerAsset
let millis: LedgerAsset

before(async () => {
  database = await createTestDatabase('resources')
  hop = await startTestHop(
    (prepare) => answers.get(prepare.destination)?.(prepare) ?? fulfilWithData(prepare),
  )
  node = await startTestNode({
    connectionString: database.connectionString,
    env: { TIGERBEETLE_TWO_PHASE_TIMEOUT_SECONDS: String(HOLD_SECONDS) },
    change: (ctx) => ({ ledger: shortening(ctx.ledger) }),
  })
  usd = await node.asset('USD', 2)
  // The same currency in other units needs no rates.
  millis = await node.asset('USD', 3, 1_000_000n)
})

after(async () => {
  await node.close()
  await hop.close()
  await database.drop()
})

let count = 0
async function pair(options: { liquidity?: bigint; asset?: LedgerAsset; endpoint?: string } = {}) {
  const number = ++count
  const from = await node.peer(usd, { address: `test.from${number}`, liquidity: options.liquidity ?? 1000n })
  const to = await node.peer(options.asset ?? usd, {
    address: `test.to${number}`,
    endpoint: options.endpoint ?? hop.url,
  })
  const destination = `test.to${number}.x`
  return {
    from,
    post: (answer: (prepare: IlpPrepare) => Promise<HopAnswer>, lifeMs = 20_000) => {
      answers.set(destination, answer)
      return postPrepare(node.url, from.token, testPrepare(destination, { lifeMs }))
    },
    balances: async () => [await node.balance(from.id), await node.balance(to.id)],
  }
}

describe('answers that take their time', { concurrency: true }, () => {
  // Around the hold setting, and up to the six times of it that a packet may be kept.
  for (const seconds of [0.98, 1.02, 2, 5.8])
    test(`F1: after ${seconds} s it is posted: what was answered with a Fulfill is in the ledger`, async () => {
      const { post, balances, from } = await pair()
      assert.ok(isFulfill(await post(fulfilAfter(seconds * 1000))))
      assert.deepEqual(await balances(), [990n, 10n])
      // What was held was posted: nothing had to be recorded late.
      const [deposit, held, posted, ...more] = await node.node.ledger.queryTransfers({
        accountId: from.id,
        limit: 10,
      })
      assert.deepEqual([deposit?.kind, held?.kind, posted?.kind, more], ['posted', 'pending', 'post', []])
      assert.ok(held?.expiresAt && held.expiresAt.getTime() - held.createdAt.getTime() >= 10_000)
    })

  test('F1: after the hold has ended it is posted late, in one asset and across two', async () => {
    const before = node.connector.counters.read().late_postings
    await Promise.all(
      [usd, millis].map(async (asset) => {
        const { post, balances, from } = await pair({ asset })
        shortHolds.add(from.id)
        assert.ok(isFulfill(await post(fulfilAfter(1_300))))
        assert.deepEqual(await balances(), [990n, asset === usd ? 10n : 100n])
      }),
    )
    assert.equal(node.connector.counters.read().late_postings, before + 2)
  })

  test('F1: after the hold has ended and the payer has nothing any more, the node covers the next hop', async () => {
    const { post, balances, from } = await pair({ liquidity: 10n })
    shortHolds.add(from.id)
    const reply = await post(async (prepare) => {
      await sleep(1_300)
      // Meanwhile the released money is spent.
      const [status] = await node.node.ledger.createTransfers([
        {
          kind: 'posted',
          id: randomUUID(),
          debitAccountId: from.id,
          creditAccountId: usd.id,
          ledger: usd.ledger,
          code: 1,
          amount: 10n,
        },
      ])
      assert.equal(status, 'created')
      return fulfilWithData(prepare)
    })
    assert.ok(isFulfill(reply))
    assert.deepEqual(await balances(), [0n, 10n])
    assert.equal(node.connector.counters.read().covered_postings, 1)
  })

  test('F1: after the packet has expired it changes nothing: R00, and the money is free at once', async () => {
    const { post, balances, from } = await pair()
    // It was not the answer that ended it: there is none before.
    const ended = Promise.withResolvers<void>()
    const reply = await post(async (prepare) => {
      await Promise.race([ended.promise, sleep(20_000, undefined, { ref: false })])
      return fulfilWithData(prepare)
    }, 5_000)
    assert.ok(isReject(reply))
    assert.deepEqual([reply.code, reply.message], ['R00', 'packet expired.'])
    await waitFor(async () => (await node.balance(from.id)) === 1000n)
    ended.resolve()
    await sleep(500)
    assert.deepEqual(await balances(), [1000n, 0n])
  })

  test('a peer that is down is T00', async () => {
    const { post, balances } = await pair({ endpoint: 'http://127.0.0.1:9/' })
    const reply = await post(fulfilAfter(0))
    assert.ok(isReject(reply))
    assert.deepEqual([reply.code, reply.message], ['T00', 'unexpected internal error'])
    assert.deepEqual(await balances(), [1000n, 0n])
  })
})
