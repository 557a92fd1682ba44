import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { postPrepare, testPrepare } from '../connector/testing/test-hop.ts'
import { startTestNode, type TestNode, testEnvironment } from '../connector/testing/test-node.ts'
import { startAutoPeering } from '../functions/auto-peering/wiring.ts'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { identityRate, rate } from '../shared/money/index.ts'
import { approvePeer, createOrUpdatePeerByUrl, listPeers, type Peer } from '../shared/peers/index.ts'
import type { RunningDeployable } from '../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../shared/testing/index.ts'

const loopback = { EGRESS_ALLOW: '127.0.0.1', EGRESS_ALLOW_HTTP: 'true' }

interface Side {
  database: TestDatabase
  node: TestNode
  /** https: on loopback it is fetched over http. */
  connectorUrl: string
  acceptor: RunningDeployable
  peeringUrl: string
}

/** A connector, and the listener on which it may be asked to peer. */
async function startSide(name: string): Promise<Side> {
  const database = await createTestDatabase('resources')
  const port = await choosePort()
  const connectorUrl = `https://127.0.0.1:${port}/`
  const options = {
    connectionString: database.connectionString,
    ilpAddress: `test.${name}`,
    env: { ...loopback, CONNECTOR_PORT: String(port) },
  }
  const node = await startTestNode(options)
  const acceptor = await startAutoPeering({
    ...testEnvironment(options),
    ENABLE_AUTO_PEERING: 'true',
    AUTO_PEERING_SERVER_PORT: '0',
    AUTO_PEERING_CREDIT: '700',
    AUTO_PEERING_CREDIT_TOTAL: '5000',
    ILP_CONNECTOR_URL: connectorUrl,
    INSTANCE_NAME: `Bank ${name}`,
  })
  const peeringUrl = `https://127.0.0.1:${acceptor.ports.autoPeering}/`
  return { database, node, connectorUrl, acceptor, peeringUrl }
}

async function stopSide({ acceptor, node, database }: Side): Promise<void> {
  await acceptor.close()
  await node.close()
  await database.drop()
}

const tenantOf = ({ node }: Side) => node.config.operatorTenantId
const policy = { creditPerPeer: 700n, creditTotal: 5_000n, needsApproval: true, unapprovedPeersMax: 10 }

const peerWith = (side: Side, other: Side, assetId: string): Promise<Peer> =>
  createOrUpdatePeerByUrl(
    side.node.node,
    {
      staticIlpAddress: side.node.config.ilpAddress,
      ilpConnectorUrl: side.connectorUrl,
      name: 'somebody',
    },
    { tenantId: tenantOf(side), assetId, peerUrl: other.peeringUrl },
  )

const onlyPeer = async (side: Side): Promise<Peer> => {
  const { items } = await listPeers(side.node.node, { tenantId: tenantOf(side) }, { first: 10 })
  assert.equal(items.length, 1)
  return items[0]!
}

/** Whether the peer's connector knows the token that this side presents. */
const isHeard = (peer: Peer) => async (): Promise<boolean> => {
  const url = peer.outgoing.endpoint.replace('https:', 'http:')
  const probe = testPrepare('test.nobody.x', { amount: 0n })
  return await postPrepare(url, peer.outgoing.authToken, probe).then(
    () => true,
    () => false,
  )
}

describe('two nodes that become peers by themselves', () => {
  it('peer by URL, and pay as soon as the operator has approved; asking again, from either side, keeps that', async () => {
    const [a, b] = await Promise.all([startSide('a'), startSide('b')])
    try {
      const usdA = await a.node.asset('USD', 2)
      const usdB = await b.node.asset('USD', 2)
      const atA = await peerWith(a, b, usdA.id)
      const atB = await onlyPeer(b)
      assert.deepEqual([atA.staticIlpAddress, atB.staticIlpAddress], ['test.b', 'test.a'])
      await waitFor(isHeard(atA))
      await waitFor(isHeard(atB))

      const pay = async (amount: bigint) => {
        const receiver = await b.node.incomingPayment(usdB)
        const id = await a.node.fundedPayment(usdA, amount)
        const result = await a.node.client.send({
          outgoingPaymentId: id,
          tenantId: tenantOf(a),
          sourceAsset: usdA,
          destination: { ...receiver, assetCode: 'USD', assetScale: 2 },
          debitAmount: amount,
          receiveAmount: amount,
          sentAmount: 0n,
          deliveredAmount: 0n,
          minRate: rate(99n, 100n),
          lowRate: identityRate,
          highRate: rate(1_001n, 1_000n),
          maxPacketAmount: 1_000n,
          budgetMs: 1_500,
        })
        return [result.status, await b.node.credited(receiver.payment.id).catch(() => 0n)]
      }
      // Without credit nothing moves.
      const [before] = await pay(100n)
      assert.notEqual(before, 'done')
      await approvePeer(b.node.node, { tenantId: tenantOf(b) }, policy, atB.id)
      assert.deepEqual(await pay(400n), ['done', 400n])

      // A presents the token that B knows it by, so B believes it at once.
      const renewed = await peerWith(a, b, usdA.id)
      assert.equal(renewed.id, atA.id)
      await waitFor(isHeard(renewed))
      await waitFor(isHeard(await onlyPeer(b)))
      assert.deepEqual(await pay(100n), ['done', 100n])

      // B never asked A before, so A waits until B's connector knows what A has answered.
      const fromB = await peerWith(b, a, usdB.id)
      assert.equal(fromB.id, atB.id)
      await waitFor(isHeard(fromB))
      await waitFor(async () => await isHeard(await onlyPeer(a))())
      assert.deepEqual(await pay(100n), ['done', 100n])
    } finally {
      await stopSide(a)
      await stopSide(b)
    }
  })
})
