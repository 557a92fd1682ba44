import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getIncomingPayment } from '../shared/incoming-payments/index.ts'
import { rate } from '../shared/money/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
} from '../shared/testing/index.ts'
import { isReject } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import { postPrepare, testPrepare } from './testing/test-hop.ts'
import { startTestNode, type TestNode } from './testing/test-node.ts'

// A pays in dollars, B in the middle changes them into euros, C receives euros. Only neighbours are peers.
let databases: TestDatabase[]
let rates: TestHttpServer
let a: TestNode
let b: TestNode
let c: TestNode
let usdA: LedgerAsset
let usdB: LedgerAsset
let eurB: LedgerAsset
let eurC: LedgerAsset
let peers: { bAtA: string; aAtB: string; cAtB: string; bAtC: string }

before(async () => {
  databases = await Promise.all([1, 2, 3].map(() => createTestDatabase('resources')))
  rates = await startTestHttpServer((request) => ({
    body: request.path.includes('USD')
      ? '{"base":"USD","rates":{"EUR":0.9}}'
      : '{"base":"EUR","rates":{"USD":1.1}}',
  }))
  const start = (index: number, ilpAddress: string) =>
    startTestNode({
      connectionString: databases[index]!.connectionString,
      ilpAddress,
      env: { EXCHANGE_RATES_URL: rates.url },
    })
  ;[a, b, c] = await Promise.all([start(0, 'test.a'), start(1, 'test.b'), start(2, 'test.c')])
  usdA = await a.asset('USD', 2)
  usdB = await b.asset('USD', 2)
  eurB = await b.asset('EUR', 2, 1_000_000n)
  eurC = await c.asset('EUR', 2)
  const aAtB = await b.peer(usdB, { address: 'test.a', endpoint: a.url, token: 'a-b', liquidity: 1_000_000n })
  const cAtB = await b.peer(eurB, { address: 'test.c', endpoint: c.url, outgoingToken: 'b-c', token: 'c-b' })
  const bAtC = await c.peer(eurC, {
    address: 'test.b',
    endpoint: b.url,
    token: 'b-c',
    outgoingToken: 'c-b',
    liquidity: 1_000_000n,
    maxPacketAmount: 4_000n,
  })
  const bAtA = await a.peer(usdA, {
    address: 'test.b',
    endpoint: b.url,
    outgoingToken: 'a-b',
    routes: ['test.c'],
  })
  peers = { bAtA: bAtA.id, aAtB: aAtB.id, cAtB: cAtB.id, bAtC: bAtC.id }
})

after(async () => {
  await Promise.all([a.close(), b.close(), c.close(), rates.close()])
  await Promise.all(databases.map((database) => database.drop()))
})

test('a payment over a node in the middle arrives, in packets that the last peer takes, and all books agree', async () => {
  const receiver = await c.incomingPayment(eurC, 9_000n)
  const destination = {
    ilpAddress: receiver.ilpAddress,
    sharedSecret: receiver.sharedSecret,
    assetCode: 'EUR',
    assetScale: 2,
  }
  const tenantId = a.config.operatorTenantId
  const path = await a.client.probe({ tenantId, sourceAsset: usdA, destination })
  // 4000 euro cents at 0.9: floor(4000 × 10^12 / (0.9 × 10^12)).
  assert.equal(path.maxPacketAmount, 4_444n)
  const id = await a.fundedPayment(usdA, 10_100n)
  const result = await a.client.send({
    outgoingPaymentId: id,
    tenantId,
    sourceAsset: usdA,
    destination,
    debitAmount: 10_100n,
    receiveAmount: 9_000n,
    sentAmount: 0n,
    deliveredAmount: 0n,
    minRate: rate(89n, 100n),
    ...path,
    budgetMs: 8_000,
  })
  assert.equal(result.status, 'done')
  const payment = await getIncomingPayment(c.node, 'all', receiver.payment.id)
  assert.equal(payment.state, 'COMPLETED')
  const delivered = payment.receivedAmount.value
  assert.ok(delivered >= 9_000n && delivered <= 9_002n, `${delivered}`)
  assert.equal(result.deliveredAmount, delivered)
  assert.ok(result.packets.fulfilled >= 3)

  // What A owes B is what B took from A; what B owes C is what C took from B. What B keeps is the rounding.
  const sent = result.sentAmount
  assert.equal(await a.balance(id), 10_100n - sent)
  assert.equal(await a.credited(peers.bAtA), sent)
  assert.equal(await b.balance(peers.aAtB), 1_000_000n - sent)
  assert.equal(await b.credited(peers.cAtB), delivered)
  assert.equal(await c.balance(peers.bAtC), 1_000_000n - delivered)
  assert.equal(await b.balance(usdB.id), sent)
  assert.equal(await b.balance(eurB.id), 1_000_000n - delivered)
})

test('a reject from the end comes back through all, saying who rejected', async () => {
  const reply = await postPrepare(b.url, 'a-b', testPrepare('test.c.nobody'))
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.triggeredBy], ['F02', 'test.c'])
  assert.equal(await b.balance(peers.cAtB), await b.credited(peers.cAtB))
})

test('a packet never goes back to where it came from', async () => {
  const reply = await postPrepare(b.url, 'a-b', testPrepare('test.a.x'))
  assert.ok(isReject(reply))
  assert.deepEqual([reply.code, reply.triggeredBy], ['F02', 'test.b'])
})

test('two nodes that route in a circle end by the expiry, and nothing has moved', async () => {
  // B thinks that C leads to test.circle, C that B does.
  await b.peer(eurB, {
    address: 'test.circle-c',
    endpoint: c.url,
    outgoingToken: 'b-c',
    routes: ['test.circle'],
  })
  const atC = await c.peer(await c.asset('USD', 2, 1_000_000n), {
    address: 'test.circle-b',
    endpoint: b.url,
    outgoingToken: 'a-b',
    routes: ['test.circle'],
  })
  const before = [await b.balance(peers.aAtB), await c.balance(peers.bAtC)]
  const forwarded = b.connector.counters.read().packets_forwarded
  const reply = await postPrepare(
    b.url,
    'a-b',
    testPrepare('test.circle.x', { amount: 1_000n, lifeMs: 8_500 }),
  )
  assert.ok(isReject(reply))
  assert.equal(reply.code, 'R02')
  // Every node takes a second of the 8.5: B forwards with 8.5, 6.5, 4.5 and 2.5 left.
  assert.equal(b.connector.counters.read().packets_forwarded - forwarded, 4)
  assert.deepEqual([await b.balance(peers.aAtB), await c.balance(peers.bAtC)], before)
  assert.equal(await c.balance(atC.id), 0n)
})
