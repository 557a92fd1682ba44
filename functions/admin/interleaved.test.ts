import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { createAsset } from '../../shared/assets/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

const TENANTS = 20
const REQUESTS = 2_000
const AT_ONCE = 100

let admin: TestAdmin
before(async () => {
  admin = await startTestAdmin(await createTestDatabase('resources'))
})
after(() => admin.close())

interface Asker {
  party: Party
  assetId: string
}

/** In an order that has nothing to do with whose turn it is; the same in every run. */
const shuffled = (count: number): number[] => {
  const order = Array.from({ length: count }, (_, index) => index)
  let state = 1
  for (let index = count - 1; index > 0; index--) {
    state = (state * 48_271) % 2_147_483_647
    const other = state % (index + 1)
    const kept = order[index]!
    order[index] = order[other]!
    order[other] = kept
  }
  return order
}

it('2,000 interleaved requests of 20 tenants: each answer belongs to its asker', async () => {
  const askers = await Promise.all(
    Array.from({ length: TENANTS }, async (_, index): Promise<Asker> => {
      const party = await admin.newTenant(`bank-${index}`)
      const { id } = await createAsset(admin.node, { tenantId: party.tenantId, code: 'USD', scale: index })
      return { party, assetId: id }
    }),
  )
  const kinds: ((asker: Asker, n: number) => Promise<void>)[] = [
    async ({ party, assetId }) => {
      const { data, errors } = await admin.ask(
        party,
        '{ whoami { id isOperator } assets { edges { node { id scale tenant { id } } } } }',
      )
      assert.equal(errors, undefined)
      const scale = askers.findIndex((asker) => asker.party === party)
      assert.deepEqual(data, {
        whoami: { id: party.tenantId, isOperator: false },
        assets: { edges: [{ node: { id: assetId, scale, tenant: { id: party.tenantId } } }] },
      })
    },
    async ({ party, assetId }) => {
      // All tenants use the same keys: what one did is nobody else's answer.
      const { asset } = await admin.succeed(party, 'updateAsset', {
        input: { id: assetId, withdrawalThreshold: '7', idempotencyKey: 'everybody’s' },
      })
      assert.equal((asset as { id: string }).id, assetId)
    },
    async ({ party }, n) => {
      const foreign =
        askers[(askers.findIndex((asker) => asker.party === party) + 1 + (n % (TENANTS - 1))) % TENANTS]!
      const { data, errors } = await admin.call(party, 'asset', { id: foreign.assetId })
      assert.equal(errors?.[0]?.extensions.code, 'NOT_FOUND')
      assert.equal(data?.answer ?? null, null)
    },
  ]
  const order = shuffled(REQUESTS)
  let answered = 0
  const next = async () => {
    for (let n = order.pop(); n !== undefined; n = order.pop()) {
      await kinds[n % kinds.length]!(askers[n % TENANTS]!, n)
      answered++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  assert.equal(answered, REQUESTS)
})
