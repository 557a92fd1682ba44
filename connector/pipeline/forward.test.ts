import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger, TransferEvent } from '../../shared/ledger/index.ts'
import { deletePeer } from '../../shared/peers/index.ts'
import { Fault } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import {
  createReject,
  type IlpPrepare,
  type IlpReply,
  isFulfill,
  isReject,
  serializePrepare,
} from '../packet/index.ts'
import type { LedgerAsset } from '../routing/index.ts'
import {
  fulfilAfter,
  fulfilWithData,
  type HopAnswer,
  postBytes,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from '../testing/test-hop.ts'
import { startTestNode, type TestNode } from '../testing/test-node.ts'

/** What the ledger does beside its work; cleared after each test. */
interface Faults {
  /** Before the call: throw to lose it. */
  before?: (events: readonly TransferEvent[]) => Promise<void> | void
  /** After the call succeeded: throw to lose the answer. */
  after?: (events: readonly TransferEvent[]) => Promise<void> | void
}

let faults: Faults = {}
const faulty = (ledger: Ledger): Ledger => ({
  ...ledger,
  async createTransfers(events) {
    await faults.before?.(events)
    const statuses = await ledger.createTransfers(events)
    await faults.after?.(events)
    return statuses
  },
})
const unknown = () => new Fault('ledger_outcome_unknown', { retryable: true })
const isKind = (kind: TransferEvent['kind']) => (events: readonly TransferEvent[]) => events[0]?.kind === kind

let database: TestDatabase
let node: TestNode
let hop: TestHop
let rates: TestHttpServer
let usd: LedgerAsset
let eur: LedgerAsset
let answer: (prepare: IlpPrepare) => HopAnswer | Promise<HopAnswer> = fulfilWithData
let prices = '{"base":"USD","rates":{"EUR":0.9}}'
/** Of what was asked for some of it must be left when it comes to the packet, on a busy machine too. */
const PRICES_MS = 40
const pricesAreOld = () => sleep(PRICES_MS + 5)

before(async () => {
  database = await createTestDatabase('resources')
  hop = await startTestHop((prepare) => answer(prepare))
  rates = await startTestHttpServer(() => ({ body: prices }))
  node = await startTestNode({
    connectionString: database.connectionString,
    env: {
      EXCHANGE_RATES_URL: rates.url,
      EXCHANGE_RATES_LIFETIME: `${PRICES_MS}`,
      EXCHANGE_RATES_CHANGE_MAX: '0',
    },
    change: (ctx) => ({ ledger: faulty(ctx.ledger) }),
  })
  usd = await node.asset('USD', 2)
  eur = await node.asset('EUR', 3, 1_000_000n)
})

after(async () => {
  await node.close()
  await hop.close()
  await rates.close()
  await database.drop()
})

afterEach(async () => {
  faults = {}
  answer = fulfilWithData
  prices = '{"base":"USD","rates":{"EUR":0.9}}'
  hop.requests.length = 0
  await pricesAreOld()
})

let count = 0
/** Two fresh peers, so that balances are a test's own. `to` is in the same asset unless said otherwise. */
async function pair(options: { liquidity?: bigint; asset?: LedgerAsset; endpoint?: string } = {}) {
  count++
  const from = await node.peer(usd, { address: `test.from${count}`, liquidity: options.liquidity ?? 1000n })
  const to = await node.peer(options.asset ?? usd, {
    address: `test.to${count}`,
    endpoint: options.endpoint ?? hop.url,
  })
  const post = (fields: Parameters<typeof testPrepare>[1] = {}) =>
    postPrepare(node.url, from.token, testPrepare(`test.to${count}.x`, fields))
  const balances = async () => [await node.balance(from.id), await node.balance(to.id)]
  return { from, to, post, balances, address: `test.to${count}.x` }
}

const rejected = (reply: IlpReply): { code: string; message: string } => {
  assert.ok(isReject(reply))
  assert.equal(reply.triggeredBy, 'test.node')
  assert.equal(reply.data.length, 0)
  return { code: reply.code, message: reply.message }
}

test('a fulfilled packet moves its amount, the same on both sides', async () => {
  const { post, balances } = await pair()
  assert.ok(isFulfill(await post({ amount: 10n })))
  assert.deepEqual(await balances(), [990n, 10n])
})

test('a packet of nothing is forwarded and moves nothing', async () => {
  const { post, balances } = await pair({ liquidity: 1n })
  const reply = await post({ amount: 0n })
  assert.ok(isFulfill(reply), JSON.stringify(reply))
  assert.deepEqual(await balances(), [1n, 0n])
})

test('777 USD(2) become 6993 EUR(3) at 0.9, on two ledgers', async () => {
  const { post, balances } = await pair({ asset: eur })
  const before = [await node.balance(usd.id), await node.balance(eur.id)]
  assert.ok(isFulfill(await post({ amount: 777n })))
  assert.equal(hop.requests[0]?.prepare.amount, 6993n)
  assert.deepEqual(await balances(), [223n, 6993n])
  const after = [await node.balance(usd.id), await node.balance(eur.id)]
  assert.deepEqual(after, [(before[0] ?? 0n) + 777n, (before[1] ?? 0n) - 6993n])
})

test('an amount that converts to nothing, or to too much, is refused and never forwarded as it was', async () => {
  const { post, balances } = await pair({ asset: eur, liquidity: 2n ** 64n - 1n })
  prices = '{"base":"USD","rates":{"EUR":0.0001}}'
  await pricesAreOld()
  assert.equal(rejected(await post({ amount: 10n })).code, 'R01')
  prices = '{"base":"USD","rates":{"EUR":0.9}}'
  await pricesAreOld()
  const tooMuch = await post({ amount: 2n ** 63n })
  assert.ok(isReject(tooMuch))
  assert.equal(tooMuch.code, 'F08')
  // floor((2^64 − 1) / 9)
  assert.deepEqual(
    [tooMuch.data.readBigUInt64BE(0), tooMuch.data.readBigUInt64BE(8)],
    [2n ** 63n, 2049638230412172401n],
  )
  assert.equal(hop.requests.length, 0)
  assert.deepEqual(await balances(), [2n ** 64n - 1n, 0n])
})

test('F9: without a usable price the packet is refused: F07 for the code, T00 for the service', async () => {
  const { post, address } = await pair({ asset: eur })
  for (const bad of ['0', '-1', '1e999', '"0.9"']) {
    prices = `{"base":"USD","rates":{"EUR":${bad}}}`
    await pricesAreOld()
    assert.deepEqual(rejected(await post()), {
      code: 'F07',
      message: 'Exchange rate error: InvalidDestinationPrice',
    })
  }
  // The service answers with the rates of dollars, whoever asks.
  const gbp = await node.asset('GBP', 2)
  const from = await node.peer(gbp, { address: 'test.pounds', liquidity: 1000n })
  assert.deepEqual(rejected(await postPrepare(node.url, from.token, testPrepare(address))), {
    code: 'T00',
    message: 'unexpected internal error',
  })
  assert.equal(hop.requests.length, 0)
})

test('expiry: past, too soon, and at most 30 s for the next hop', async () => {
  const { post, balances } = await pair()
  const past = rejected(await post({ lifeMs: -20 }))
  assert.equal(past.code, 'R02')
  assert.match(past.message, /^source transfer has already expired\. sourceExpiry=\S+Z currentTime=\S+Z$/)
  const soon = rejected(await post({ lifeMs: 1500 }))
  assert.equal(soon.code, 'R02')
  assert.match(
    soon.message,
    /^source transfer expires too soon to complete payment\. actualSourceExpiry=\S+Z requiredSourceExpiry=\S+Z currentTime=\S+Z$/,
  )
  assert.deepEqual(await balances(), [1000n, 0n])
  assert.ok(isFulfill(await post({ lifeMs: 60_000 })))
  const left = hop.requests[0]?.leftMs ?? 0
  assert.ok(left > 29_000 && left <= 30_000, `${left} ms left`)
})

test('what the next hop does wrong becomes T00 or F05, and the money is free again', async () => {
  const { post, balances } = await pair()
  const answers: [string, string, () => HopAnswer][] = [
    ['T00', 'unexpected internal error', () => ({ status: 500, body: Buffer.from('no') })],
    ['T00', 'unexpected internal error', () => ({ status: 401, body: Buffer.alloc(0) })],
    ['T00', 'unexpected internal error', () => ({ status: 200, body: Buffer.from('nonsense') })],
    ['T00', 'unexpected internal error', () => ({ status: 200, body: Buffer.alloc(0) })],
    ['T00', 'unexpected internal error', () => ({ status: 200, body: Buffer.alloc(200_000) })],
    [
      'T00',
      'unexpected internal error',
      () => ({ status: 200, body: serializePrepare(testPrepare('test.x')) }),
    ],
    ['T00', 'unexpected internal error', () => undefined],
    [
      'F05',
      'fulfillment did not match expected value.',
      () => ({ fulfillment: Buffer.alloc(32, 1), data: Buffer.alloc(0) }),
    ],
  ]
  for (const [code, message, given] of answers) {
    answer = given
    assert.deepEqual(rejected(await post()), { code, message })
    assert.deepEqual(await balances(), [1000n, 0n])
  }
  // A hop that does not say that it knows repeats would take one for another packet.
  assert.equal(hop.requests.length, answers.length)
})

test('money that is not there is T04, and says whose', async () => {
  const poor = await pair({ liquidity: 9n })
  assert.deepEqual(rejected(await poor.post()), { code: 'T04', message: 'InsufficientBalance' })
  const dry = await pair({ asset: eur, liquidity: 10n ** 12n })
  assert.deepEqual(rejected(await dry.post({ amount: 10n ** 9n })), {
    code: 'T04',
    message: 'InsufficientLiquidity',
  })
  assert.deepEqual(await dry.balances(), [10n ** 12n, 0n])
  assert.equal(hop.requests.length, 0)
})

test('F4: 64 packets at once against money for one: exactly one is fulfilled', async () => {
  const { post, balances } = await pair({ liquidity: 10n })
  answer = fulfilAfter(50)
  const replies = await Promise.all(Array.from({ length: 64 }, () => post()))
  assert.equal(replies.filter(isFulfill).length, 1)
  assert.equal(replies.filter((reply) => isReject(reply) && reply.code === 'T04').length, 63)
  assert.equal(hop.requests.length, 1)
  assert.deepEqual(await balances(), [0n, 10n])
})

test('a peer above its packets per minute is throttled', async () => {
  const from = await node.peer(usd, { address: 'test.quick', liquidity: 1000n, packetsPerMinute: 3 })
  await pair()
  const replies: IlpReply[] = []
  for (let packet = 0; packet < 5; packet++)
    replies.push(await postPrepare(node.url, from.token, testPrepare(`test.to${count}.x`)))
  assert.deepEqual(replies.map(isFulfill), [true, true, true, false, false])
  assert.deepEqual(rejected(replies[4]!), { code: 'T05', message: 'too many requests, throttling.' })
})

test('the same Prepare while it is under way waits for the one answer; afterwards it gets the Fulfill again', async () => {
  const { from, balances, address } = await pair()
  answer = fulfilAfter(60)
  const prepare = testPrepare(address)
  const replies = await Promise.all(
    Array.from({ length: 5 }, () => postPrepare(node.url, from.token, prepare)),
  )
  assert.ok(replies.every(isFulfill))
  assert.ok(isFulfill(await postPrepare(node.url, from.token, prepare)))
  assert.equal(hop.requests.length, 1)
  assert.deepEqual(await balances(), [990n, 10n])
})

test('F39: a repeat that only the ledger remembers is never forwarded again', async (t) => {
  const { from, balances, address } = await pair()
  const fulfilled = testPrepare(address)
  const refused = testPrepare(address)
  assert.ok(isFulfill(await postPrepare(node.url, from.token, fulfilled)))
  answer = () => createReject('F99', { triggeredBy: 'test.x' })
  assert.ok(isReject(await postPrepare(node.url, from.token, refused)))
  answer = fulfilWithData

  // Another process on the same databases stands for this one after a restart.
  const second = await startTestNode({ connectionString: database.connectionString })
  t.after(() => second.close())
  const headers = { authorization: `Bearer ${from.token}`, 'content-type': 'application/octet-stream' }
  const again = await postBytes(second.url, serializePrepare(fulfilled), headers)
  // Neither Fulfill, which it does not know, nor Reject, which would be a lie.
  assert.equal(again.status, 500)
  assert.equal(second.connector.counters.read().unanswered_packets, 1)
  assert.deepEqual(rejected(await postPrepare(second.url, from.token, refused)), {
    code: 'T00',
    message: 'packet was already answered',
  })
  assert.equal(hop.requests.length, 2)
  assert.deepEqual(await balances(), [990n, 10n])
})

test('nor is one denied that cannot be forwarded any more: too late, without a route, without a price', async (t) => {
  const here = await pair()
  const abroad = await pair({ asset: eur })
  const late = testPrepare(here.address, { expiresAt: new Date(Date.now() + 4_000) })
  const [routed, priced] = [testPrepare(here.address), testPrepare(abroad.address)]
  for (const [{ from }, prepare] of [
    [here, late],
    [here, routed],
    [abroad, priced],
  ] as const)
    assert.ok(isFulfill(await postPrepare(node.url, from.token, prepare)))
  // Without a rates service.
  const second = await startTestNode({ connectionString: database.connectionString })
  t.after(() => second.close())
  const repeat = async ({ from }: { from: { token: string } }, prepare: IlpPrepare) => {
    const headers = { authorization: `Bearer ${from.token}`, 'content-type': 'application/octet-stream' }
    const { status } = await postBytes(second.url, serializePrepare(prepare), headers)
    return status
  }
  const fresh = async ({ from, address }: typeof here, fields = {}) =>
    rejected(await postPrepare(second.url, from.token, testPrepare(address, fields))).code

  assert.equal(await repeat(abroad, priced), 500)
  assert.equal(await fresh(abroad), 'T00')
  await sleep(Math.max(0, late.expiresAt.getTime() - Date.now() - 1_500))
  assert.equal(await repeat(here, late), 500)
  assert.equal(await fresh(here, { expiresAt: new Date(Date.now() + 1_500) }), 'R02')
  await deletePeer(node.node, 'all', here.to.id)
  await waitFor(async () => (await fresh(here)) === 'F02')
  assert.equal(await repeat(here, routed), 500)
  assert.equal(second.connector.counters.read().unanswered_packets, 3)
})

test('F39: a hold whose outcome is unknown is repeated, not doubled', async () => {
  const { post, balances } = await pair()
  let lost = 0
  faults = {
    after: (events) => {
      if (isKind('pending')(events) && lost++ < 2) throw unknown()
    },
  }
  assert.ok(isFulfill(await post()))
  assert.equal(lost, 3)
  assert.deepEqual(await balances(), [990n, 10n])
})

test('F39: a post whose outcome is unknown is repeated until it is known, whether it happened or not', async () => {
  const { post, balances } = await pair()
  for (const when of ['before', 'after'] as const) {
    let lost = 0
    faults = {
      [when]: (events: readonly TransferEvent[]) => {
        if (isKind('post')(events) && lost++ < 3) throw unknown()
      },
    }
    assert.ok(isFulfill(await post()))
    assert.equal(lost, 4)
  }
  assert.deepEqual(await balances(), [980n, 20n])
  assert.equal(node.connector.counters.read().late_postings, 0)
})

test('F38: a ledger that is away: the packet does not leave, and is refused in time', async () => {
  const { post, balances } = await pair()
  faults = {
    before: () => {
      throw unknown()
    },
  }
  assert.deepEqual(rejected(await post({ lifeMs: 2_600 })), {
    code: 'T00',
    message: 'unexpected internal error',
  })
  assert.equal(hop.requests.length, 0)
  faults = {}
  assert.deepEqual(await balances(), [1000n, 0n])
})

test('a hold that takes so long that the next hop would have no time is not used', async () => {
  const { post, balances } = await pair()
  faults = {
    before: async (events) => {
      if (isKind('pending')(events)) await sleep(1_700)
    },
  }
  assert.deepEqual(rejected(await post({ lifeMs: 3_100 })), {
    code: 'T00',
    message: 'unexpected internal error',
  })
  assert.equal(hop.requests.length, 0)
  assert.deepEqual(await balances(), [1000n, 0n])
})

test('a void that gets lost is made good in the background', async () => {
  const { post, balances } = await pair()
  let lost = 0
  faults = {
    before: (events) => {
      if (isKind('void')(events) && lost++ < 3) throw unknown()
    },
  }
  answer = () => createReject('F99', { triggeredBy: 'test.x' })
  assert.ok(isReject(await post()))
  await waitFor(async () => (await balances())[0] === 1000n)
})
