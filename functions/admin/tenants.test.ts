import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isUuid, sql, uuidv7 } from '../../shared/platform/index.ts'
import { getTenantSettings } from '../../shared/tenants/index.ts'
import { createTestDatabase, startTestHttpServer, type TestHttpServer } from '../../shared/testing/index.ts'
import { type Answer, newSecret, type Party, startTestAdmin, type TestAdmin } from './harness.ts'

interface Tenant {
  id: string
  apiSecret: string
  idpSecret: string | null
  idpConsentUrl: string | null
  email: string | null
  publicName: string | null
  createdAt: string
  deletedAt: string | null
  settings: { key: string; value: string }[]
}

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code

describe('tenants over the Admin API', () => {
  let admin: TestAdmin
  let auth: TestHttpServer
  let authStatus = 204
  let operator: Party
  before(async () => {
    auth = await startTestHttpServer(() => ({ status: authStatus }))
    admin = await startTestAdmin(await createTestDatabase('resources'), {
      AUTH_SERVICE_API_URL: auth.url,
      ADMIN_API_KEYS_ENABLED: 'true',
    })
    operator = admin.operator
  })
  after(async () => {
    await admin.close()
    await auth.close()
  })

  const create = async (input: Record<string, unknown> = {}, as = operator): Promise<Tenant> => {
    const { tenant } = await admin.succeed(as, 'createTenant', {
      input: { apiSecret: newSecret(), ...input },
    })
    return tenant as Tenant
  }
  const partyOf = ({ id, apiSecret }: Tenant): Party => ({ tenantId: id, apiSecret, prefix: '' })
  const settingsOf = ({ settings }: Tenant) =>
    Object.fromEntries(settings.map(({ key, value }) => [key, value]))
  const statusOf = async (party: Party) => (await admin.ask(party, '{ whoami { id isOperator } }')).status

  it('the operator creates one: it may sign at once, and the authorization server knows it', async () => {
    const apiSecret = newSecret()
    const input = {
      apiSecret,
      email: 'ops@bank.example',
      publicName: 'Bank',
      idpConsentUrl: 'https://idp.bank.example/consent',
      idpSecret: 'idp secret',
    }
    const tenant = await create(input)
    assert.ok(isUuid(tenant.id))
    const { id, createdAt, deletedAt, settings, ...told } = tenant
    assert.deepEqual(told, { ...input, apiKeys: [] })
    assert.equal(deletedAt, null)
    assert.ok(Date.now() - Date.parse(createdAt) < 60_000)
    assert.deepEqual(settings, [{ key: 'ILP_ADDRESS', value: `test.bank.${id}` }])
    const { idpConsentUrl, idpSecret } = input
    const sent = auth.requests.at(-1)
    const previousApiSecret = null
    assert.deepEqual(JSON.parse(sent?.body ?? ''), {
      id,
      apiSecret,
      previousApiSecret,
      idpConsentUrl,
      idpSecret,
    })
    const { data } = await admin.ask(partyOf(tenant), '{ whoami { id isOperator } }')
    assert.deepEqual(data?.whoami, { id, isOperator: false })
  })

  it('settings given with it replace the defaults key by key, and no retry limit is stored', async () => {
    const tenant = await create({
      settings: [
        { key: 'ILP_ADDRESS', value: 'test.own' },
        { key: 'WEBHOOK_URL', value: 'https://bank.example/hooks' },
        { key: 'WALLET_ADDRESS_URL', value: 'https://wallet-1.example/pay' },
        { key: 'WEBHOOK_TIMEOUT', value: '3000' },
        { key: 'EXCHANGE_RATES_URL', value: 'https://rates.example/' },
      ],
    })
    assert.deepEqual(settingsOf(tenant), {
      ILP_ADDRESS: 'test.own',
      WEBHOOK_URL: 'https://bank.example/hooks',
      WALLET_ADDRESS_URL: 'https://wallet-1.example/pay',
      WEBHOOK_TIMEOUT: '3000',
      EXCHANGE_RATES_URL: 'https://rates.example/',
    })
    assert.equal((await getTenantSettings(admin.node, tenant.id)).webhookAttemptsMax, undefined)
  })

  it('a bad member or setting refuses the whole creation (G-9)', async () => {
    await create({ settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://wallet-2.example/pay' }] })
    const rows = () => admin.node.db.execute(sql`select 1 from tenants`)
    const [before, calls] = [await rows(), auth.requests.length]
    const setting = (key: string, value: string) => ({ settings: [{ key, value }] })
    for (const bad of [
      { id: 'not-an-id' },
      { apiSecret: '' },
      { apiSecret: operator.apiSecret },
      { idpConsentUrl: 'nowhere' },
      setting('EXCHANGE_RATES_URL', 'nowhere'),
      setting('WEBHOOK_URL', 'ftp://x.example'),
      setting('WEBHOOK_TIMEOUT', '0'),
      setting('WEBHOOK_TIMEOUT', 'Infinity'),
      setting('WEBHOOK_TIMEOUT', ''),
      setting('WEBHOOK_MAX_RETRY', '-1'),
      setting('WEBHOOK_MAX_RETRY', 'many'),
      setting('ILP_ADDRESS', 'nowhere'),
      setting('WALLET_ADDRESS_URL', 'wallet'),
      setting('WALLET_ADDRESS_URL', 'https://wallet-2.example/pay'),
      setting('WALLET_ADDRESS_URL', 'https://WALLET-2.example/pay/'),
    ])
      assert.equal(
        codeOf(await admin.call(operator, 'createTenant', { input: { apiSecret: newSecret(), ...bad } })),
        'BAD_USER_INPUT',
        JSON.stringify(bad),
      )
    assert.equal(await rows(), before)
    assert.equal(auth.requests.length, calls)
  })

  it('an id is taken once', async () => {
    const id = uuidv7()
    const input = { id: id.toUpperCase(), apiSecret: newSecret() }
    assert.equal((await create(input)).id, id)
    assert.equal(codeOf(await admin.call(operator, 'createTenant', { input })), 'DUPLICATE')
  })

  it('one whose id the authorization server has deleted is not created', async () => {
    authStatus = 404
    const id = uuidv7()
    const answer = await admin.call(operator, 'createTenant', { input: { id, apiSecret: 's' } })
    authStatus = 204
    assert.equal(codeOf(answer), 'DUPLICATE')
    assert.equal(codeOf(await admin.call(operator, 'tenant', { id })), 'NOT_FOUND')
  })

  it('is read by itself and by the operator, and by nobody else', async () => {
    const [one, other] = [await create({ publicName: 'One' }), await create()]
    for (const party of [operator, partyOf(one)]) {
      const seen = await admin.succeed(party, 'tenant', { id: one.id })
      assert.deepEqual([seen.publicName, seen.apiSecret], ['One', one.apiSecret])
    }
    for (const id of [one.id, uuidv7(), operator.tenantId])
      assert.equal(codeOf(await admin.call(partyOf(other), 'tenant', { id })), 'NOT_FOUND')
    assert.equal(codeOf(await admin.call(operator, 'tenant', { id: uuidv7() })), 'NOT_FOUND')
    for (const party of [operator, partyOf(other)])
      assert.equal(codeOf(await admin.call(party, 'tenant', { id: 'x' })), 'BAD_USER_INPUT')
  })

  it('only the operator lists, creates and deletes', async () => {
    const tenant = await create()
    const party = partyOf(tenant)
    for (const [name, args] of [
      ['tenants', {}],
      ['createTenant', { input: { apiSecret: 's' } }],
      ['deleteTenant', { id: tenant.id }],
      ['deleteTenant', { id: uuidv7() }],
    ] as const)
      assert.equal(codeOf(await admin.call(party, name, args)), 'FORBIDDEN', name)
    assert.equal(await statusOf(party), 200)
  })

  it('lists in pages, newest first or oldest first', async () => {
    const made = [await create(), await create(), await create()].map(({ id }) => id)
    const page = async (args: object) =>
      (await admin.succeed(operator, 'tenants', args as Record<string, unknown>)) as unknown as {
        edges: { cursor: string; node: Tenant }[]
        pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean }
      }
    const first = await page({ first: 2 })
    assert.deepEqual(
      first.edges.map(({ cursor }) => cursor),
      [made[2], made[1]],
    )
    assert.deepEqual([first.pageInfo.hasNextPage, first.pageInfo.hasPreviousPage], [true, false])
    const second = await page({ first: 1, after: made[1] })
    assert.equal(second.edges[0]?.node.id, made[0])
    assert.equal((await page({ first: 1, sortOrder: 'ASC' })).edges[0]?.node.id, operator.tenantId)
    assert.deepEqual((await page({ first: 5, after: uuidv7() })).edges, [])
    assert.equal(codeOf(await admin.call(operator, 'tenants', { first: 101 })), 'BAD_USER_INPUT')
  })

  it('changes what is named: absent stays, null and the empty text clear, here and at the authorization server', async () => {
    const tenant = await create({
      email: 'a@b.example',
      publicName: 'Bank',
      idpConsentUrl: 'https://idp.example/',
      idpSecret: 'idp',
    })
    const update = async (party: Party, input: object) =>
      (await admin.succeed(party, 'updateTenant', { input: { id: tenant.id, ...input } })).tenant as Tenant
    const one = await update(operator, { publicName: 'Other', email: null })
    assert.deepEqual([one.publicName, one.email, one.idpSecret], ['Other', null, 'idp'])
    const two = await update(partyOf(tenant), { idpConsentUrl: null, idpSecret: '' })
    assert.deepEqual([two.idpConsentUrl, two.idpSecret, two.publicName], [null, null, 'Other'])
    assert.deepEqual(JSON.parse(auth.requests.at(-1)?.body ?? ''), {
      id: tenant.id,
      apiSecret: tenant.apiSecret,
      previousApiSecret: null,
      idpConsentUrl: null,
      idpSecret: null,
    })
    for (const input of [{ idpConsentUrl: 'nowhere' }, { apiSecret: '' }])
      assert.equal(
        codeOf(await admin.call(partyOf(tenant), 'updateTenant', { input: { id: tenant.id, ...input } })),
        'BAD_USER_INPUT',
      )
  })

  it('a tenant rotates its own secret, and nobody else does', async () => {
    const tenant = await create()
    const party = partyOf(tenant)
    const apiSecret = newSecret()
    const rotate = (as: Party, id: string, secret: string | null = apiSecret) =>
      admin.call(as, 'updateTenant', { input: { id, apiSecret: secret } })
    assert.equal(codeOf(await rotate(operator, tenant.id)), 'BAD_USER_INPUT')
    assert.equal(codeOf(await rotate(operator, tenant.id, null)), 'BAD_USER_INPUT')
    assert.equal(codeOf(await rotate(operator, operator.tenantId)), 'BAD_USER_INPUT')
    assert.equal(codeOf(await rotate(partyOf(await create()), tenant.id)), 'NOT_FOUND')
    assert.equal(codeOf(await rotate(party, tenant.id, operator.apiSecret)), 'BAD_USER_INPUT')
    assert.equal(await statusOf(party), 200)
    assert.equal((await rotate(party, tenant.id)).errors, undefined)
    assert.equal(await statusOf(party), 401)
    assert.equal(await statusOf({ ...party, apiSecret }), 200)
  })

  it('a tenant that has the operator’s secret all the same is not the operator (G-4)', async () => {
    const id = uuidv7()
    // Written past the API, which would refuse it.
    const sealed = admin.node.secretBox.seal(operator.apiSecret, `tenant:${id}:api-secret`)
    await admin.node.db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, ${sealed})`)
    const party = { ...operator, tenantId: id }
    assert.deepEqual((await admin.ask(party, '{ whoami { isOperator } }')).data?.whoami, {
      isOperator: false,
    })
    assert.equal(codeOf(await admin.call(party, 'tenants', {})), 'FORBIDDEN')
  })

  it('a deleted one is refused at once; the operator still sees it; the operator itself stays', async () => {
    const tenant = await create()
    const party = partyOf(tenant)
    assert.equal(await statusOf(party), 200)
    await admin.succeed(operator, 'deleteTenant', { id: tenant.id })
    assert.equal(await statusOf(party), 401)
    assert.equal(auth.requests.at(-1)?.method, 'DELETE')
    const seen = (await admin.succeed(operator, 'tenant', { id: tenant.id })) as unknown as Tenant
    assert.ok(seen.deletedAt)
    assert.deepEqual(seen.settings, [])
    for (const [name, args] of [
      ['deleteTenant', { id: tenant.id }],
      ['deleteTenant', { id: uuidv7() }],
      ['updateTenant', { input: { id: tenant.id, publicName: 'x' } }],
      ['createAsset', { input: { code: 'EUR', scale: 2, tenantId: tenant.id } }],
    ] as const)
      assert.equal(codeOf(await admin.call(operator, name, args)), 'NOT_FOUND', name)
    assert.equal(codeOf(await admin.call(operator, 'deleteTenant', { id: 'x' })), 'BAD_USER_INPUT')
    assert.equal(codeOf(await admin.call(operator, 'deleteTenant', { id: operator.tenantId })), 'FORBIDDEN')
    assert.equal(await statusOf(operator), 200)
  })

  it('settings are the caller’s own, all or none, and the operator’s too', async () => {
    const tenant = await create()
    const write = (party: Party, settings: object[]) =>
      admin.call(party, 'createTenantSettings', { input: { settings } })
    const url = { key: 'WALLET_ADDRESS_URL', value: 'https://wallet-3.example/a' }
    const answer = await write(partyOf(tenant), [url, { key: 'WEBHOOK_MAX_RETRY', value: '3' }])
    assert.deepEqual((answer.data?.answer as Tenant).settings, [
      url,
      { key: 'WEBHOOK_MAX_RETRY', value: '3' },
    ])
    const bad = [
      { key: 'WEBHOOK_TIMEOUT', value: '9' },
      { key: 'ILP_ADDRESS', value: '!' },
    ]
    assert.equal(codeOf(await write(partyOf(tenant), bad)), 'BAD_USER_INPUT')
    assert.equal(codeOf(await write(partyOf(await create()), [url])), 'BAD_USER_INPUT')
    assert.equal((await write(partyOf(tenant), [url])).errors, undefined, 'its own once more')
    const seen = (await admin.succeed(operator, 'tenant', { id: tenant.id })) as unknown as Tenant
    assert.deepEqual(settingsOf(seen), {
      ILP_ADDRESS: `test.bank.${tenant.id}`,
      WALLET_ADDRESS_URL: url.value,
      WEBHOOK_MAX_RETRY: '3',
    })
    assert.equal((await write(operator, [{ key: 'WEBHOOK_TIMEOUT', value: '1500' }])).errors, undefined)
    assert.equal((await getTenantSettings(admin.node, operator.tenantId)).webhookTimeoutMs, 1500)
    assert.equal((await write(partyOf(tenant), [{ key: 'OTHER', value: 'x' }])).status, 400)
  })

  it('assets, peers, wallet addresses and events name their tenant, to itself and to the operator', async () => {
    const tenant = await create({
      settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://wallet-4.example' }],
    })
    const asset = (await admin.succeed(operator, 'createAsset', {
      input: { code: 'EUR', scale: 2, tenantId: tenant.id },
    })) as { asset: { id: string; tenant: Tenant } }
    assert.equal(asset.asset.tenant.id, tenant.id)
    const walletAddress = (await admin.succeed(partyOf(tenant), 'createWalletAddress', {
      input: { assetId: asset.asset.id, address: 'https://wallet-4.example/alice' },
    })) as { walletAddress: { id: string; tenant: Tenant } }
    assert.equal(walletAddress.walletAddress.tenant.apiSecret, tenant.apiSecret)
    await admin.succeed(partyOf(tenant), 'createIncomingPayment', {
      input: { walletAddressId: walletAddress.walletAddress.id },
    })
    for (const name of ['assets', 'walletAddresses', 'incomingPayments', 'webhookEvents'])
      for (const party of [operator, partyOf(tenant)]) {
        const query = `query List($id: ID!) { list: ${name}(tenantId: $id) { edges { node { tenant { id } } } } }`
        const { data, errors } = await admin.ask(party, query.replace('ID!', 'String'), { id: tenant.id })
        assert.equal(errors, undefined, JSON.stringify(errors))
        const { edges } = data?.list as { edges: { node: { tenant: { id: string } } }[] }
        assert.ok(edges.length > 0, name)
        assert.ok(edges.every(({ node }) => node.tenant.id === tenant.id))
      }
  })
})
