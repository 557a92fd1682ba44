import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  createCache,
  createDb,
  createSecretBox,
  type DbPool,
  deriveId,
  parseHmacSignature,
  signHmac,
  sql,
  verifyHmacDigest,
} from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../testing/index.ts'
import { TenantRefusal } from './errors.ts'
import { eventRecipients, resolveSettings, type TenantDefaults } from './model.ts'
import {
  findTenantByWalletAddressUrl,
  getTenantSettings,
  getWalletAddressPrefix,
  isBelowPrefix,
  listTenantSettings,
} from './settings.ts'
import {
  createTenant,
  deleteTenant,
  ensureOperatorTenant,
  findTenant,
  getTenant,
  listTenants,
  setTenantSettings,
  updateTenant,
} from './tenants.ts'
import { setWebhookSecret, webhookRecipient } from './webhooks.ts'

const operatorTenantId = deriveId('operator')
const settings: TenantDefaults = {
  operatorTenantId,
  openPaymentsUrl: 'https://op.example',
  ilpAddress: 'test.node',
  exchangeRatesUrl: 'http://rates.example',
  webhookUrl: 'http://wallet.example/webhooks',
  webhookTimeoutMs: 2000,
  webhookSecret: 'hush',
  webhookSignatureVersion: 1,
  sendTenantWebhooksToOperator: false,
}

let database: TestDatabase
let db: DbPool
const clock = testClock()
const contextOn = (lifeMs = 1000) => ({
  db,
  clock,
  settings,
  secretBox: createSecretBox('node secret'),
  cache: createCache({ clock, lifeMs }),
})

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  await ensureOperatorTenant(contextOn(), { id: operatorTenantId, apiSecret: 'first' })
})
after(async () => {
  await db.close()
  await database.drop()
})

const refusal = (code: string) => (error: unknown) => error instanceof TenantRefusal && error.code === code

test('every start sets the operator secret, also when several start at once', async () => {
  await Promise.all(
    Array.from({ length: 4 }, () =>
      ensureOperatorTenant(contextOn(), { id: operatorTenantId, apiSecret: 'rotated' }),
    ),
  )
  assert.equal((await getTenant(contextOn(), operatorTenantId)).apiSecret, 'rotated')
})

test('secrets are sealed at rest and do not open in another row', async () => {
  const ctx = contextOn()
  const [one, two] = [
    await createTenant(ctx, { apiSecret: 'secret-one', idpSecret: 'idp-one' }),
    await createTenant(ctx, { apiSecret: 'secret-two' }),
  ]
  assert.deepEqual([one.apiSecret, one.idpSecret], ['secret-one', 'idp-one'])
  const stored = await db.one(
    (row) => JSON.stringify(row),
    sql`select api_secret_sealed, idp_secret_sealed from tenants where id = ${one.id}`,
  )
  assert.doesNotMatch(stored, /secret-one|idp-one/)
  await db.execute(sql`update tenants set api_secret_sealed = (select api_secret_sealed from tenants where id = ${one.id})
    where id = ${two.id}`)
  await assert.rejects(findTenant(contextOn(), two.id), { code: 'secret_unreadable' })
  await db.execute(sql`delete from tenant_settings where tenant_id = ${two.id}`)
  await db.execute(sql`delete from tenants where id = ${two.id}`)
})

test('a tenant is cached for its time, and this process sees its own changes at once', async () => {
  const [here, there] = [contextOn(), contextOn()]
  const { id } = await createTenant(here, { apiSecret: 'old' })
  assert.equal((await findTenant(there, id))?.apiSecret, 'old')
  await updateTenant(here, id, { apiSecret: 'new', publicName: 'Bank' })
  assert.equal((await findTenant(here, id))?.apiSecret, 'new')
  assert.equal((await findTenant(there, id))?.apiSecret, 'old')
  clock.advance(1001)
  assert.deepEqual(
    [(await findTenant(there, id))?.apiSecret, (await findTenant(there, id))?.publicName],
    ['new', 'Bank'],
  )
})

test('an unknown tenant is looked for each time', async () => {
  const ctx = contextOn()
  const id = deriveId('later')
  assert.equal(await findTenant(ctx, id), undefined)
  await createTenant(ctx, { id, apiSecret: 's' })
  assert.equal((await findTenant(ctx, id))?.id, id)
  await assert.rejects(createTenant(ctx, { id, apiSecret: 's' }), refusal('duplicate_tenant'))
})

test('a deleted tenant is gone for access and remains in the list; the operator cannot go', async () => {
  const ctx = contextOn()
  const { id } = await createTenant(ctx, {
    apiSecret: 's',
    settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://gone.example' }],
  })
  await deleteTenant(ctx, id)
  assert.equal(await findTenant(ctx, id), undefined)
  assert.deepEqual(await listTenantSettings(ctx, id), [])
  assert.ok(
    (await listTenants(ctx, { first: 100 })).items.some((tenant) => tenant.id === id && tenant.deletedAt),
  )
  await assert.rejects(deleteTenant(ctx, id), refusal('unknown_tenant'))
  await assert.rejects(deleteTenant(ctx, operatorTenantId), refusal('operator_tenant'))
  await assert.rejects(updateTenant(ctx, id, { apiSecret: 'x' }), refusal('unknown_tenant'))
})

test('A3: URLs that tenants set for themselves are not trusted; the operator’s and the node’s are', async () => {
  const ctx = contextOn()
  const internal = 'http://wallet.internal/webhooks'
  const urls = (value: string, rates = value) => [
    { key: 'WEBHOOK_URL' as const, value },
    { key: 'EXCHANGE_RATES_URL' as const, value: rates },
  ]
  const { id } = await createTenant(ctx, { apiSecret: 's', settings: urls(internal) })
  const untrusted = async () => {
    const { untrustedUrls } = await getTenantSettings(ctx, id)
    const { isGuarded } = await webhookRecipient(ctx, id)
    assert.equal(isGuarded ?? false, untrustedUrls.includes('WEBHOOK_URL'))
    return untrustedUrls
  }
  assert.deepEqual(await untrusted(), [])
  await setTenantSettings(ctx, id, urls(internal))
  assert.deepEqual(await untrusted(), [], 'the operator has said the same')
  await setTenantSettings(ctx, id, urls('http://169.254.169.254/latest'))
  assert.deepEqual(await untrusted(), ['WEBHOOK_URL', 'EXCHANGE_RATES_URL'])
  await setTenantSettings(ctx, id, urls(internal))
  assert.deepEqual(await untrusted(), ['WEBHOOK_URL', 'EXCHANGE_RATES_URL'], 'what was is forgotten')
  await setTenantSettings(ctx, id, urls(settings.webhookUrl, 'http://rates.example'))
  assert.deepEqual(await untrusted(), [])
  assert.deepEqual(
    (await listTenantSettings(ctx, id)).filter(({ key }) => key === 'WEBHOOK_URL'),
    [{ key: 'WEBHOOK_URL', value: settings.webhookUrl }],
  )
})

test('A7: each tenant’s webhooks are signed with its own secret, and for a while with the one before', async () => {
  const ctx = contextOn()
  const ownUrl = (name: string) => [{ key: 'WEBHOOK_URL' as const, value: `https://${name}.example` }]
  const [one, two, three] = [
    await createTenant(ctx, { apiSecret: 's', settings: ownUrl('one') }),
    await createTenant(ctx, { apiSecret: 's', settings: ownUrl('two') }),
    await createTenant(ctx, { apiSecret: 's' }),
  ]
  const secretOf = (name: string) => `the webhook secret of ${name}`
  for (const [name, { id }] of Object.entries({ one, two, three }))
    await setWebhookSecret(ctx, id, { secret: secretOf(name), overlapSeconds: 60 })
  const secrets = async ({ id }: { id: string }) => {
    const { secret, previousSecret } = await webhookRecipient(ctx, id)
    return [secret, previousSecret]
  }
  assert.deepEqual(await secrets(one), [secretOf('one'), 'hush'])
  assert.deepEqual(await secrets(two), [secretOf('two'), 'hush'])
  assert.deepEqual(await secrets(three), ['hush', undefined], 'its webhooks go to the operator')
  assert.deepEqual(await secrets({ id: operatorTenantId }), ['hush', undefined])
  await setWebhookSecret(ctx, one.id, { secret: secretOf('one, the second'), overlapSeconds: 60 })
  assert.deepEqual(await secrets(one), [secretOf('one, the second'), secretOf('one')])
  clock.advance(61_000)
  assert.deepEqual(await secrets(one), [secretOf('one, the second'), undefined])
  const event = { timestampMs: 1, body: { id: 'x' }, version: 1 }
  const signature = parseHmacSignature(signHmac({ ...event, secret: secretOf('two') }))
  assert.ok(signature && verifyHmacDigest(signature, { secret: secretOf('two'), body: event.body }))
  for (const secret of [...(await secrets(one)), 'hush'])
    assert.ok(secret === undefined || !verifyHmacDigest(signature, { secret, body: event.body }))
})

test('services of the node get their events at the node’s address and timeout, and as often as the operator wants', async () => {
  const ctx = contextOn()
  const withCards = { ...ctx, settings: { ...settings, cardWebhookUrl: 'http://cards.example' } }
  await setTenantSettings(ctx, operatorTenantId, [
    { key: 'WEBHOOK_TIMEOUT', value: '77' },
    { key: 'WEBHOOK_MAX_RETRY', value: '4' },
  ])
  assert.deepEqual(await webhookRecipient(withCards, operatorTenantId, 'card'), {
    url: 'http://cards.example',
    secret: 'hush',
    signatureVersion: 1,
    timeoutMs: 2000,
    attemptsMax: 4,
  })
  await assert.rejects(webhookRecipient(withCards, operatorTenantId, 'pos'), { code: 'missing_webhook_url' })
  await db.execute(sql`delete from tenant_settings where tenant_id = ${operatorTenantId}`)
})

test('settings fall back to the node, the prefix and the ILP address only for the operator', () => {
  assert.deepEqual(resolveSettings(operatorTenantId, [], settings), {
    untrustedUrls: [],
    exchangeRatesUrl: 'http://rates.example',
    webhookUrl: 'http://wallet.example/webhooks',
    webhookTimeoutMs: 2000,
    webhookExtraEvents: [],
    walletAddressUrl: 'https://op.example',
    ilpAddress: 'test.node',
  })
  assert.deepEqual(resolveSettings(deriveId('other'), [], settings), {
    untrustedUrls: [],
    exchangeRatesUrl: 'http://rates.example',
    webhookUrl: 'http://wallet.example/webhooks',
    webhookTimeoutMs: 2000,
    webhookExtraEvents: [],
  })
  assert.equal(
    resolveSettings(operatorTenantId, [{ key: 'WEBHOOK_MAX_RETRY', value: '0', byOperator: false }], settings)
      .webhookAttemptsMax,
    0,
  )
})

test('stored settings win, are checked, and a list with a bad one changes nothing', async () => {
  const ctx = contextOn()
  const { id } = await createTenant(ctx, {
    apiSecret: 's',
    settings: [
      { key: 'WEBHOOK_URL', value: 'https://old.example/hooks' },
      { key: 'WEBHOOK_URL', value: 'https://tenant.example/hooks' },
      { key: 'WEBHOOK_MAX_RETRY', value: '3' },
    ],
  })
  assert.equal((await getTenantSettings(ctx, id)).ilpAddress, `test.node.${id}`)
  assert.deepEqual(await webhookRecipient(ctx, id), {
    url: 'https://tenant.example/hooks',
    secret: 'hush',
    signatureVersion: 1,
    timeoutMs: 2000,
    attemptsMax: 3,
  })
  for (const [key, value] of [
    ['WEBHOOK_URL', 'not a url'],
    ['WEBHOOK_TIMEOUT', '0'],
    ['WEBHOOK_TIMEOUT', '1e3'],
    ['WEBHOOK_MAX_RETRY', '-1'],
    ['ILP_ADDRESS', 'nowhere'],
    ['WALLET_ADDRESS_URL', 'http://plain.example'],
  ] as const)
    await assert.rejects(
      setTenantSettings(ctx, id, [
        { key: 'EXCHANGE_RATES_URL', value: 'https://never.example' },
        { key, value },
      ]),
      refusal('invalid_setting'),
      `${key}=${value}`,
    )
  assert.equal((await getTenantSettings(ctx, id)).exchangeRatesUrl, 'http://rates.example')
  await setTenantSettings(ctx, id, [{ key: 'WEBHOOK_TIMEOUT', value: '500' }])
  assert.equal((await webhookRecipient(ctx, id)).timeoutMs, 500)
})

test('a bad setting refuses the whole tenant', async () => {
  const ctx = contextOn()
  const id = deriveId('never made')
  await assert.rejects(
    createTenant(ctx, { id, apiSecret: 's', settings: [{ key: 'ILP_ADDRESS', value: '!' }] }),
    refusal('invalid_setting'),
  )
  assert.equal(await findTenant(ctx, id), undefined)
})

test('a prefix belongs to one tenant, and unknown addresses to the longest prefix above them', async () => {
  const ctx = contextOn()
  const make = (prefix: string) =>
    createTenant(ctx, { apiSecret: 's', settings: [{ key: 'WALLET_ADDRESS_URL', value: prefix }] })
  const [wide, narrow] = [await make('https://w.example'), await make('https://w.example/a')]
  await assert.rejects(make('https://w.example/a'), refusal('duplicate_wallet_address_prefix'))
  assert.equal(await findTenantByWalletAddressUrl(ctx, 'https://w.example/a/b'), narrow.id)
  assert.equal(await findTenantByWalletAddressUrl(ctx, 'https://W.example/ab'), wide.id)
  assert.equal(await findTenantByWalletAddressUrl(ctx, 'https://w.example.evil/a'), operatorTenantId)
  assert.equal(await getWalletAddressPrefix(ctx, narrow.id), 'https://w.example/a')
  const bare = await createTenant(ctx, { apiSecret: 's' })
  await assert.rejects(getWalletAddressPrefix(ctx, bare.id), refusal('missing_wallet_address_prefix'))
})

test('a tenant takes no names from others: its own prefix is apart from theirs and the operator’s', async () => {
  const ctx = contextOn()
  const make = (prefix?: string) =>
    createTenant(ctx, {
      apiSecret: 's',
      ...(prefix !== undefined && { settings: [{ key: 'WALLET_ADDRESS_URL', value: prefix } as const] }),
    })
  const { id } = await make()
  const set = (prefix: string, tenantId = id) =>
    setTenantSettings(ctx, tenantId, [{ key: 'WALLET_ADDRESS_URL', value: prefix }])
  const theirs = await make('https://Shop.example/pay/')
  const operators = settings.openPaymentsUrl
  for (const above of [operators, `${operators}/`])
    await assert.rejects(set(above), refusal('duplicate_wallet_address_prefix'), above)
  await makeAddress(operatorTenantId, `${operators}/team/alice`)
  await createTenant(ctx, { apiSecret: 's' }).then(({ id }) => makeAddress(id, 'https://left.example/bob'))
  for (const taken of [
    'https://shop.example/pay',
    'https://shop.example/pay/alice',
    'https://SHOP.example/Pay/alice/',
    'https://shop.example',
    'https://shop.example/',
    `${operators}/team`,
    `${operators}/Team/Alice/`,
    'https://left.example/',
    'https://left.example/bob',
  ])
    await assert.rejects(set(taken), refusal('duplicate_wallet_address_prefix'), taken)
  for (const disguised of [
    'https://shop.example:443/pay',
    'https://shop.example/%70ay',
    'https://shop.example/x/../pay',
    'https://shop.example\\pay',
    'https://me@shop.example/pay',
    'https://shop.example/pay?x',
    'https://shop.example/pay#x',
  ]) {
    await assert.rejects(set(disguised), refusal('invalid_setting'), disguised)
    await assert.rejects(make(disguised), refusal('invalid_setting'), disguised)
  }
  await assert.rejects(getWalletAddressPrefix(ctx, id), refusal('missing_wallet_address_prefix'))
  await set('https://shop.example/payments')
  await set('https://Mine.example:8443/A/')
  assert.equal(await getWalletAddressPrefix(ctx, id), 'https://Mine.example:8443/A/')
  // What the operator has given out within another's stays, and so does what it lies within.
  const inner = await make('https://shop.example/pay/inner')
  await set('https://shop.example/pay/inner/', inner.id)
  await set('https://shop.example/pay', theirs.id)
  // On a node with one host tenants lie below it, beside what others have there, until the operator keeps a part for itself.
  await set(`${operators}/te`)
  await set(`${operators}/team/alices`)
  await set(`${operators}/own`, operatorTenantId)
  await assert.rejects(set(`${operators}/own/x`), refusal('duplicate_wallet_address_prefix'))
})

async function makeAddress(tenantId: string, address: string): Promise<void> {
  await db.execute(sql`
    with asset as (insert into assets (id, tenant_id, code, scale) values (${randomUUID()}, ${tenantId}, ${address}, 2) returning id)
    insert into wallet_addresses (id, tenant_id, asset_id, address) select ${randomUUID()}, ${tenantId}, id, ${address} from asset`)
}

test('of tenants that name one prefix and one below it at the same time one has its own', async () => {
  const ctx = contextOn()
  for (let round = 0; round < 5; round++) {
    const tenants = await Promise.all(Array.from({ length: 6 }, () => createTenant(ctx, { apiSecret: 's' })))
    const outcomes = await Promise.allSettled(
      tenants.map(({ id }, index) =>
        setTenantSettings(ctx, id, [
          {
            key: 'WALLET_ADDRESS_URL',
            value: `https://race${round}.example/${'a/'.repeat(index)}`,
          },
        ]),
      ),
    )
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  }
})

test('prefixes are compared by path segment', () => {
  assert.ok(isBelowPrefix('https://x.example/a/b', 'https://x.example/a'))
  assert.ok(isBelowPrefix('https://x.example/a', 'https://x.example/a/'))
  assert.ok(!isBelowPrefix('https://x.example/ab', 'https://x.example/a'))
  assert.ok(!isBelowPrefix('https://x.example.org/a', 'https://x.example'))
})

test('the operator gets a copy of events where the node says so', () => {
  const tenant = deriveId('some tenant')
  assert.deepEqual(eventRecipients(settings, tenant), [tenant])
  const copying = { ...settings, sendTenantWebhooksToOperator: true }
  assert.deepEqual(eventRecipients(copying, tenant), [tenant, operatorTenantId])
  assert.deepEqual(eventRecipients(copying, operatorTenantId), [operatorTenantId])
})
