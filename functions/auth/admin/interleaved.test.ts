import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createTestDatabase } from '../../../shared/testing/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

const listing = 'query List($tenantId: ID) { grants(tenantId: $tenantId) { edges { node { id tenantId } } } }'

describe('the auth Admin API under load', () => {
  let admin: TestAdmin
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('auth'), { delayMsMax: 5 })
  })
  after(() => admin.close())

  it('2,000 interleaved requests of 20 tenants: each answer belongs to its tenant', async () => {
    const tenants: { party: Party; id: string }[] = []
    for (let index = 0; index < 20; index++) {
      const party = await admin.newTenant()
      tenants.push({ party, id: await admin.newGrant(party) })
    }
    const requests = Array.from({ length: 2_000 }, (_, index) => index)
    let right = 0
    const worker = async () => {
      for (let index = requests.pop(); index !== undefined; index = requests.pop()) {
        const asker = tenants[(index * 7) % 20]
        const target = tenants[(index * 3 + 1) % 20]
        assert.ok(asker && target)
        await delay(Math.random() * 3)
        const { data } = await admin.ask(asker.party, listing, { tenantId: target.party.tenantId })
        assert.deepEqual(data.grants.edges, [{ node: { id: asker.id, tenantId: asker.party.tenantId } }])
        right++
      }
    }
    await Promise.all(Array.from({ length: 40 }, worker))
    assert.equal(right, 2_000)
  })
})
