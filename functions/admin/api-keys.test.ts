import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { deleteTenant } from '../../shared/tenants/index.ts'
import { createTestDatabase, startTestHttpServer, type TestHttpServer } from '../../shared/testing/index.ts'
import { newSecret, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

interface Created {
  key: string
  apiKey: { id: string; name: string | null; revokedAt: string | null }
}

describe('API keys of tenants', () => {
  let admin: TestAdmin
  let auth: TestHttpServer
  let tenant: Party
  let other: Party
  before(async () => {
    auth = await startTestHttpServer(() => ({ status: 204 }))
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      AUTH_SERVICE_API_URL: auth.url,
      ADMIN_API_KEYS_ENABLED: 'true',
    })
    tenant = await admin.newTenant('one')
    other = await admin.newTenant('two')
  })
  after(async () => {
    await admin.close()
    await auth.close()
  })

  const newKey = async (party: Party, input: object = {}) =>
    (await admin.succeed(party, 'createTenantApiKey', { input })) as unknown as Created
  const whoami = '{ whoami { id isOperator } }'
  const bear = async (
    authorization: string,
    query = whoami,
    headers: Record<string, string> = {},
    on = admin,
  ) => {
    const response = await fetch(on.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization, ...headers },
      body: JSON.stringify({ query }),
    })
    const text = await response.text()
    return { status: response.status, text, json: response.status === 200 ? JSON.parse(text) : undefined }
  }
  const codes = (json: { errors?: { extensions: { code: string; reason?: string } }[] }) =>
    json.errors?.map(({ extensions }) => [extensions.code, extensions.reason])

  it('speaks for its tenant, with or without the tenant’s id, for queries and mutations', async () => {
    const { key, apiKey } = await newKey(tenant, { name: 'nightly export' })
    assert.equal(apiKey.name, 'nightly export')
    const mine = { id: tenant.tenantId, isOperator: false }
    assert.deepEqual((await bear(`Bearer ${key}`)).json.data.whoami, mine)
    assert.deepEqual((await bear(`bearer ${key}`)).json.data.whoami, mine)
    const named = { 'tenant-id': tenant.tenantId.toUpperCase() }
    assert.deepEqual((await bear(`Bearer ${key}`, whoami, named)).json.data.whoami, mine)
    const code = 'mutation { createAsset(input: { code: "USD", scale: 2 }) { asset { code tenant { id } } } }'
    const { asset } = (await bear(`Bearer ${key}`, code)).json.data.createAsset
    assert.deepEqual(asset, { code: 'USD', tenant: { id: tenant.tenantId } })
    const foreign = `{ tenant(id: "${other.tenantId}") { id } }`
    assert.deepEqual(codes((await bear(`Bearer ${key}`, foreign)).json), [['NOT_FOUND', 'unknown_tenant']])
  })

  it('the operator’s speaks for the operator; the operator makes and revokes tenants’ keys', async () => {
    const own = await newKey(admin.operator)
    assert.deepEqual((await bear(`Bearer ${own.key}`)).json.data.whoami, {
      id: admin.operator.tenantId,
      isOperator: true,
    })
    const theirs = await newKey(admin.operator, { tenantId: tenant.tenantId })
    assert.equal((await bear(`Bearer ${theirs.key}`)).json.data.whoami.id, tenant.tenantId)
    await admin.succeed(admin.operator, 'revokeTenantApiKey', { input: { id: theirs.apiKey.id } })
    assert.equal((await bear(`Bearer ${theirs.key}`)).status, 401)
  })

  it('everything else is 401, in the words of a wrong signature', async () => {
    const [{ key }, theirs] = [await newKey(tenant), await newKey(other)]
    const [, id, secret] = /^(upesi_[0-9a-f]{32}_)(.{43})$/.exec(key) ?? []
    const [, theirId] = /^(upesi_[0-9a-f]{32}_)/.exec(theirs.key) ?? []
    assert.ok(id && secret && theirId)
    const flipped = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      `Basic ${key}`,
      `GNAP ${key}`,
      key,
      `Bearer ${key}x`,
      `Bearer ${key.slice(0, -1)}`,
      `Bearer ${id}${flipped}`,
      `Bearer ${theirId}${secret}`,
      `Bearer upesi_${uuidv7().replaceAll('-', '')}_${secret}`,
      `Bearer upesi_${'0'.repeat(32)}_${secret}`,
      `Bearer ${tenant.apiSecret}`,
      `Bearer ${admin.operator.apiSecret}`,
      `Bearer ${key} ${theirs.key}`,
      `Bearer ${"'; select 1; --"}`,
    ]) {
      const { status, text } = await bear(authorization)
      assert.deepEqual([status, text], [401, 'Unauthorized'], authorization)
    }
    for (const headers of [
      { 'tenant-id': other.tenantId },
      { 'tenant-id': 'x' },
      { signature: 't=1, v1=00' },
    ])
      assert.equal((await bear(`Bearer ${key}`, whoami, headers as Record<string, string>)).status, 401)
  })

  it('is dead from the moment it is revoked, or its tenant deleted', async () => {
    const { key, apiKey } = await newKey(tenant)
    assert.equal((await bear(`Bearer ${key}`)).status, 200)
    const revoke = (party: Party) => admin.call(party, 'revokeTenantApiKey', { input: { id: apiKey.id } })
    assert.equal((await revoke(other)).errors?.[0]?.extensions.code, 'NOT_FOUND')
    assert.equal((await bear(`Bearer ${key}`)).status, 200)
    const first = (await revoke(tenant)).data?.answer as Created
    assert.ok(first.apiKey.revokedAt)
    assert.equal((await bear(`Bearer ${key}`)).status, 401)
    assert.deepEqual(
      ((await revoke(tenant)).data?.answer as Created).apiKey,
      first.apiKey,
      'a repeat changes nothing',
    )

    const gone = await admin.newTenant('gone')
    const { key: last } = await newKey(gone)
    assert.equal((await bear(`Bearer ${last}`)).status, 200)
    await deleteTenant(admin.node, gone.tenantId)
    assert.equal((await bear(`Bearer ${last}`)).status, 401)
    const late = await admin.call(admin.operator, 'createTenantApiKey', {
      input: { tenantId: gone.tenantId },
    })
    assert.equal(late.errors?.[0]?.extensions.code, 'NOT_FOUND')
  })

  it('opens no secret that would outlive it', async () => {
    for (const party of [tenant, admin.operator]) {
      const { key } = await newKey(party)
      for (const query of [
        `{ tenant(id: "${tenant.tenantId}") { apiSecret } }`,
        `{ tenant(id: "${tenant.tenantId}") { idpSecret } }`,
        'mutation { createTenantApiKey(input: {}) { key } }',
      ])
        assert.deepEqual(codes((await bear(`Bearer ${key}`, query)).json), [
          ['FORBIDDEN', 'signature_needed'],
        ])
    }
    const { key } = await newKey(tenant)
    const update = (fields: string) =>
      bear(
        `Bearer ${key}`,
        `mutation { updateTenant(input: { id: "${tenant.tenantId}", ${fields} }) { tenant { id } } }`,
      )
    for (const fields of ['apiSecret: "mine"', 'idpSecret: "mine"', 'idpSecret: null'])
      assert.deepEqual(codes((await update(fields)).json), [['FORBIDDEN', 'signature_needed']])
    assert.equal((await update('publicName: "One"')).json.errors, undefined)
    assert.equal((await admin.ask(tenant, whoami)).status, 200)
  })

  it('is told once and kept as a hash; its list shows names and ends only', async () => {
    const bank = await admin.newTenant('bank')
    const { key, apiKey } = await newKey(bank, { name: 'console' })
    const stored = await admin.node.db.many(
      (row) => JSON.stringify({ ...row, secret_hash: (row.secret_hash as Buffer).toString('base64url') }),
      sql`select * from tenant_api_keys where id = ${apiKey.id}`,
    )
    assert.equal(stored.length, 1)
    assert.ok(!stored.join().includes(key.slice(-43)))
    const seen = await admin.succeed(bank, 'tenant', { id: bank.tenantId })
    assert.deepEqual(
      (seen.apiKeys as Created['apiKey'][]).map(({ id, name, revokedAt }) => [id, name, revokedAt]),
      [[apiKey.id, 'console', null]],
    )
    assert.ok(!JSON.stringify(seen).includes(key.slice(-43)))
  })

  it('counts for nothing unless the node is set to take such', async () => {
    const without = await startTestAdmin(await createTestDatabase('resources'))
    try {
      const party = await without.newTenant('one')
      const created = (await without.succeed(party, 'createTenantApiKey', {
        input: {},
      })) as unknown as Created
      assert.equal((await bear(`Bearer ${created.key}`, whoami, {}, without)).status, 401)
      assert.equal((await bear(`Bearer ${newSecret()}`, whoami, {}, without)).status, 401)
    } finally {
      await without.close()
    }
  })
})
