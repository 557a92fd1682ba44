import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDatabase, openTestTigerBeetle, withoutTigerBeetle } from '../shared/testing/index.ts'
import { isFulfill, isReject } from './packet/index.ts'
import { fulfilWithData, postBytes, postPrepare, startTestHop, testPrepare } from './testing/test-hop.ts'
import { startTestNode, testEnvironment } from './testing/test-node.ts'
import { startConnector } from './wiring.ts'

test(
  'with USE_TIGERBEETLE the connector starts, is ready, and forwards and refuses packets',
  {
    skip: withoutTigerBeetle,
  },
  async () => {
    const cluster = await openTestTigerBeetle()
    const database = await createTestDatabase('resources')
    const env = {
      USE_TIGERBEETLE: 'true',
      TIGERBEETLE_CLUSTER_ID: String(cluster.clusterId),
      TIGERBEETLE_REPLICA_ADDRESSES: cluster.replicas.map(({ host, port }) => `${host}:${port}`).join(','),
    }
    const options = { connectionString: database.connectionString, env }
    const node = await startTestNode(options)
    const hop = await startTestHop(fulfilWithData)
    let running: Awaited<ReturnType<typeof startConnector>> | undefined
    try {
      const usd = await node.asset('USD', 2)
      const from = await node.peer(usd, { address: 'test.from', liquidity: 100n })
      const to = await node.peer(usd, { address: 'test.to', endpoint: hop.url })
      const eur = await node.asset('EUR', 2, 500n)
      running = await startConnector(testEnvironment(options))
      for (const port of Object.values(running.ports))
        assert.equal(
          (await postBytes(`http://127.0.0.1:${port}/readyz`, Buffer.alloc(0), {}, 'GET')).status,
          200,
        )
      const url = `http://127.0.0.1:${running.ports.connector}`
      assert.ok(isFulfill(await postPrepare(url, from.token, testPrepare('test.to.x', { amount: 70n }))))
      const refused = await postPrepare(url, from.token, testPrepare('test.to.y', { amount: 31n }))
      assert.ok(isReject(refused) && refused.code === 'T04')
      assert.deepEqual(
        [await node.balance(from.id), await node.balance(to.id), await node.balance(eur.id)],
        [30n, 70n, 500n],
      )
      const transfers = await node.node.ledger.queryTransfers({ userData128: from.id, limit: 10 })
      assert.deepEqual(
        transfers.map(({ kind, state, amount }) => ({ kind, state, amount })),
        [
          { kind: 'posted', state: undefined, amount: 100n },
          { kind: 'pending', state: 'posted', amount: 70n },
          { kind: 'post', state: undefined, amount: 70n },
        ],
      )
      await running.close()
    } finally {
      await hop.close()
      await node.close()
      await database.drop()
      await cluster.stop()
    }
  },
)
