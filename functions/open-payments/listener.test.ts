import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import {
  createWalletAddressKey,
  listWalletAddressKeys,
  revokeWalletAddressKey,
} from '../../shared/wallet-addresses/index.ts'
import { send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
let shop: TestClient
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString, {
    WALLET_ADDRESS_NOT_FOUND_POLLING_ENABLED: 'true',
  })
  shop = await node.createClient('/shop')
})
after(async () => {
  await node.close()
  await database.drop()
})

const asked = (of: TestNode, url: string) =>
  of.node.db.many(
    (row) => String(row.id),
    sql`select id from webhook_events where type = 'wallet_address.not_found' and data ->> 'walletAddressUrl' = ${url}`,
  )
const payment = async (path: string) =>
  (
    await createIncomingPayment(node.node, {
      tenantId: node.tenantId,
      walletAddress: await node.createWallet(path),
      initiatedBy: 'ADMIN',
    })
  ).id

test('every answer may be read by any origin, whatever it is', async () => {
  const id = await payment('/cors')
  for (const [method, path, status] of [
    ['GET', `/${node.tenantId}/incoming-payments/${id}`, 200],
    ['GET', '/cors', 200],
    ['GET', '/nobody', 404],
    ['GET', '/', 404],
    ['POST', '/cors', 404],
    ['GET', '/healthz', 200],
    ['GET', '/docs', 200],
    ['POST', `/${node.tenantId}/quotes`, 400],
    ['POST', '/no-tenant/quotes', 404],
    ['GET', '/%zz', 400],
  ] as const)
    for (const headers of [{}, { origin: 'https://shop.example' }]) {
      const answer = await send(`${node.url}${path}`, { method, headers })
      assert.equal(answer.status, status, `${method} ${path}`)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*', `${method} ${path}`)
      assert.equal(answer.headers.get('vary'), 'Origin', `${method} ${path}`)
      assert.equal(answer.headers.get('access-control-expose-headers'), null)
    }
})

test('OPTIONS is a preflight only with an origin and a method', async () => {
  const url = `${node.url}/${node.tenantId}/quotes`
  const origin = 'https://shop.example'
  const preflight = { origin, 'access-control-request-method': 'POST' }
  assert.equal((await send(url, { method: 'OPTIONS', headers: preflight })).status, 204)
  for (const headers of [{}, { origin }, { 'access-control-request-method': 'POST' }]) {
    const { status, text } = await send(url, { method: 'OPTIONS', headers })
    assert.deepEqual([status, text], [404, 'Not Found'])
  }
})

test('HEAD works wherever GET does, and paths are found however they are written', async () => {
  const id = await payment('/forms')
  const base = `${node.url}/${node.tenantId}`
  const head = await send(`${base}/incoming-payments/${id}`, { method: 'HEAD' })
  assert.deepEqual([head.status, head.text], [200, ''])
  for (const path of [
    `/INCOMING-PAYMENTS/${id.toUpperCase()}`,
    `/incoming-payments/${id}/`,
    `/incoming-payments/%${id.charCodeAt(0).toString(16)}${id.slice(1)}`,
  ]) {
    const tenanted = await send(`${node.url}/${node.tenantId.toUpperCase()}${path}`)
    assert.ok(tenanted.body.receivedAmount, path)
    assert.ok((await send(`${node.url}${path}`)).body.receivedAmount, path)
  }
  const get = await send(`${node.url}/incoming-payments/${id}/complete`)
  assert.equal(get.status, 404, 'a method that the path does not have')
})

test('keys that were revoked are not shown', async () => {
  const { keyId } = shop
  const wallet = await node.createWallet('/keys')
  const kids = async () =>
    ((await send(`${node.url}/keys/jwks.json`)).body.keys as { kid: string }[]).map(({ kid }) => kid)
  const [shopKey] = (await send(`${node.url}/shop/jwks.json`)).body.keys as { kid: string }[]
  assert.equal(shopKey?.kid, keyId)
  const scope = { tenantId: node.tenantId }
  await createWalletAddressKey(node.node, scope, {
    walletAddressId: wallet.id,
    jwk: { ...shopKey, kid: 'a' },
  })
  await createWalletAddressKey(node.node, scope, {
    walletAddressId: wallet.id,
    jwk: { ...shopKey, kid: 'b' },
  })
  assert.deepEqual((await kids()).sort(), ['a', 'b'])
  const first = (await listWalletAddressKeys(node.node, wallet.id)).find(({ jwk }) => jwk.kid === 'a')
  await revokeWalletAddressKey(node.node, scope, first?.id ?? '')
  assert.deepEqual(await kids(), ['b'])
})

test('with polling, opening an unknown address gives the wallet time to create it, for SPSP too', async () => {
  for (const accept of ['application/json', 'application/spsp4+json']) {
    const path = `/wanted-as-${accept.slice(-9).replace('/', '-')}`
    const url = `${node.publicUrl}${path}`
    const opened = send(`${node.url}${path}`, { headers: { accept } })
    await waitFor(async () => (await asked(node, url)).length === 1)
    await node.createWallet(path)
    assert.equal((await opened).status, 200, accept)
  }
  const never = await send(`${node.url}/never-there`)
  assert.equal(never.status, 404)
  assert.equal((await asked(node, `${node.publicUrl}/never-there`)).length, 1)
})

test('a request for an unknown wallet address waits for it too, whether or not polling is on', async () => {
  const plain = await startTestNode(database.connectionString, { WALLET_ADDRESS_LOOKUP_TIMEOUT_MS: '5000' })
  try {
    const client = await plain.createClient('/client')
    const token = plain.grant(client, [{ type: 'incoming-payment', actions: ['create', 'list'] }])
    const collection = `${plain.url}/${plain.tenantId}/incoming-payments`
    const walletAddress = `${plain.publicUrl}/newcomer`
    const posted = sendSigned(client, token, { method: 'POST', url: collection, body: { walletAddress } })
    await waitFor(async () => (await asked(plain, walletAddress)).length === 1)
    await plain.createWallet('/newcomer')
    assert.equal((await posted).status, 201)

    const missing = `${plain.publicUrl}/missing`
    const listed = await sendSigned(client, token, {
      method: 'GET',
      url: `${collection}?wallet-address=${encodeURIComponent(missing)}`,
    })
    assert.deepEqual([listed.status, listed.body.error?.description], [400, 'Could not get wallet address'])
    assert.equal((await asked(plain, missing)).length, 1)
  } finally {
    await plain.close()
  }
})

test('a node that is known by another address leaves /.well-known/pay to a wallet', async () => {
  const other = await startTestNode(database.connectionString, {
    WALLET_ADDRESS_URL: 'https://node.example/identity',
  })
  try {
    await other.createWallet('/.well-known/pay')
    const { body } = await send(`${other.url}/.well-known/pay`)
    assert.equal(body.id, `${other.publicUrl}/.well-known/pay`)
    assert.deepEqual((await send(`${other.url}/.well-known/pay/jwks.json`)).body, { keys: [] })
  } finally {
    await other.close()
  }
})

test('what needs no token needs a token that is good once there is one', async () => {
  const id = await payment('/public')
  const url = `${node.url}/${node.tenantId}/incoming-payments/${id}`
  const { status, body } = await send(url)
  assert.equal(status, 200)
  assert.deepEqual(Object.keys(body).sort(), ['authServer', 'receivedAmount'])
  // Even an empty header is one.
  for (const authorization of ['', 'GNAP', 'GNAP unknown'])
    assert.ok([401, 403].includes((await send(url, { headers: { authorization } })).status), authorization)
})
