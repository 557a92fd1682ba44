import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newSecret, type Party, startTestAdmin, type TestAdmin } from '../functions/admin/harness.ts'
import { startTestAuth, type TestAuth } from '../functions/auth/harness.ts'
import { authServiceSecret, createAuthServiceClient } from '../shared/auth-service-client/index.ts'
import { choosePort } from '../shared/loopback-ports/index.ts'
import { createDb, type DbPool, type Environment, sql, uuidv7 } from '../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../shared/testing/index.ts'

describe('a node and its authorization server, with one admin secret between them', () => {
  let admin: TestAdmin
  let auth: TestAuth
  let authDatabase: TestDatabase
  let authDb: DbPool
  let environment: Environment
  let serviceUrl: string
  before(async () => {
    const servicePort = await choosePort()
    serviceUrl = `http://localhost:${servicePort}`
    admin = await startTestAdmin(await createTestDatabase('resources'), { AUTH_SERVICE_API_URL: serviceUrl })
    authDatabase = await createTestDatabase('auth')
    authDb = createDb({ connectionString: authDatabase.connectionString })
    environment = {
      OPERATOR_TENANT_ID: admin.operator.tenantId,
      ADMIN_API_SECRET: admin.operator.apiSecret,
      AUTH_SERVICE_API_SECRET: undefined,
      SERVICE_API_PORT: String(servicePort),
    }
    auth = await startTestAuth(authDatabase.connectionString, environment)
  })
  after(async () => {
    await admin.close()
    await auth.close()
    await authDb.close()
    await authDatabase.drop()
  })

  const create = async (input: object = {}): Promise<Party> => {
    const apiSecret = newSecret()
    const { tenant } = await admin.succeed(admin.operator, 'createTenant', { input: { apiSecret, ...input } })
    return { tenantId: (tenant as { id: string }).id, apiSecret, prefix: '' }
  }
  const askForGrant = async ({ tenantId }: Party) => {
    const client = auth.createClient()
    const answer = await auth.send({
      url: `${auth.url}/${tenantId}`,
      client,
      body: {
        access_token: { access: [{ type: 'incoming-payment', actions: ['create'] }] },
        client: client.walletAddress,
      },
    })
    return answer.status
  }
  const idpOf = ({ tenantId }: Party) =>
    authDb.maybe(
      (row) => row.idp_consent_url as string | null,
      sql`select idp_consent_url from tenants where id = ${tenantId}`,
    )

  it('a tenant gives grants from its creation to its deletion', async () => {
    const tenant = await create({ idpConsentUrl: 'https://idp.example/', idpSecret: 'idp' })
    assert.equal(await askForGrant(tenant), 200)
    assert.equal(await idpOf(tenant), 'https://idp.example/')
    const input = { id: tenant.tenantId, idpConsentUrl: null }
    await admin.succeed(tenant, 'updateTenant', { input })
    assert.equal(await idpOf(tenant), null)
    await admin.succeed(admin.operator, 'deleteTenant', { id: tenant.tenantId })
    assert.equal(await askForGrant(tenant), 404)
    assert.equal((await admin.ask(tenant, '{ whoami { id } }')).status, 401)
  })

  it('the operator’s identity provider stays as the environment of the authorization server says, until it is written', async () => {
    assert.equal(await idpOf(admin.operator), 'https://idp.example/consent')
    const update = (fields: object) =>
      admin.succeed(admin.operator, 'updateTenant', { input: { id: admin.operator.tenantId, ...fields } })
    await update({ publicName: 'The bank', idpSecret: 'other' })
    assert.equal(await idpOf(admin.operator), 'https://idp.example/consent')
    await update({ idpConsentUrl: 'https://moved.example/' })
    assert.equal(await idpOf(admin.operator), 'https://moved.example/')
    assert.equal(await askForGrant(admin.operator), 200)
  })

  it('what is changed while the authorization server is down reaches it when it is back; nothing is created meanwhile', async () => {
    const [changed, deleted] = [await create(), await create()]
    await auth.close()
    const id = uuidv7()
    const refused = await admin.call(admin.operator, 'createTenant', {
      input: { id, apiSecret: newSecret() },
    })
    assert.deepEqual(
      refused.errors?.map(({ extensions }) => [extensions.code, extensions.reason]),
      [['INTERNAL_SERVER_ERROR', 'auth_unavailable']],
    )
    assert.equal(
      (await admin.call(admin.operator, 'tenant', { id })).errors?.[0]?.extensions.code,
      'NOT_FOUND',
    )
    await admin.succeed(changed, 'updateTenant', {
      input: { id: changed.tenantId, idpConsentUrl: 'https://late.example/' },
    })
    await admin.succeed(admin.operator, 'deleteTenant', { id: deleted.tenantId })
    assert.equal(await idpOf(changed), null)

    auth = await startTestAuth(authDatabase.connectionString, environment)
    // Asked for again, a job runs at once and not when its back-off ends.
    for (const key of [changed.tenantId, deleted.tenantId])
      await admin.node.db.execute(
        sql`update jobs set run_at = now() where queue = 'tenant-mirror' and key = ${key}`,
      )
    await waitFor(async () => (await idpOf(changed)) === 'https://late.example/', 10_000)
    await waitFor(async () => (await askForGrant(deleted)) === 404, 10_000)
    assert.equal((await create({ id })).tenantId, id)
    assert.equal(await askForGrant({ tenantId: id, apiSecret: '', prefix: '' }), 200)
  })

  it('a call that was held up for longer than its signature lives changes nothing', async () => {
    const tenant = await create()
    const client = createAuthServiceClient({
      url: serviceUrl,
      secret: authServiceSecret({ adminApiSecret: admin.operator.apiSecret }),
      http: admin.node.trustedHttp,
    })
    const readAt = new Date(Date.now() - 31_000)
    await assert.rejects(client.deleteTenant(tenant.tenantId, new Date(), readAt), { code: 'auth_refused' })
    await assert.rejects(client.patchTenant(tenant.tenantId, { apiSecret: 'x' }, readAt), {
      code: 'auth_refused',
    })
    assert.equal(await askForGrant(tenant), 200)
    assert.equal(await client.patchTenant(tenant.tenantId, { idpSecret: 'now' }, new Date()), true)
  })
})
