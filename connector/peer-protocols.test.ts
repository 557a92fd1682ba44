import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { fetch as fetchIldcp } from 'ilp-protocol-ildcp'
import { createTestDatabase, type TestDatabase } from '../shared/testing/index.ts'
import { type IlpReply, isFulfill, isReject } from './packet/index.ts'
import type { LedgerAsset } from './routing/index.ts'
import {
  fulfilWithData,
  postBytes,
  postPrepare,
  startTestHop,
  type TestHop,
  testPrepare,
} from './testing/test-hop.ts'
import { startTestNode, type TestNode } from './testing/test-node.ts'

let database: TestDatabase
let node: TestNode
let hop: TestHop
let usd: LedgerAsset
let token: string
let fromId: string

before(async () => {
  database = await createTestDatabase('resources')
  hop = await startTestHop(fulfilWithData)
  node = await startTestNode({ connectionString: database.connectionString })
  usd = await node.asset('USD', 2)
  ;({ token, id: fromId } = await node.peer(usd, { address: 'test.bank-a', liquidity: 1_000n }))
  // Somebody who says that everything is behind him, this node and its peers' own protocols included.
  await node.peer(usd, {
    address: 'test.greedy',
    endpoint: hop.url,
    routes: ['test', 'test.node', 'peer', 'peer.config'],
  })
})
after(async () => {
  await node.close()
  await hop.close()
  await database.drop()
})

const octets = { 'content-type': 'application/octet-stream' }
/** As the plugin of the field sends: bytes in, bytes out. */
const sendDataWith =
  (bearer: string) =>
  async (data: Buffer): Promise<Buffer> =>
    (await postBytes(node.url, data, { ...octets, authorization: `Bearer ${bearer}` })).body
const code = (reply: IlpReply) => {
  assert.ok(isReject(reply))
  assert.equal(reply.triggeredBy, 'test.node')
  return reply.code
}

/** SHA-256 of 32 zero bytes. */
const condition = hash('sha256', Buffer.alloc(32), 'buffer')
const question = { amount: 0n, executionCondition: condition, data: Buffer.alloc(0) }

test('the client of the field learns its own address and asset, each peer its own', async () => {
  assert.deepEqual(await fetchIldcp(sendDataWith(token)), {
    clientAddress: 'test.bank-a',
    assetCode: 'USD',
    assetScale: 2,
  })
  const jpy = await node.asset('JPY', 0)
  const child = await node.peer(jpy, { address: 'test.node.child' })
  assert.deepEqual(await fetchIldcp(sendDataWith(child.token)), {
    clientAddress: 'test.node.child',
    assetCode: 'JPY',
    assetScale: 0,
  })
  assert.equal(hop.requests.length, 0)
})

test('a question that is late, has another condition or brings money is F00, and moves nothing', async () => {
  for (const wrong of [
    { expiresAt: new Date(Date.now() - 1) },
    { executionCondition: Buffer.alloc(32, 1) },
    { amount: 1n },
  ]) {
    const prepare = testPrepare('peer.config', { ...question, ...wrong })
    assert.equal(code(await postPrepare(node.url, token, prepare)), 'F00')
  }
  assert.equal(await node.balance(fromId), 1_000n)
})

test('what is for this node alone is never forwarded, whatever routes say', async () => {
  for (const destination of ['peer.route.control', 'peer.heartbeat', 'peer.config.x', 'peer.x'])
    assert.equal(code(await postPrepare(node.url, token, testPrepare(destination, question))), 'F02')
  // The node's own payments have no peer to ask.
  const account = {
    kind: 'payment' as const,
    id: fromId,
    tenantId: node.config.operatorTenantId,
    asset: usd,
  }
  const reply = await node.connector.pipeline.send(account, testPrepare('peer.config', question))
  assert.equal(code(reply), 'F02')
  assert.equal(hop.requests.length, 0)
})

test('an own address that means nobody is unknown here, and does not leave on a shorter route', async () => {
  for (const destination of ['test.node', 'test.node.nobody', 'test.node.nobody.x'])
    assert.equal(code(await postPrepare(node.url, token, testPrepare(destination))), 'F02')
  assert.equal(hop.requests.length, 0)
  assert.ok(isFulfill(await postPrepare(node.url, token, testPrepare('test.elsewhere'))))
  // To a node below this one it does.
  await node.peer(usd, { address: 'test.node.below', endpoint: hop.url })
  assert.ok(isFulfill(await postPrepare(node.url, token, testPrepare('test.node.below.x'))))
  assert.equal(await node.balance(fromId), 980n)
})
