import assert from 'node:assert/strict'
import { test } from 'node:test'
import { updatePeer } from '../shared/peers/index.ts'
import { createTestDatabase, waitFor } from '../shared/testing/index.ts'
import { isFulfill, isReject } from './packet/index.ts'
import { fulfilAfter, fulfilWithData, postPrepare, startTestHop, testPrepare } from './testing/test-hop.ts'
import { startTestNode } from './testing/test-node.ts'

test("the endpoint that a peer named itself is nobody's trusted URL, not even the operator's", async () => {
  const database = await createTestDatabase('resources')
  const node = await startTestNode({ connectionString: database.connectionString })
  const hop = await startTestHop(fulfilWithData)
  try {
    const usd = await node.asset('USD', 2)
    const from = await node.peer(usd, { address: 'test.from', liquidity: 1_000n })
    const to = await node.peer(usd, { address: 'test.to', endpoint: hop.url })
    const send = () => postPrepare(node.url, from.token, testPrepare('test.to.somebody'))
    assert.ok(isFulfill(await send()))
    const endpoint = { outgoing: { endpoint: hop.url, authToken: 'token' } }
    // Peering by URL: this loopback address is now the other node's word.
    await updatePeer(node.node, 'all', { id: to.id, ...endpoint, peeringUrl: 'https://peer.example' })
    await waitFor(async () => isReject(await send()))
    const sent = hop.requests.length
    for (let packet = 0; packet < 3; packet++) assert.ok(isReject(await send()))
    assert.equal(hop.requests.length, sent)
    // The operator says so itself: trusted again.
    await updatePeer(node.node, 'all', { id: to.id, ...endpoint })
    await waitFor(async () => isFulfill(await send()))
  } finally {
    await node.close()
    await hop.close()
    await database.drop()
  }
})

test('a peer at such an endpoint may take as long as its packets live', async () => {
  const database = await createTestDatabase('resources')
  const node = await startTestNode({
    connectionString: database.connectionString,
    env: { EGRESS_ALLOW: '127.0.0.0/8', EGRESS_ALLOW_HTTP: 'true' },
  })
  // Longer than strangers get for anything else.
  const hop = await startTestHop(fulfilAfter(11_000))
  try {
    const usd = await node.asset('USD', 2)
    const from = await node.peer(usd, { address: 'test.from', liquidity: 1_000n })
    const to = await node.peer(usd, { address: 'test.to', endpoint: hop.url })
    const endpoint = { outgoing: { endpoint: hop.url, authToken: 'token' } }
    await updatePeer(node.node, 'all', { id: to.id, ...endpoint, peeringUrl: 'https://peer.example' })
    await waitFor(() => node.connector.directory.findPeerByToken(from.token))
    assert.ok(isFulfill(await postPrepare(node.url, from.token, testPrepare('test.to.somebody'))))
  } finally {
    await node.close()
    await hop.close()
    await database.drop()
  }
})
