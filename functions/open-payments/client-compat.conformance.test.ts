// What the official client does to a server and expects of it (contracts/open-payments/client-compat.md), rule by rule.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type AuthenticatedClient,
  createAuthenticatedClient,
  createUnauthenticatedClient,
  OpenPaymentsClientError,
} from '@interledger/open-payments'
import { createAsset } from '../../shared/assets/index.ts'
import { sql } from '../../shared/platform/index.ts'
import { createTenant, setTenantSettings } from '../../shared/tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { succeeded } from './answer-checks.ts'
import { routes } from './app.ts'
import { type RawAnswer, send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
let app: TestClient
let client: AuthenticatedClient
let alice: string
let resourceServer: string
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
  app = await node.createClient('/app')
  alice = (await node.createWallet('/alice', { publicName: 'Alice' })).address
  resourceServer = `${node.publicUrl}/${node.tenantId}`
  client = await createAuthenticatedClient({
    walletAddressUrl: app.walletAddress,
    privateKey: app.privateKey,
    keyId: app.keyId,
    useHttp: true,
    logLevel: 'silent',
  })
})
after(async () => {
  await node.close()
  await database.drop()
})

const everything = () => [
  { type: 'incoming-payment', actions: ['create', 'read', 'list', 'complete'] },
  { type: 'quote', actions: ['create', 'read'] },
  { type: 'outgoing-payment', actions: ['create', 'read', 'list'], identifier: alice },
]
const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
const httpOf = (url: string) => url.replace('https:', 'http:')
const listQuery = () => `?wallet-address=${encodeURIComponent(alice)}`

/** Each operation once, with success, as bare requests: the harness holds every answer against the specification. */
async function callEverything(): Promise<RawAnswer[]> {
  const token = node.grant(app, everything())
  const answers: RawAnswer[] = []
  const call = async (method: 'GET' | 'POST', url: string, body?: unknown): Promise<RawAnswer> => {
    const answer = await sendSigned(app, token, {
      method,
      url: httpOf(url),
      ...(body !== undefined && { body }),
    })
    assert.ok(answer.status < 300, `${method} ${url} ${answer.text}`)
    answers.push(answer)
    return answer
  }
  const idOf = ({ body }: RawAnswer) => String(body.id)
  const collection = (name: string) => `${resourceServer}/${name}`
  const incoming = collection('incoming-payments')

  const receiver = idOf(await call('POST', incoming, { walletAddress: alice, incomingAmount: usd('100') }))
  await call('GET', receiver)
  answers.push(await send(httpOf(receiver)))
  await call('GET', `${incoming}${listQuery()}`)
  const quote = await call('POST', collection('quotes'), { walletAddress: alice, receiver, method: 'ilp' })
  await call('GET', idOf(quote))
  const outgoing = { walletAddress: alice, quoteId: idOf(quote) }
  const payment = await call('POST', collection('outgoing-payments'), outgoing)
  await call('GET', idOf(payment))
  await call('GET', `${collection('outgoing-payments')}${listQuery()}`)
  answers.push(await call('GET', collection('outgoing-payment-grant')))
  await call('POST', `${idOf(await call('POST', incoming, { walletAddress: alice }))}/complete`)
  answers.push(await send(httpOf(alice)), await send(`${httpOf(alice)}/jwks.json`))
  return answers
}

/** Paths of members that are null. */
const nullsIn = (value: unknown, path = ''): string[] =>
  value === null
    ? [path]
    : typeof value === 'object'
      ? Object.entries(value as object).flatMap(([key, member]) => nullsIn(member, `${path}.${key}`))
      : []

test('every operation answers with success as the specification has it, and never with null', async () => {
  const answers = await callEverything()
  assert.deepEqual(
    answers.flatMap(({ body }) => nullsIn(body)),
    [],
  )
  const expected = [
    ...routes.map(({ operation: { method, path } }) => `${method} ${path}`),
    'GET /',
    'GET /jwks.json',
  ]
  assert.deepEqual([...succeeded()].sort(), expected.sort())
})

test('the client repeats a signed request with the word undefined for a signature: refused like any other', async () => {
  const token = node.grant(app, everything())
  const { body } = await sendSigned(app, token, {
    method: 'POST',
    url: `${httpOf(resourceServer)}/incoming-payments`,
    body: { walletAddress: alice },
  })
  const repeated = {
    accept: 'application/json',
    'content-type': 'application/json',
    authorization: `GNAP ${token}`,
    signature: 'undefined',
    'signature-input': 'undefined',
  }
  for (const url of [
    httpOf(String(body.id)),
    `${httpOf(resourceServer)}/incoming-payments${listQuery()}`,
    `${httpOf(resourceServer)}/outgoing-payment-grant`,
  ]) {
    const answer = await send(url, { headers: repeated })
    assert.equal(answer.status, 401, url)
    assert.match(answer.body.error?.description ?? '', /^Signature validation error: /)
    assert.equal(answer.headers.get('www-authenticate'), null, 'another token would not help')
  }
  const { authorization: _none, ...unsigned } = repeated
  assert.equal(
    (await send(httpOf(String(body.id)), { headers: unsigned })).status,
    200,
    'nothing was to prove',
  )
})

test('base URLs that end with a slash give no URL with two', async () => {
  const slashed = await startTestNode(database.connectionString, {
    OPEN_PAYMENTS_URL: 'https://op.example/base/',
    AUTH_SERVER_GRANT_URL: 'https://auth.example/gnap/',
  })
  try {
    const { tenantId, publicUrl, url } = slashed
    await setTenantSettings(slashed.node, tenantId, [{ key: 'WALLET_ADDRESS_URL', value: publicUrl }])
    const shop = await slashed.createClient('/shop')
    const document = await send(`${url}/shop`)
    assert.equal(document.body.resourceServer, `https://op.example/base/${tenantId}`)
    assert.equal(document.body.authServer, `https://auth.example/gnap/${tenantId}`)
    const token = slashed.grant(shop, [{ type: 'incoming-payment', actions: ['create'] }])
    const created = await sendSigned(shop, token, {
      method: 'POST',
      url: `${url}/${tenantId}/incoming-payments`,
      body: { walletAddress: shop.walletAddress },
    })
    const id = String(created.body.id)
    assert.ok(id.startsWith(`https://op.example/base/${tenantId}/incoming-payments/`), id)
    const shown = await send(`${url}/${tenantId}/incoming-payments/${id.slice(-36)}`)
    assert.equal(shown.body.authServer, `https://auth.example/gnap/${tenantId}`)
  } finally {
    await slashed.close()
  }
})

test('a payment without a way to pay it has an empty list of methods', async () => {
  const { id: tenantId } = await createTenant(node.node, {
    apiSecret: 'secret of the stranded',
    settings: [{ key: 'WALLET_ADDRESS_URL', value: `${node.publicUrl}/stranded` }],
  })
  await node.node.db.execute(
    sql`delete from tenant_settings where tenant_id = ${tenantId} and key = 'ILP_ADDRESS'`,
  )
  const { id: assetId } = await createAsset(node.node, { tenantId, code: 'USD', scale: 2 })
  const { address } = await node.createWallet('/stranded/eve', { tenantId, assetId })
  const accessToken = node.grant(app, everything(), { tenant: tenantId })
  const url = `${node.publicUrl}/${tenantId}`
  const payment = await client.incomingPayment.create({ url, accessToken }, { walletAddress: address })
  assert.deepEqual(payment.methods, [])
})

test('clients without a key, and with http URLs, read what is public', async () => {
  const accessToken = node.grant(app, everything())
  const { id } = await client.incomingPayment.create(
    { url: resourceServer, accessToken },
    { walletAddress: alice, metadata: { note: 'private' } },
  )
  const reader = await createUnauthenticatedClient({ useHttp: false, logLevel: 'silent' })
  const shown = await reader.incomingPayment.get({ url: httpOf(id) })
  assert.deepEqual(Object.keys(shown).sort(), ['authServer', 'receivedAmount'])
  const wallet = await reader.walletAddress.get({ url: httpOf(alice) })
  // However it was read, the address is the one that grants name.
  assert.equal(wallet.id, alice)
  assert.ok(!wallet.resourceServer.endsWith('/') && !wallet.authServer.endsWith('/'))
})

test('the client finds status, code and words of every error', async () => {
  const accessToken = node.grant(app, everything())
  const reader = node.grant(app, [{ type: 'incoming-payment', actions: ['read'] }])
  const unknown = `${resourceServer}/quotes/0190c0de-0000-7000-8000-000000000001`
  const create = (token: string, walletAddress: string, incomingAmount = usd('1')) =>
    client.incomingPayment.create(
      { url: resourceServer, accessToken: token },
      { walletAddress, incomingAmount },
    )
  const cases: [() => Promise<unknown>, number, RegExp][] = [
    [() => client.quote.get({ url: unknown, accessToken }), 401, /^Unauthorized$/],
    [() => create('unknown', alice), 403, /^Inactive Token$/],
    [() => create(reader, alice), 403, /^Insufficient Grant$/],
    [() => create(accessToken, `${node.publicUrl}/nobody`), 400, /^Could not get wallet address$/],
    [() => create(accessToken, alice, { ...usd('1'), assetCode: 'EUR' }), 400, /incomingAmount/],
    [
      () => client.walletAddress.get({ url: `${node.publicUrl}/nobody` }),
      404,
      /^Could not get wallet address$/,
    ],
  ]
  for (const [sent, status, description] of cases) {
    const error: unknown = await sent().then(
      () => undefined,
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof OpenPaymentsClientError)
    assert.equal(error.status, status)
    assert.equal(error.code, String(status))
    assert.match(error.description, description)
  }
})
