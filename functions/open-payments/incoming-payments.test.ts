import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AuthenticatedClient, createAuthenticatedClient } from '@interledger/open-payments'
import { jwkOf } from '../../shared/http-signatures/index.ts'
import {
  approveIncomingPayment,
  createIncomingPayment,
  listIncomingPayments,
  updateWalletAddress,
} from '../../shared/incoming-payments/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import type { WalletAddress } from '../../shared/wallet-addresses/index.ts'
import { send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
let shop: TestClient
let client: AuthenticatedClient
let payee: WalletAddress
let resourceServer: string
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
  shop = await node.createClient('/shop')
  payee = await node.createWallet('/payee', { publicName: 'Payee' })
  resourceServer = `${node.publicUrl}/${node.tenantId}`
  client = await openPaymentsClient(shop)
})
after(async () => {
  await node.close()
  await database.drop()
})

/** The official client, which holds every answer against the specification. */
const openPaymentsClient = (who: TestClient) =>
  createAuthenticatedClient({
    walletAddressUrl: who.walletAddress,
    privateKey: who.privateKey,
    keyId: who.keyId,
    useHttp: true,
    logLevel: 'silent',
  })

const access = (...actions: string[]) => [{ type: 'incoming-payment', actions }]
const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
const hour = () => new Date(Date.now() + 3_600_000).toISOString()
const httpOf = (id: string) => id.replace('https:', 'http:')

test('the official client creates, reads, lists and completes a payment', async () => {
  const accessToken = node.grant(shop, access('create', 'read', 'list', 'complete'))
  const expiresAt = hour()
  const created = await client.incomingPayment.create(
    { url: resourceServer, accessToken },
    {
      walletAddress: payee.address,
      incomingAmount: usd('2500'),
      expiresAt,
      metadata: { externalRef: 'INV-1' },
    },
  )
  const { id, methods, createdAt, ...rest } = created
  assert.match(id, new RegExp(`^${resourceServer}/incoming-payments/[0-9a-f-]{36}$`))
  assert.deepEqual(rest, {
    walletAddress: payee.address,
    incomingAmount: usd('2500'),
    receivedAmount: usd('0'),
    completed: false,
    expiresAt,
    metadata: { externalRef: 'INV-1' },
  })
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
  assert.equal(methods.length, 1)
  assert.match(methods[0]?.ilpAddress ?? '', /^test\.bank\./)

  const read = await client.incomingPayment.get({ url: id, accessToken })
  assert.ok('methods' in read)
  const { methods: fresh, ...readRest } = read
  assert.deepEqual(readRest, { id, createdAt, ...rest })
  assert.notEqual(fresh[0]?.sharedSecret, methods[0]?.sharedSecret, 'credentials are fresh on each read')

  assert.deepEqual(await client.incomingPayment.getPublic({ url: id }), {
    receivedAmount: usd('0'),
    authServer: `https://auth.example/${node.tenantId}`,
  })

  const list = await client.incomingPayment.list({
    url: resourceServer,
    walletAddress: payee.address,
    accessToken,
  })
  assert.deepEqual(list.result, [{ id, createdAt, ...rest }])

  const completed = await client.incomingPayment.complete({ url: id, accessToken })
  assert.deepEqual(completed, { id, createdAt, ...rest, completed: true })
  const after = await client.incomingPayment.get({ url: id, accessToken })
  assert.ok('methods' in after)
  assert.deepEqual([after.completed, after.methods], [true, []])
  await assert.rejects(client.incomingPayment.complete({ url: id, accessToken }), { status: 409 })
})

test('a payment without amount, expiry or metadata leaves them out or takes the default', async () => {
  const accessToken = node.grant(shop, access('create'))
  const { body, status } = await sendSigned(shop, accessToken, {
    method: 'POST',
    url: `${httpOf(resourceServer)}/incoming-payments`,
    body: { walletAddress: payee.address },
  })
  assert.equal(status, 201)
  assert.deepEqual(Object.keys(body).sort(), [
    'completed',
    'createdAt',
    'expiresAt',
    'id',
    'methods',
    'receivedAmount',
    'walletAddress',
  ])
  const life = Date.parse(String(body.expiresAt)) - Date.parse(String(body.createdAt))
  assert.equal(life, 30 * 24 * 3_600_000)
})

test('what the wallet address cannot take is refused', async () => {
  const token = node.grant(shop, access('create'))
  const url = `${httpOf(resourceServer)}/incoming-payments`
  const cases: Record<string, unknown>[] = [
    { incomingAmount: { value: '5', assetCode: 'EUR', assetScale: 2 } },
    { incomingAmount: { value: '5', assetCode: 'USD', assetScale: 3 } },
    { incomingAmount: usd('0') },
    { expiresAt: '2020-01-01T00:00:00Z' },
    { expiresAt: '2999-01-01T00:00:00Z' },
    { expiresAt: '2026-02-30T00:00:00Z' },
  ]
  for (const more of cases) {
    const { status, body } = await sendSigned(shop, token, {
      method: 'POST',
      url,
      body: { walletAddress: payee.address, ...more },
    })
    assert.equal(status, 400, JSON.stringify(more))
    assert.equal(body.error?.code, '400')
  }
  const most = await sendSigned(shop, token, {
    method: 'POST',
    url,
    body: { walletAddress: payee.address, incomingAmount: usd('18446744073709551615') },
  })
  assert.deepEqual(most.body.incomingAmount, usd('18446744073709551615'))
})

test('one client sees nothing of another, whichever way it is known, unless it may see all', async () => {
  const other = await node.createClient('/other')
  const keyOnly = { ...(await node.createClient('/key-only')), keyId: 'anonymous' }
  const otherKey = { ...(await node.createClient('/other-key')), keyId: 'anonymous' }
  const wallet = await node.createWallet('/shared')
  const collection = `${httpOf(resourceServer)}/incoming-payments`
  const actions = access('create', 'read', 'list', 'complete')
  const byKey = (who: TestClient) =>
    node.grant(who, actions, { client: { jwk: { ...jwkOf(who.privateKey, who.keyId) } } })
  const people = { other, keyOnly, otherKey, shop }
  const tokens = {
    other: node.grant(other, actions),
    keyOnly: byKey(keyOnly),
    otherKey: byKey(otherKey),
    shop: node.grant(shop, actions),
  }
  const names = ['other', 'keyOnly', 'otherKey', 'shop'] as const
  const ids = {} as Record<(typeof names)[number], string>
  for (const name of names) {
    const { body, status } = await sendSigned(people[name], tokens[name], {
      method: 'POST',
      url: collection,
      body: { walletAddress: wallet.address },
    })
    assert.equal(status, 201, name)
    ids[name] = String(body.id)
  }
  for (const me of names) {
    const get = (url: string) => sendSigned(people[me], tokens[me], { method: 'GET', url })
    const list = await get(`${collection}?wallet-address=${encodeURIComponent(wallet.address)}`)
    assert.deepEqual(
      (list.body.result as { id: string }[]).map(({ id }) => id),
      [ids[me]],
      me,
    )
    for (const owner of names) {
      const { status, body } = await get(httpOf(ids[owner]))
      assert.equal(status, me === owner ? 200 : 404, `${me} reads ${owner}'s`)
      if (me === owner) continue
      assert.deepEqual(body, { error: { code: '404', description: 'Incoming payment does not exist' } })
      const complete = await sendSigned(people[me], tokens[me], {
        method: 'POST',
        url: `${httpOf(ids[owner])}/complete`,
      })
      assert.equal(complete.status, 404, `${me} completes ${owner}'s`)
    }
  }
  const all = node.grant(other, access('read-all', 'list-all'))
  const list = await sendSigned(other, all, {
    method: 'GET',
    url: `${collection}?wallet-address=${encodeURIComponent(wallet.address)}`,
  })
  assert.equal((list.body.result as unknown[]).length, names.length)
  assert.equal((await sendSigned(other, all, { method: 'GET', url: httpOf(ids.shop) })).status, 200)
})

test('the key of a client without wallet address must be the one that it was granted to', async () => {
  const stranger = { ...(await node.createClient('/stranger')), keyId: 'shared-name' }
  const known = { ...(await node.createClient('/known')), keyId: 'shared-name' }
  const jwk = { ...jwkOf(known.privateKey, known.keyId) }
  const token = node.grant(known, access('create'), { client: { jwk } })
  const request = {
    method: 'POST',
    url: `${httpOf(resourceServer)}/incoming-payments`,
    body: { walletAddress: payee.address },
  } as const
  assert.equal((await sendSigned(known, token, request)).status, 201)
  const forged = await sendSigned(stranger, token, request)
  assert.equal(forged.body.error?.details?.reason, 'signature_invalid')
  const renamed = await sendSigned({ ...known, keyId: 'other' }, token, request)
  assert.deepEqual(
    [renamed.status, renamed.body.error?.description],
    [401, 'Signature validation error: invalid key id'],
  )
})

test('pages join into the whole list, forwards and backwards', async () => {
  const wallet = await node.createWallet('/busy')
  const ids: string[] = []
  for (let number = 0; number < 7; number++) {
    const { id } = await createIncomingPayment(node.node, {
      tenantId: node.tenantId,
      walletAddress: wallet,
      client: shop.walletAddress,
      initiatedBy: 'OPEN_PAYMENTS',
    })
    ids.unshift(id)
  }
  const accessToken = node.grant(shop, access('list'))
  const query = { url: resourceServer, walletAddress: wallet.address, accessToken }
  const idsOf = (page: { result: { id?: string }[] }) => page.result.map(({ id }) => String(id).slice(-36))

  const seen: string[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 4; pages++) {
    const page = await client.incomingPayment.list(query, {
      'wallet-address': wallet.address,
      first: 3,
      ...(cursor && { cursor }),
    })
    seen.push(...idsOf(page))
    assert.equal(page.pagination.hasPreviousPage, pages > 0)
    cursor = page.pagination.endCursor
    if (!page.pagination.hasNextPage) break
  }
  assert.deepEqual(seen, ids)

  const back = await client.incomingPayment.list(query, {
    'wallet-address': wallet.address,
    last: 2,
    cursor: ids[4] as string,
  })
  assert.deepEqual(idsOf(back), ids.slice(2, 4))
  assert.deepEqual([back.pagination.hasPreviousPage, back.pagination.hasNextPage], [true, true])

  const list = (more: string) =>
    sendSigned(shop, accessToken, {
      method: 'GET',
      url: `${httpOf(resourceServer)}/incoming-payments?wallet-address=${encodeURIComponent(wallet.address)}${more}`,
    })
  for (const unknown of ['no-id', '0190c0de-0000-7000-8000-000000000001'])
    assert.deepEqual((await list(`&cursor=${unknown}`)).body, {
      pagination: { hasNextPage: false, hasPreviousPage: false },
      result: [],
    })
  const both = await list(`&first=1&last=1&cursor=${ids[0]}`)
  assert.equal(both.body.error?.description, 'first and last are mutually exclusive')
  const lastAlone = await list('&last=1')
  assert.equal(lastAlone.body.error?.description, 'last requires cursor')
  assert.deepEqual(lastAlone.body.error?.details, {
    queryParams: { last: 1, 'wallet-address': wallet.address },
  })
})

test('paths without a tenant stand for the operator, and ids always name the tenant', async () => {
  const accessToken = node.grant(shop, access('create', 'read'))
  const { body, status } = await sendSigned(shop, accessToken, {
    method: 'POST',
    url: `${node.url}/incoming-payments`,
    body: { walletAddress: payee.address },
  })
  assert.equal(status, 201)
  const id = String(body.id)
  assert.ok(id.startsWith(`${resourceServer}/incoming-payments/`))
  const bare = `${node.url}/incoming-payments/${id.slice(-36).toUpperCase()}/`
  assert.equal((await send(bare)).status, 200)
  assert.equal((await sendSigned(shop, accessToken, { method: 'GET', url: bare })).body.id, id)
})

test('an inactive wallet address takes no requests for its payments either', async () => {
  const wallet = await node.createWallet('/leaving')
  const accessToken = node.grant(shop, access('create', 'read'))
  const created = await sendSigned(shop, accessToken, {
    method: 'POST',
    url: `${httpOf(resourceServer)}/incoming-payments`,
    body: { walletAddress: wallet.address },
  })
  await updateWalletAddress(node.node, { tenantId: node.tenantId }, { id: wallet.id, status: 'INACTIVE' })
  const url = httpOf(String(created.body.id))
  for (const answer of [await send(url), await sendSigned(shop, accessToken, { method: 'GET', url })]) {
    assert.equal(answer.status, 400)
    assert.equal(answer.body.error?.description, 'Could not get wallet address')
  }
})

test('a signed read asks the authorization server once and fetches keys once', async () => {
  const accessToken = node.grant(shop, access('create', 'read'))
  const { body } = await sendSigned(shop, accessToken, {
    method: 'POST',
    url: `${httpOf(resourceServer)}/incoming-payments`,
    body: { walletAddress: payee.address },
  })
  const before = node.introspected.length
  const url = httpOf(String(body.id))
  for (let number = 0; number < 5; number++)
    assert.equal((await sendSigned(shop, accessToken, { method: 'GET', url })).status, 200)
  assert.equal(node.introspected.length - before, 5)
})

test('a wallet that wants to approve payments is asked before the client hears of them', async () => {
  const careful = await startTestNode(database.connectionString, {
    POLL_INCOMING_PAYMENT_CREATED_WEBHOOK: 'true',
    INCOMING_PAYMENT_CREATED_POLL_TIMEOUT_MS: '1000',
    INCOMING_PAYMENT_CREATED_POLL_FREQUENCY_MS: '5',
  })
  try {
    const buyer = await careful.createClient('/buyer')
    const { address } = await careful.createWallet('/seller')
    const token = careful.grant(buyer, access('create'))
    const create = () =>
      sendSigned(buyer, token, {
        method: 'POST',
        url: `${careful.url}/${careful.tenantId}/incoming-payments`,
        body: { walletAddress: address },
      })
    const silent = await create()
    assert.deepEqual(
      [silent.status, silent.body.error?.description],
      [403, 'the incoming payment was not approved in time'],
    )
    const tenant = { tenantId: careful.tenantId }
    const newest = async () =>
      (await listIncomingPayments(careful.node, tenant, {}, { first: 1 })).items[0]?.id
    const refused = await newest()
    const asked = create()
    const created = await waitFor(async () => {
      const id = await newest()
      return id !== refused && id
    })
    await approveIncomingPayment(careful.node, tenant, created)
    assert.equal((await asked).status, 201)
  } finally {
    await careful.close()
  }
})
