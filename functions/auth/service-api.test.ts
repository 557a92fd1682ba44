import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { authServiceSecret } from '../../shared/auth-service-client/index.ts'
import { createDb, type DbPool, signHmac, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { ADMIN_SECRET, SERVICE_SECRET, startTestAuth, type TestAuth } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
let db: DbPool
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await auth.close()
  await db.close()
  await database.drop()
})

const rowOf = (id: string) =>
  db.maybe(
    (row) => row,
    sql`select api_secret_sealed, idp_consent_url, idp_secret_sealed, deleted_at from tenants where id = ${id}`,
  )
const statusOf = async (...call: Parameters<TestAuth['service']>) => (await auth.service(...call)).status

test('a tenant is made, made again, changed and deleted', async () => {
  const id = randomUUID()
  const tenant = { id, apiSecret: 'api', idpConsentUrl: 'https://idp.example/', idpSecret: 'idp' }
  assert.equal(await statusOf('POST', '/tenant', tenant), 204)
  const first = await rowOf(id)
  assert.equal(first?.idp_consent_url, 'https://idp.example/')
  assert.ok(!JSON.stringify(first).includes('"api"') && first?.api_secret_sealed.startsWith('v2.'))
  assert.equal(await statusOf('POST', '/tenant', { id, apiSecret: 'api2' }), 204, 'a repeat is fine')
  assert.equal((await rowOf(id))?.idp_consent_url, null)

  assert.equal(await statusOf('PATCH', `/tenant/${id}`, { idpConsentUrl: 'https://other.example/' }), 204)
  const changed = await rowOf(id)
  assert.equal(changed?.idp_consent_url, 'https://other.example/')
  assert.equal(await statusOf('PATCH', `/tenant/${id}`, { idpConsentUrl: null, apiSecret: 'new' }), 204)
  const cleared = await rowOf(id)
  assert.equal(cleared?.idp_consent_url, null)
  assert.notEqual(cleared?.api_secret_sealed, changed?.api_secret_sealed)

  const deletedAt = '2030-01-02T03:04:05.000Z'
  assert.equal(await statusOf('DELETE', `/tenant/${id}`, { deletedAt }), 204)
  assert.equal((await rowOf(id))?.deleted_at.toISOString(), deletedAt)
  assert.equal(await statusOf('DELETE', `/tenant/${id}`, { deletedAt }), 404)
  assert.equal(await statusOf('PATCH', `/tenant/${id}`, { apiSecret: 'x' }), 404)
  assert.equal(await statusOf('POST', '/tenant', tenant), 404, 'deleted for good')
})

test('a creation that was given up is taken back, and the id may be used again', async () => {
  const id = randomUUID()
  const at = new Date().toISOString()
  const forget = () => statusOf('DELETE', `/tenant/${id}`, { deletedAt: at, forget: true })
  assert.equal(await forget(), 404)
  assert.equal(await statusOf('POST', '/tenant', { id, apiSecret: 's' }), 204)
  assert.equal(await forget(), 204)
  assert.equal(await rowOf(id), undefined)
  assert.equal(await statusOf('POST', '/tenant', { id, apiSecret: 's' }), 204)

  const client = auth.createClient()
  const asked = await auth.send({
    url: `${auth.url}/${id}`,
    client,
    body: {
      access_token: { access: [{ type: 'incoming-payment', actions: ['create'] }] },
      client: client.walletAddress,
    },
  })
  assert.equal(asked.status, 200, asked.text)
  assert.equal(await forget(), 204)
  assert.equal(
    (await rowOf(id))?.deleted_at.toISOString(),
    at,
    'who has given grants is deleted, not forgotten',
  )
  assert.equal(await forget(), 404)
  assert.equal((await rowOf(id))?.deleted_at.toISOString(), at)
})

test('what cannot be read is refused', async () => {
  const id = randomUUID()
  for (const body of [
    undefined,
    {},
    { id },
    { id: 'x', apiSecret: 's' },
    { id, apiSecret: '' },
    { id, apiSecret: 5 },
    { id, apiSecret: 's', idpConsentUrl: 'x' },
    { id, apiSecret: 's', idpConsentUrl: 'https://[bad' },
    { id, apiSecret: 's', idpConsentUrl: 'javascript:alert(1)' },
  ])
    assert.equal(await statusOf('POST', '/tenant', body), 400, JSON.stringify(body))
  assert.equal(await statusOf('PATCH', `/tenant/${id}`, { apiSecret: 's' }), 404)
  assert.equal(await statusOf('PATCH', '/tenant/x', { apiSecret: 's' }), 404)
  assert.equal(await statusOf('PATCH', `/tenant/${id}`, [1]), 400)
  assert.equal(await statusOf('DELETE', `/tenant/${id}`, { deletedAt: 'yesterday' }), 400)
  assert.equal(await statusOf('DELETE', `/tenant/${id}`, { deletedAt: new Date().toISOString() }), 404)
})

test('only the node may call, in every spelling of the path', async () => {
  const id = randomUUID()
  const body = { id, apiSecret: 's' }
  assert.equal(await statusOf('POST', '/tenant', body, 'another secret'), 401)
  assert.equal(await statusOf('POST', '/tenant', body, ADMIN_SECRET), 401)
  const send = (path: string, signature?: string, method = 'POST', sent: unknown = body) =>
    auth
      .send({
        method,
        url: `http://localhost:${auth.running.ports.service}${path}`,
        body: sent,
        headers: { signature },
      })
      .then(({ status }) => status)
  for (const path of ['/tenant', '/TENANT', '/%74enant', '/tenant/'])
    assert.equal(await send(path), 401, path)
  const now = Date.now()
  const signed = (path: string, timestampMs = now, method = 'POST', over: unknown = body) =>
    signHmac({ secret: SERVICE_SECRET, version: 1, timestampMs, body: { method, path, body: over } })
  assert.equal(await send('/tenant', signed('/tenant', now - 31_000)), 401)
  assert.equal(await send('/tenant', signed('/tenant', now + 31_000)), 401)
  assert.equal(await send('/tenant', signed('/tenant', now, 'POST', { ...body, apiSecret: 't' })), 401)
  assert.equal(await send(`/tenant/${id}`, signed('/tenant/other', now, 'PATCH'), 'PATCH'), 401)
  const once = signed('/tenant')
  assert.deepEqual([await send('/tenant', once), await send('/tenant', once)], [204, 401])
  assert.equal(await send('/tenant', `${signed('/tenant', now + 1)}, x`), 401)
})

test("the operator's row follows its secret at every start, its identity provider stays", async () => {
  const before = await rowOf(auth.tenantId)
  assert.equal(before?.idp_consent_url, 'https://idp.example/consent')
  const again = await startTestAuth(database.connectionString, {
    OPERATOR_TENANT_ID: auth.tenantId,
    IDENTITY_SERVER_URL: 'https://moved.example/',
  })
  await again.close()
  const after = await rowOf(auth.tenantId)
  assert.equal(after?.idp_consent_url, 'https://idp.example/consent')
  assert.notEqual(after?.api_secret_sealed, before?.api_secret_sealed)
})

test('without a secret of its own the API uses one that follows from the admin secret', () => {
  const derived = authServiceSecret({ adminApiSecret: 'a', authServiceApiSecret: undefined })
  assert.match(derived, /^[0-9a-f]{64}$/)
  assert.notEqual(derived, authServiceSecret({ adminApiSecret: 'b', authServiceApiSecret: undefined }))
  assert.equal(authServiceSecret({ adminApiSecret: 'a', authServiceApiSecret: 'own' }), 'own')
})
