import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { signHmac } from '../../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../../shared/testing/index.ts'
import { ADMIN_SECRET, startTestAuth, type TestAuth } from '../harness.ts'

// The whole deployable: what clients are given over GNAP is seen and ended over the Admin API.
let database: TestDatabase
let auth: TestAuth
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
})
after(async () => {
  await auth.close()
  await database.drop()
})

let lastMs = 0
const urlOf = (server: TestAuth) => `http://localhost:${server.running.ports.admin}/graphql`
const ask = async (
  query: string,
  variables: Record<string, unknown> = {},
  asker: { server?: TestAuth; tenantId?: string; secret?: string } = {},
) => {
  const { server = auth, secret = ADMIN_SECRET } = asker
  const body = { query, variables }
  lastMs = Math.max(Date.now(), lastMs + 1)
  const response = await fetch(urlOf(server), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'tenant-id': asker.tenantId ?? server.tenantId,
      signature: signHmac({ secret, version: 1, timestampMs: lastMs, body }),
      origin: 'https://evil.example',
    },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text }
}
const answered = async (...asked: Parameters<typeof ask>) => {
  const { status, text } = await ask(...asked)
  assert.equal(status, 200, text)
  const { data, errors } = JSON.parse(text)
  assert.equal(errors, undefined, text)
  return data
}

const newestGrant = async () => {
  const { grants } = await answered(
    '{ grants(first: 1) { edges { node { id client state finalizationReason subject { sub_ids { subId } } access { type actions limits { debitAmount { value } } } } } } }',
  )
  return grants.edges[0].node
}
const revoke = (id: string) =>
  answered('mutation ($id: String!) { revokeGrant(input: { grantId: $id }) { id } }', { id })

describe('the Admin API of a running authorization server', () => {
  it('shows a grant that a client was given, and ends it with its token', async () => {
    const client = auth.createClient()
    const access = [{ type: 'incoming-payment', actions: ['create', 'read'] }]
    const { status, json } = await auth.send({
      client,
      url: `${auth.url}/${auth.tenantId}`,
      body: { access_token: { access }, client: client.walletAddress },
    })
    assert.equal(status, 200)
    const grant = await newestGrant()
    assert.equal(grant.client, client.walletAddress)
    assert.equal(grant.state, 'APPROVED')
    assert.deepEqual(grant.access, [{ ...access[0], limits: null }])

    const token = json.access_token
    const introspected = async () => (await auth.introspect({ access_token: token.value })).json.active
    assert.equal(await introspected(), true)
    assert.deepEqual(await revoke(grant.id), { revokeGrant: { id: grant.id } })
    assert.equal(await introspected(), false)
    const rotated = await auth.send({ client, url: token.manage, token: token.value })
    assert.equal(rotated.status, 401)
    const { uri, access_token: continuation } = json.continue
    const continued = await auth.send({ client, url: uri, token: continuation.value, body: {} })
    assert.equal(continued.status, 401)
    assert.equal((await newestGrant()).finalizationReason, 'REVOKED')
  })

  it('shows a grant that waits for somebody, and ends it so that nobody can agree to it', async () => {
    const client = auth.createClient()
    const limits = { debitAmount: { value: '500', assetCode: 'USD', assetScale: 2 } }
    const { status, json, text } = await auth.send({
      client,
      url: `${auth.url}/${auth.tenantId}`,
      body: {
        access_token: {
          access: [
            {
              type: 'outgoing-payment',
              actions: ['create'],
              identifier: 'https://wallet.example/alice',
              limits,
            },
          ],
        },
        subject: { sub_ids: [{ id: 'https://wallet.example/alice', format: 'uri' }] },
        client: client.walletAddress,
        interact: { start: ['redirect'] },
      },
    })
    assert.equal(status, 200, text)
    const grant = await newestGrant()
    assert.equal(grant.state, 'PENDING')
    assert.deepEqual(grant.access[0].limits, { debitAmount: { value: '500' } })
    assert.deepEqual(grant.subject, { sub_ids: [{ subId: 'https://wallet.example/alice' }] })

    await revoke(grant.id)
    const start = await fetch(json.interact.redirect.replace('https:', 'http:'), { redirect: 'manual' })
    assert.equal(start.status, 403)
    const { uri, access_token: continuation } = json.continue
    assert.equal((await auth.send({ client, url: uri, token: continuation.value, body: {} })).status, 401)
  })

  it('knows the tenants that the node mirrors, as long as they are', async () => {
    const [tenantId, secret] = [randomUUID(), 'secret of the tenant']
    const asking = () => ask('{ grants { edges { node { id } } } }', {}, { tenantId, secret })
    assert.equal((await asking()).status, 401)
    await auth.service('POST', '/tenant', { id: tenantId, apiSecret: secret })
    assert.equal((await asking()).text, '{"data":{"grants":{"edges":[]}}}')
    await auth.service('DELETE', `/tenant/${tenantId}`, { deletedAt: new Date().toISOString() })
    assert.equal((await asking()).status, 401)
  })

  it('is one path for signed POSTs, without CORS; its health needs no signature', async () => {
    const { status, headers } = await ask('{ __typename }')
    assert.equal(status, 200)
    assert.equal(headers.get('access-control-allow-origin'), null)
    const base = urlOf(auth)
    assert.equal((await fetch(`${base}?query={grants{edges{cursor}}}`)).status, 404)
    assert.equal((await fetch(base, { method: 'OPTIONS' })).status, 404)
    assert.equal((await fetch(new URL('/other', base), { method: 'POST' })).status, 404)
    assert.equal((await fetch(new URL('/healthz', base))).status, 200)
    for (const name of ['auth', 'introspection', 'interaction', 'service'])
      assert.notEqual(
        (await fetch(`http://localhost:${auth.running.ports[name]}/graphql`, { method: 'POST' })).status,
        200,
        name,
      )
  })

  it('tells its schema, but not in production', async () => {
    const query = '{ __schema { queryType { fields { name } } } }'
    const { __schema } = await answered(query)
    assert.deepEqual(__schema.queryType.fields.map(({ name }: { name: string }) => name).sort(), [
      'grant',
      'grants',
    ])
    const production = await startTestAuth(database.connectionString, { NODE_ENV: 'production' })
    try {
      const { status, text } = await ask(query, {}, { server: production })
      assert.equal(status, 400)
      assert.match(text, /GRAPHQL_VALIDATION_FAILED/)
      assert.ok(!text.includes('grants'))
    } finally {
      await production.close()
    }
  })
})
