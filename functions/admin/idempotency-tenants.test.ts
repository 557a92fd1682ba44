import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { startTestAdmin, type TestAdmin } from './harness.ts'

interface Answer {
  status: number
  data?: { createAsset: { asset: { id: string; code: string; tenant: { id: string } } } }
  errors?: { message: string; extensions: { code: string } }[]
}

const CREATE = `mutation Create($code: String!, $key: String) {
  createAsset(input: { code: $code, scale: 2, idempotencyKey: $key }) { asset { id code tenant { id } } }
}`

describe('A21: idempotency keys of tenants', () => {
  let admin: TestAdmin
  let one: TestAdmin['operator']
  let other: TestAdmin['operator']
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'))
    one = await admin.newTenant('one')
    other = await admin.newTenant('other')
  })
  after(() => admin.close())
  const create = async (party: TestAdmin['operator'], code: string, key: string): Promise<Answer> =>
    (await admin.ask(party, CREATE, { code, key })) as Answer
  const assetOf = ({ data, errors }: Answer) => {
    assert.ok(data, JSON.stringify(errors))
    return data.createAsset.asset
  }

  it('do not collide: the same key and arguments are each tenant’s own request, the operator’s too', async () => {
    const parties = [one, other, admin.operator]
    const assets: ReturnType<typeof assetOf>[] = []
    for (const party of parties) assets.push(assetOf(await create(party, 'USD', 'shared key')))
    assert.deepEqual(
      assets.map(({ tenant }) => tenant.id),
      parties.map(({ tenantId }) => tenantId),
    )
    assert.equal(new Set(assets.map(({ id }) => id)).size, 3)
    for (const [index, party] of parties.entries())
      assert.deepEqual(
        assetOf(await create(party, 'USD', 'shared key')),
        assets[index],
        'each repeats its own',
      )
  })
  it('tell nothing of each other: what conflicts for one is new for another', async () => {
    assetOf(await create(one, 'EUR', 'guessable'))
    const conflict = await create(one, 'GBP', 'guessable')
    assert.equal(conflict.errors?.[0]?.extensions.code, 'CONFLICT')
    assert.equal(assetOf(await create(other, 'GBP', 'guessable')).tenant.id, other.tenantId)
  })
  it('do not wait for each other, while both are under way', async () => {
    const requests = Array.from({ length: 10 }, (_, n) => [
      create(one, 'JPY', `at once ${n}`),
      create(other, 'JPY', `at once ${n}`),
    ]).flat()
    const answers = await Promise.all(requests)
    // An asset exists once per tenant, so of each tenant's ten requests one makes it; none gets the other tenant's.
    for (const [index, party] of [one, other].entries()) {
      const own = answers.filter((_, n) => n % 2 === index)
      const made = own.filter(({ data }) => data)
      assert.equal(made.length, 1)
      for (const answer of made) assert.equal(assetOf(answer).tenant.id, party.tenantId)
      for (const { errors } of own.filter(({ data }) => !data))
        assert.equal(errors?.[0]?.extensions.code, 'DUPLICATE')
    }
  })
})
