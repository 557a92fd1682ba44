import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createUnauthenticatedClient } from '@interledger/open-payments'
import { updateWalletAddress } from '../../shared/incoming-payments/index.ts'
import { sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { send, startTestNode, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString, {
    CARD_SERVICE_URL: 'https://card.example',
    WALLET_ADDRESS_REDIRECT_HTML_PAGE: 'https://people.example/?of=%ewp',
  })
})
after(async () => {
  await node.close()
  await database.drop()
})
const events = () =>
  node.node.db.many(
    (row) => row.data as { walletAddressUrl: string },
    sql`select data from webhook_events where type = 'wallet_address.not_found' order by created_at`,
  )

test('the official client reads a wallet address and its keys', async () => {
  const client = await createUnauthenticatedClient({ useHttp: true, logLevel: 'silent' })
  await node.createWallet('/alice', {
    publicName: 'Alice',
    additionalProperties: [
      { key: 'shown', value: 'yes', visibleInOpenPayments: true },
      { key: 'hidden', value: 'no', visibleInOpenPayments: false },
    ],
  })
  assert.deepEqual(await client.walletAddress.get({ url: `${node.publicUrl}/alice` }), {
    id: `${node.publicUrl}/alice`,
    publicName: 'Alice',
    assetCode: 'USD',
    assetScale: 2,
    authServer: `https://auth.example/${node.tenantId}`,
    resourceServer: `${node.publicUrl}/${node.tenantId}`,
    cardService: 'https://card.example/',
    additionalProperties: { shown: 'yes' },
  })
  assert.deepEqual(await client.walletAddress.getKeys({ url: `${node.publicUrl}/alice` }), { keys: [] })

  const signer = await node.createClient('/signer')
  const { keys } = await client.walletAddress.getKeys({ url: signer.walletAddress })
  assert.deepEqual(keys, [{ kid: signer.keyId, x: keys[0]?.x, alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519' }])
  assert.match(keys[0]?.x ?? '', /^[\w-]{43}$/)
})

test('what is not there is left out, never null', async () => {
  await node.createWallet('/plain')
  const { body, headers } = await send(`${node.url}/plain`)
  assert.deepEqual(Object.keys(body).sort(), [
    'assetCode',
    'assetScale',
    'authServer',
    'cardService',
    'id',
    'resourceServer',
  ])
  assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  assert.equal(headers.get('access-control-allow-origin'), '*')
})

test('an address answers however it is written, and to HEAD', async () => {
  await node.createWallet('/shop/till-1')
  for (const path of ['/shop/till-1', '/Shop/Till-1/', '/shop/till-1?from=poster', '/sho%70/till-1'])
    assert.equal((await send(`${node.url}${path}`)).body.id, `${node.publicUrl}/shop/till-1`, path)
  assert.equal((await send(`${node.url}/shop/till-1`, { method: 'HEAD' })).status, 200)
  const forwarded = await send(`${node.url}/shop/till-1`, {
    headers: { 'x-forwarded-host': 'other.example' },
  })
  assert.equal(forwarded.status, 200, 'without TRUST_PROXY nobody else says which host was meant')
  // The address counts, not only the path.
  const elsewhere = await send(node.url.replace('localhost', '127.0.0.1').concat('/shop/till-1'))
  assert.equal(elsewhere.status, 404)
})

test('unknown and inactive addresses are not there', async () => {
  const closed = await node.createWallet('/closed')
  await updateWalletAddress(node.node, { tenantId: node.tenantId }, { id: closed.id, status: 'INACTIVE' })
  for (const path of ['/closed', '/nobody', '/closed/did.json', '/a%3Fb']) {
    const { status, body } = await send(`${node.url}${path}`)
    assert.equal(status, 404, path)
    assert.equal(body.error?.code, '404')
    assert.equal(body.error?.description, 'Could not get wallet address')
    assert.ok(String(body.error?.details?.walletAddressUrl).startsWith(node.publicUrl))
  }
  assert.equal((await send(`${node.url}/closed/jwks.json`)).status, 200)
  assert.deepEqual(await events(), [], 'opening an unknown address tells nobody by default')
})

test('of the own address only the keys are served', async () => {
  const own = `${node.url}/.well-known/pay`
  assert.equal((await send(own)).status, 404)
  const { body } = await send(`${own}/jwks.json`)
  assert.deepEqual(body, { keys: [node.node.instanceKeys.current().jwk] })
})

test('asking for the keys of an unknown address gives the wallet time to create it', async () => {
  const asked = send(`${node.url}/late/jwks.json`)
  while (!(await events()).some(({ walletAddressUrl }) => walletAddressUrl === `${node.publicUrl}/late`))
    await new Promise((resolve) => setTimeout(resolve, 2))
  await node.createWallet('/late')
  const { status, body } = await asked
  assert.equal(status, 200)
  assert.deepEqual(body, { keys: [] })

  assert.equal((await send(`${node.url}/never/jwks.json`)).status, 404)
  const told = await events()
  // No wallet of ours could create an address on another host.
  const foreign = await send(`${node.url.replace('localhost', '127.0.0.1')}/never/jwks.json`)
  assert.equal(foreign.status, 404)
  assert.deepEqual(await events(), told)
})

test('one source cannot make wallets wait for ever', async () => {
  const answers: number[] = []
  const refused = () => answers.filter((status) => status === 429).length
  // On a slow machine the limit gives back meanwhile what the first ones used up.
  for (let round = 0; round < 5 && refused() <= 10; round++)
    answers.push(
      ...(await Promise.all(
        Array.from({ length: 600 }, () => send(`${node.url}/flood/jwks.json`).then(({ status }) => status)),
      )),
    )
  const limited = refused()
  assert.ok(limited > 10, `${limited} were refused`)
  assert.ok(answers.every((status) => status === 429 || status === 404))
  // One for each wait that callers shared: a fast machine has a single one, a slow one fits several into the flood.
  const asked = (await events()).filter(({ walletAddressUrl }) => walletAddressUrl.endsWith('/flood')).length
  assert.ok(asked >= 1 && asked <= answers.length / 15, `${answers.length} callers made ${asked} events`)
})

test('a browser is sent to the page for people, whether or not the address exists', async () => {
  for (const path of ['/alice', '/nobody-at-all']) {
    const { status, headers, text } = await send(`${node.url}${path}`, {
      headers: { accept: 'text/html,application/json' },
    })
    const address = encodeURIComponent(`${node.publicUrl}${path}`.replace('https://', ''))
    assert.deepEqual([status, text], [302, 'Found'])
    assert.equal(headers.get('location'), `https://people.example/?of=${address}`)
  }
  const payer = await send(`${node.url}/alice`, {
    headers: { accept: 'application/spsp4+json, text/html' },
  })
  assert.equal(payer.status, 302, 'who takes a page is a browser, whatever else it takes')
  const keys = await send(`${node.url}/alice/jwks.json`, { headers: { accept: 'text/html, */*' } })
  assert.equal(keys.status, 200)
})

test('only JSON is served, and other paths and methods do not exist', async () => {
  const refused = await send(`${node.url}/alice`, { headers: { accept: 'image/png' } })
  assert.equal(refused.status, 406)
  assert.equal(
    refused.body.error?.description,
    'Received error validating OpenAPI request: Must accept application/json',
  )
  for (const [method, path] of [
    ['GET', '/'],
    ['POST', '/alice'],
    ['DELETE', '/alice'],
    ['PUT', '/incoming-payments'],
    ['OPTIONS', '/alice'],
  ] as const) {
    const { status, text, headers } = await send(`${node.url}${path}`, { method })
    assert.equal(status, 404, `${method} ${path}`)
    assert.equal(text, 'Not Found')
    assert.match(headers.get('content-type') ?? '', /^text\/plain/)
  }
})

test('any origin may call', async () => {
  const { status, headers } = await send(`${node.url}/${node.tenantId}/incoming-payments`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://shop.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,signature',
    },
  })
  assert.equal(status, 204)
  assert.equal(headers.get('access-control-allow-origin'), '*')
  assert.equal(headers.get('access-control-allow-methods'), 'GET,HEAD,PUT,POST,DELETE,PATCH')
  assert.equal(headers.get('access-control-allow-headers'), 'authorization,signature')
  for (const name of ['access-control-max-age', 'access-control-allow-credentials'])
    assert.equal(headers.get(name), null)
  const plain = await send(`${node.url}/${node.tenantId}/quotes/1`)
  assert.deepEqual(
    [plain.headers.get('access-control-allow-origin'), plain.headers.get('vary')],
    ['*', 'Origin'],
  )
})

test('health', async () => {
  for (const path of ['/healthz', '/livez', '/readyz'])
    assert.deepEqual(await send(`${node.url}${path}`).then(({ status, text }) => [status, text]), [200, 'OK'])
})
