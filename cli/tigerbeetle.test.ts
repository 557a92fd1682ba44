import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type OwnTigerBeetle,
  startTestTigerBeetle,
  withoutTigerBeetleBinary,
} from '../shared/testing/index.ts'
import { awaitWithdrawals, pay } from './payment.ts'
import { startTestBanks } from './testing/test-banks.ts'

const environmentOf = (cluster: OwnTigerBeetle) => ({
  USE_TIGERBEETLE: 'true',
  TIGERBEETLE_CLUSTER_ID: String(cluster.clusterId),
  TIGERBEETLE_REPLICA_ADDRESSES: cluster.replicas.map(({ host, port }) => `${host}:${port}`).join(','),
})

const PAYMENTS = 20
const TIMEOUT_MS = 60_000

test(
  'two banks with their books in TigerBeetle: the connectors hold the sessions, everything else goes through them',
  { skip: withoutTigerBeetleBinary },
  async () => {
    const clusters = await Promise.all([startTestTigerBeetle(), startTestTigerBeetle()])
    const [a, b] = clusters
    const banks = await startTestBanks({ environments: { a: environmentOf(a), b: environmentOf(b) } })
    try {
      const payOnce = async (bank: 'a' | 'b', customer: string) => {
        const plan = {
          payer: banks.side('a', 'alice'),
          payee: banks.side(bank, customer),
          receiveValue: 500n,
          timeoutMs: TIMEOUT_MS,
        }
        return { plan, outcome: await pay(plan) }
      }
      const first = await payOnce('b', 'bob')
      assert.equal(first.outcome.outgoing.state, 'COMPLETED')
      assert.equal(first.outcome.outgoing.sentAmount.value, '550')
      assert.equal(first.outcome.received?.value, '500')
      const withdrawn = await awaitWithdrawals(first.plan, first.outcome)
      assert.deepEqual([withdrawn.payer.value, withdrawn.payee.value], ['6', '500'])

      // A server that is ended at once in the middle of payments, and comes back: every payment ends once, and as it should.
      const running = Array.from({ length: PAYMENTS }, (_, index) =>
        index % 2 === 0 ? payOnce('b', 'bob') : payOnce('a', 'amara'),
      )
      await a.kill()
      a.start()
      const outcomes = await Promise.all(running)
      for (const { outcome } of outcomes) {
        assert.equal(outcome.outgoing.state, 'COMPLETED')
        assert.equal(outcome.received?.value, '500')
      }
      for (const { plan, outcome } of outcomes) await awaitWithdrawals(plan, outcome)
      await banks.audit()
    } finally {
      await banks.close()
      await Promise.all(clusters.map((cluster) => cluster.stop()))
    }
  },
)
