import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AuthenticatedClient, createAuthenticatedClient } from '@interledger/open-payments'
import { createAsset } from '../../shared/assets/index.ts'
import { completeIncomingPayment, createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { cancelOutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import { uuidv7 } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import type { WalletAddress } from '../../shared/wallet-addresses/index.ts'
import { sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
let app: TestClient
let client: AuthenticatedClient
let payer: WalletAddress
let payee: WalletAddress
let resourceServer: string
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
  app = await node.createClient('/app')
  payer = await node.createWallet('/payer')
  payee = await node.createWallet('/payee')
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

const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
const httpOf = (id: string) => id.replace('https:', 'http:')
const quoteAccess = (...actions: string[]) => [{ type: 'quote', actions }]
const outgoingAccess = (...actions: string[]) => [
  { type: 'outgoing-payment', actions, identifier: payer.address },
]

/** An incoming payment of this node, and its URL. */
async function receiver(value?: bigint) {
  const payment = await createIncomingPayment(node.node, {
    tenantId: node.tenantId,
    walletAddress: payee,
    initiatedBy: 'ADMIN',
    ...(value !== undefined && { incomingAmount: { value, assetCode: 'USD', assetScale: 2 } }),
  })
  return { payment, url: `${resourceServer}/incoming-payments/${payment.id}` }
}

const post = (path: string, token: string, body: unknown, who = app) =>
  sendSigned(who, token, { method: 'POST', url: `${httpOf(resourceServer)}${path}`, body })

test('the official client quotes and pays', async () => {
  const { url } = await receiver(500n)
  const quoteToken = node.grant(app, quoteAccess('create', 'read'))
  const quote = await client.quote.create(
    { url: resourceServer, accessToken: quoteToken },
    { walletAddress: payer.address, receiver: url, method: 'ilp' },
  )
  const { id: quoteId, createdAt, expiresAt, ...terms } = quote
  assert.match(quoteId, new RegExp(`^${resourceServer}/quotes/[0-9a-f-]{36}$`))
  assert.deepEqual(terms, {
    walletAddress: payer.address,
    receiver: url,
    receiveAmount: usd('500'),
    debitAmount: usd('500'),
    method: 'ilp',
  })
  assert.ok(Date.parse(String(expiresAt)) > Date.parse(createdAt))
  assert.deepEqual(await client.quote.get({ url: quoteId, accessToken: quoteToken }), quote)

  const accessToken = node.grant(app, outgoingAccess('create', 'read', 'list'), { grant: uuidv7() })
  const payment = await client.outgoingPayment.create(
    { url: resourceServer, accessToken },
    { walletAddress: payer.address, quoteId, metadata: { note: 'shoes' } },
  )
  const { grantSpentDebitAmount, grantSpentReceiveAmount, ...rest } = payment
  assert.deepEqual([grantSpentDebitAmount, grantSpentReceiveAmount], [usd('0'), usd('0')])
  const { createdAt: _createdAt, ...shown } = rest
  assert.deepEqual(shown, {
    id: quoteId.replace('/quotes/', '/outgoing-payments/'),
    walletAddress: payer.address,
    quoteId,
    receiver: url,
    receiveAmount: usd('500'),
    debitAmount: usd('500'),
    sentAmount: usd('0'),
    failed: false,
    metadata: { note: 'shoes' },
  })
  assert.deepEqual(await client.outgoingPayment.get({ url: rest.id, accessToken }), rest)
  const list = await client.outgoingPayment.list({
    url: resourceServer,
    walletAddress: payer.address,
    accessToken,
  })
  assert.deepEqual(list.result, [rest])

  const again = await post('/outgoing-payments', accessToken, { walletAddress: payer.address, quoteId })
  assert.equal(again.status, 400, 'a quote is spent once')
})

test('a payment can be made of an incoming payment and a debit amount', async () => {
  const { url } = await receiver()
  const accessToken = node.grant(app, outgoingAccess('create', 'read'))
  const payment = await client.outgoingPayment.create(
    { url: resourceServer, accessToken },
    { walletAddress: payer.address, incomingPayment: url, debitAmount: usd('120') },
  )
  assert.deepEqual(payment.debitAmount, usd('120'))
  assert.equal(payment.receiver, url)
})

test('a cancelled payment has failed', async () => {
  const { url } = await receiver()
  const accessToken = node.grant(app, outgoingAccess('create', 'read'))
  const { id } = await client.outgoingPayment.create(
    { url: resourceServer, accessToken },
    { walletAddress: payer.address, incomingPayment: url, debitAmount: usd('5') },
  )
  await cancelOutgoingPayment(node.node, { tenantId: node.tenantId }, { id: id.slice(-36) })
  assert.equal((await client.outgoingPayment.get({ url: id, accessToken })).failed, true)
})

test('quotes and payments are their own client’s, unless it may see all', async () => {
  const { url } = await receiver(70n)
  const other = await node.createClient('/other-app')
  const quote = await client.quote.create(
    { url: resourceServer, accessToken: node.grant(app, quoteAccess('create')) },
    { walletAddress: payer.address, receiver: url, method: 'ilp' },
  )
  const read = (who: TestClient, token: string, id: string) =>
    sendSigned(who, token, { method: 'GET', url: httpOf(id) })
  const hidden = await read(other, node.grant(other, quoteAccess('read')), quote.id)
  assert.deepEqual([hidden.status, hidden.body.error?.description], [404, 'Quote does not exist'])
  assert.equal((await read(other, node.grant(other, quoteAccess('read-all')), quote.id)).status, 200)

  // The quote may be spent by any client that may pay from the wallet address; the payment is then that client's.
  const paid = await post(
    '/outgoing-payments',
    node.grant(other, outgoingAccess('create')),
    { walletAddress: payer.address, quoteId: quote.id },
    other,
  )
  assert.equal(paid.status, 201)
  const id = String(paid.body.id)
  assert.equal((await read(other, node.grant(other, outgoingAccess('read')), id)).status, 200)
  const notMine = await read(app, node.grant(app, outgoingAccess('read')), id)
  assert.deepEqual(
    [notMine.status, notMine.body.error?.description],
    [404, 'Outgoing payment does not exist'],
  )
  assert.equal((await read(app, node.grant(app, outgoingAccess('read-all')), id)).status, 200)
})

test('what cannot be quoted is refused with a reason', async () => {
  const token = node.grant(app, quoteAccess('create'))
  const open = await receiver()
  const asks = await receiver(50n)
  const closed = await receiver(50n)
  await completeIncomingPayment(node.node, { tenantId: node.tenantId }, closed.payment.id)
  const cases: [string, Record<string, unknown>][] = [
    ['no amount at all', { receiver: open.url }],
    ['unknown receiver', { receiver: `${resourceServer}/incoming-payments/${uuidv7()}` }],
    ['completed receiver', { receiver: closed.url }],
    ['nobody there', { receiver: 'https://127.0.0.1:9/incoming-payments/1' }],
    ['private address', { receiver: 'https://10.0.0.1/incoming-payments/1' }],
    ['foreign debit asset', { receiver: open.url, debitAmount: { ...usd('5'), assetCode: 'EUR' } }],
    ['foreign receive asset', { receiver: open.url, receiveAmount: { ...usd('5'), assetScale: 3 } }],
    ['zero debit', { receiver: open.url, debitAmount: usd('0') }],
    ['more than is wanted', { receiver: asks.url, receiveAmount: usd('51') }],
  ]
  for (const [name, more] of cases) {
    const { status, body } = await post('/quotes', token, {
      walletAddress: payer.address,
      method: 'ilp',
      ...more,
    })
    assert.equal(status, 400, `${name}: ${JSON.stringify(body)}`)
    assert.equal(body.error?.code, '400')
    assert.notEqual(body.error?.description, '')
  }
})

test('a debit that would deliver nothing says how much would', async () => {
  const yen = await createAsset(node.node, { tenantId: node.tenantId, code: 'USD', scale: 0 })
  const wallet = await node.createWallet('/whole-dollars', { assetId: yen.id })
  const { id } = await createIncomingPayment(node.node, {
    tenantId: node.tenantId,
    walletAddress: wallet,
    initiatedBy: 'ADMIN',
  })
  const { status, body } = await post('/quotes', node.grant(app, quoteAccess('create')), {
    walletAddress: payer.address,
    receiver: `${resourceServer}/incoming-payments/${id}`,
    method: 'ilp',
    debitAmount: usd('5'),
  })
  assert.equal(status, 400)
  assert.deepEqual(body.error?.details, { minSendAmount: usd('100') })
})

test('a quote of nobody, or of another wallet address, pays nothing', async () => {
  const { url } = await receiver(50n)
  const token = node.grant(app, outgoingAccess('create'))
  for (const quoteId of [
    `${resourceServer}/quotes/${uuidv7()}`,
    `${resourceServer}/quotes/1`,
    'https://bank.example/',
    'urn:quote',
  ]) {
    const { status } = await post('/outgoing-payments', token, { walletAddress: payer.address, quoteId })
    assert.equal(status, 404, quoteId)
  }
  const neighbour = await node.createWallet('/neighbour')
  const theirs = await client.quote.create(
    { url: resourceServer, accessToken: node.grant(app, quoteAccess('create')) },
    { walletAddress: neighbour.address, receiver: url, method: 'ilp' },
  )
  const { status } = await post('/outgoing-payments', token, {
    walletAddress: payer.address,
    quoteId: theirs.id,
  })
  assert.equal(status, 400)
  const asNeighbour = await post('/outgoing-payments', token, {
    walletAddress: neighbour.address,
    quoteId: theirs.id,
  })
  assert.equal(asNeighbour.status, 403, 'the grant is for another wallet address')
})
