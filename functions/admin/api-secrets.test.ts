import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { signHmac, sql } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { newSecret, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

const WHO = '{ whoami { id isOperator } }'

describe("a change of a tenant's own secret", () => {
  let admin: TestAdmin
  let auth: TestHttpServer
  before(async () => {
    auth = await startTestHttpServer(() => ({ status: 204 }))
    admin = await startTestAdmin(await createTestDatabase('resources'), { AUTH_SERVICE_API_URL: auth.url })
  })
  after(async () => {
    await admin.close()
    await auth.close()
  })

  let tenants = 0
  const newTenant = () => admin.newTenant(`tenant-${++tenants}`)
  const statusOf = async (party: Party) => (await admin.ask(party, WHO)).status
  /** As {@link statusOf} after what other processes have to hear. */
  const becomes = (party: Party, status: number) => waitFor(async () => (await statusOf(party)) === status)
  const change = (party: Party, input: Record<string, unknown>) =>
    admin.call(party, 'updateTenant', { input: { id: party.tenantId, ...input } })
  /** The tenant with its next secret. */
  async function renew(party: Party, more: Record<string, unknown> = {}): Promise<Party> {
    const apiSecret = newSecret()
    const { errors } = await change(party, { apiSecret, ...more })
    assert.equal(errors, undefined, JSON.stringify(errors))
    return { ...party, apiSecret }
  }

  it('ends the one before at once, unless asked otherwise: it may have leaked', async () => {
    const old = await newTenant()
    const renewed = await renew(old)
    assert.equal(await statusOf(old), 401)
    assert.equal(await statusOf(renewed), 200)
  })

  it('leaves the one before good for as long as asked, and no older one', async () => {
    const first = await newTenant()
    const second = await renew(first, { apiSecretOverlapSeconds: 60 })
    for (const party of [first, second]) assert.equal(await statusOf(party), 200)
    const third = await renew(first, { apiSecretOverlapSeconds: 60 })
    assert.equal(await statusOf(first), 401)
    for (const party of [second, third]) assert.equal(await statusOf(party), 200)
  })

  it('is over by itself', async () => {
    const old = await newTenant()
    const renewed = await renew(old, { apiSecretOverlapSeconds: 1 })
    assert.equal(await statusOf(old), 200)
    await becomes(old, 401)
    assert.equal(await statusOf(renewed), 200)
  })

  it('is over when the same secret is set again without an overlap; with one nothing changes', async () => {
    const old = await newTenant()
    const renewed = await renew(old, { apiSecretOverlapSeconds: 60 })
    assert.equal(
      (await change(renewed, { apiSecret: renewed.apiSecret, apiSecretOverlapSeconds: 30 })).errors,
      undefined,
    )
    assert.equal(await statusOf(old), 200)
    assert.equal((await change(renewed, { publicName: 'other' })).errors, undefined)
    assert.equal(await statusOf(old), 200)
    assert.equal((await change(renewed, { apiSecret: renewed.apiSecret })).errors, undefined)
    assert.equal(await statusOf(old), 401)
  })

  it('lets a mutation in once, whichever of the two it is signed with, and reads as the new one', async () => {
    const old = await newTenant()
    const renewed = await renew(old, { apiSecretOverlapSeconds: 60 })
    for (const party of [old, renewed]) {
      const body = {
        query: 'mutation { createTenantSettings(input: { settings: [] }) { settings { key } } }',
      }
      const signature = signHmac({ secret: party.apiSecret, version: 1, timestampMs: Date.now(), body })
      const send = async () => {
        const headers = { 'content-type': 'application/json', 'tenant-id': party.tenantId, signature }
        return (await fetch(admin.url, { method: 'POST', headers, body: JSON.stringify(body) })).status
      }
      assert.deepEqual((await Promise.all([send(), send(), send()])).sort(), [200, 401, 401])
    }
    const { apiSecret } = await admin.succeed(old, 'tenant', { id: old.tenantId })
    assert.equal(apiSecret, renewed.apiSecret)
  })

  it('opens no other tenant, and nothing after its tenant was deleted', async () => {
    const [old, other] = [await newTenant(), await newTenant()]
    const renewed = await renew(old, { apiSecretOverlapSeconds: 60 })
    assert.equal(await statusOf({ ...other, apiSecret: old.apiSecret }), 401)
    assert.equal(await statusOf({ ...admin.operator, apiSecret: old.apiSecret }), 401)
    await admin.succeed(admin.operator, 'deleteTenant', { id: old.tenantId })
    for (const party of [old, renewed]) await becomes(party, 401)
  })

  it('is bounded, goes with a secret, and is not the operator’s to make', async () => {
    const party = await newTenant()
    for (const input of [
      { apiSecret: newSecret(), apiSecretOverlapSeconds: -1 },
      { apiSecret: newSecret(), apiSecretOverlapSeconds: 604_801 },
      { apiSecretOverlapSeconds: 60 },
    ])
      assert.equal(
        (await change(party, input)).errors?.[0]?.extensions.code,
        'BAD_USER_INPUT',
        JSON.stringify(input),
      )
    const input = { id: party.tenantId, apiSecret: newSecret(), apiSecretOverlapSeconds: 60 }
    assert.equal(
      (await admin.call(admin.operator, 'updateTenant', { input })).errors?.[0]?.extensions.code,
      'BAD_USER_INPUT',
    )
    assert.equal(await statusOf(party), 200)
  })

  it('is sealed at rest, and told to the authorization server', async () => {
    const old = await newTenant()
    await renew(old, { apiSecretOverlapSeconds: 60 })
    const row = await admin.node.db.one(
      (found) => found,
      sql`select t::text as row from tenants t where id = ${old.tenantId}`,
    )
    assert.match(row.row, /v2\..*v2\./)
    assert.ok(!row.row.includes(old.apiSecret))
    const told = auth.requests.map(
      ({ body }) => JSON.parse(body) as { id?: string; previousApiSecret?: { secret: string } },
    )
    assert.ok(
      told.some(
        ({ id, previousApiSecret }) => id === old.tenantId && previousApiSecret?.secret === old.apiSecret,
      ),
    )
  })
})
