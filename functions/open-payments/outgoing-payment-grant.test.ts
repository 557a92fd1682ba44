import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AuthenticatedClient, createAuthenticatedClient } from '@interledger/open-payments'
import { createAsset } from '../../shared/assets/index.ts'
import { createIncomingPayment } from '../../shared/incoming-payments/index.ts'
import { cancelOutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import { sql, uuidv7 } from '../../shared/platform/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import type { WalletAddress } from '../../shared/wallet-addresses/index.ts'
import { send, sendSigned, startTestNode, type TestClient, type TestNode } from './harness.ts'
import type { GrantedAccess } from './introspection.ts'

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
const httpOf = (url: string) => url.replace('https:', 'http:')
const day = 86_400_000
const daysFromNow = (days: number) => new Date(Date.now() + days * day).toISOString()

async function receiver(walletAddress = payee) {
  const { id } = await createIncomingPayment(node.node, {
    tenantId: walletAddress.tenantId,
    walletAddress,
    initiatedBy: 'ADMIN',
  })
  return `${resourceServer}/incoming-payments/${id}`
}
/** A token of a grant of its own. */
const limited = (limits?: unknown, more: Partial<GrantedAccess> = {}) =>
  node.grant(
    app,
    [
      {
        type: 'outgoing-payment',
        actions: ['create', 'read'],
        identifier: payer.address,
        ...(limits !== undefined && { limits: limits as Record<string, unknown> }),
        ...more,
      },
    ],
    { grant: uuidv7() },
  )
const quote = (url: string, value: string) =>
  client.quote.create(
    { url: resourceServer, accessToken: node.grant(app, [{ type: 'quote', actions: ['create'] }]) },
    { walletAddress: payer.address, receiver: url, method: 'ilp', debitAmount: usd(value) },
  )
const pay = (token: string, body: Record<string, unknown>) =>
  sendSigned(app, token, {
    method: 'POST',
    url: `${httpOf(resourceServer)}/outgoing-payments`,
    body: { walletAddress: payer.address, ...body },
  })
const payTo = (token: string, url: string, value: string) =>
  pay(token, { incomingPayment: url, debitAmount: usd(value) })
const spent = (accessToken: string) =>
  client.outgoingPayment.getGrantSpentAmounts({ url: resourceServer, accessToken })
const none = { spentDebitAmount: null, spentReceiveAmount: null }
const unauthorized = { error: { code: '403', description: 'unauthorized' } }
const countPayments = () =>
  node.node.db.one((row) => Number(row.count), sql`select count(*) as count from outgoing_payments`)

test('a debit limit is spent to the last unit and not a unit further; each answer says what was spent before', async () => {
  const url = await receiver()
  const token = limited({ debitAmount: usd('100') })
  assert.deepEqual(await spent(token), none)
  const first = await payTo(token, url, '60')
  assert.equal(first.status, 201, first.text)
  assert.deepEqual(
    [first.body.grantSpentDebitAmount, first.body.grantSpentReceiveAmount],
    [usd('0'), usd('0')],
  )
  const tooMuch = await payTo(token, url, '41')
  assert.deepEqual([tooMuch.status, tooMuch.body], [403, unauthorized])
  const last = await payTo(token, url, '40')
  assert.deepEqual(
    [last.body.grantSpentDebitAmount, last.body.grantSpentReceiveAmount],
    [usd('60'), usd('60')],
  )
  assert.deepEqual(await spent(token), { spentDebitAmount: usd('100'), spentReceiveAmount: usd('100') })
  assert.equal((await payTo(token, url, '1')).status, 403)
  await cancelOutgoingPayment(
    node.node,
    { tenantId: node.tenantId },
    { id: String(first.body.id).slice(-36) },
  )
  assert.deepEqual(await spent(token), { spentDebitAmount: usd('40'), spentReceiveAmount: usd('40') })
  assert.equal((await payTo(token, url, '60')).status, 201)
})

test('a receive limit counts what receivers get', async () => {
  const token = limited({ receiveAmount: usd('10') })
  const url = await receiver()
  const { id: quoteId } = await quote(url, '10')
  assert.equal((await pay(token, { quoteId })).status, 201)
  assert.equal((await payTo(token, url, '1')).status, 403)
})

test('a refused creation does not spend the quote', async () => {
  const url = await receiver()
  const { id: quoteId } = await quote(url, '30')
  const before = await countPayments()
  const token = limited({ debitAmount: usd('30') })
  await payTo(token, url, '10')
  for (const refused of [token, limited({ debitAmount: usd('29') }), limited({ receiver: await receiver() })])
    assert.equal((await pay(refused, { quoteId })).status, 403)
  assert.equal(await countPayments(), before + 1)
  assert.equal((await pay(limited({ debitAmount: usd('30') }), { quoteId })).status, 201)
})

test('limits that do not allow the payment refuse it, by quote and by incoming payment', async () => {
  const url = await receiver()
  const before = await countPayments()
  const refusing: Record<string, unknown> = {
    'another receiver': { receiver: await receiver() },
    'the receiver, written otherwise': { receiver: `${url}?` },
    'another asset': { debitAmount: { ...usd('1000'), assetCode: 'EUR' } },
    'another scale': { debitAmount: { ...usd('1000'), assetScale: 3 } },
    'another asset to receive': { receiveAmount: { ...usd('1000'), assetCode: 'EUR' } },
    'too little': { debitAmount: usd('4') },
    'too little to receive': { receiveAmount: usd('4') },
    'an interval to come': { debitAmount: usd('1000'), interval: `R/${daysFromNow(1)}/P1M` },
    'an interval that is over': { debitAmount: usd('1000'), interval: `R1/${daysFromNow(-2)}/P1D` },
    'an interval that runs backward and is over': { interval: `R/P1M/${daysFromNow(-1)}` },
    // Not read, not unlimited.
    'both amounts': { debitAmount: usd('1000'), receiveAmount: usd('1000') },
    'no interval': { debitAmount: usd('1000'), interval: 'monthly' },
    'an endless interval': { debitAmount: usd('1000'), interval: 'R/2020-01-01T00:00:00Z/PT0S' },
    'an unknown member': { debitamount: usd('1000') },
    'a negative amount': { debitAmount: usd('-1') },
  }
  const { id: quoteId } = await quote(url, '5')
  for (const [name, limits] of Object.entries(refusing)) {
    const token = limited(limits)
    for (const body of [{ quoteId }, { incomingPayment: url, debitAmount: usd('5') }]) {
      const answer = await pay(token, body)
      assert.deepEqual([answer.status, answer.body], [403, unauthorized], name)
    }
    assert.deepEqual(await spent(token), none, name)
  }
  assert.equal(await countPayments(), before)
})

test('an interval that repeats every second since 1970 costs nothing', async () => {
  const token = limited({ debitAmount: usd('9'), interval: 'R/1970-01-01T00:00:00Z/PT1S' })
  const started = performance.now()
  assert.equal((await payTo(token, await receiver(), '9')).status, 201)
  assert.ok(performance.now() - started < 5_000)
})

test('in an interval its own figures are shown, outside of all of them none', async () => {
  const token = limited({ debitAmount: usd('50'), interval: `R1/${daysFromNow(-1)}/P2D` })
  const url = await receiver()
  assert.equal((await payTo(token, url, '50')).status, 201)
  assert.equal((await payTo(token, url, '1')).status, 403)
  assert.deepEqual(await spent(token), { spentDebitAmount: usd('50'), spentReceiveAmount: usd('50') })
})

test('a grant without limits pays what it likes, and is counted', async () => {
  const url = await receiver()
  for (const token of [limited(), limited({}), limited({ receiver: url })]) {
    await payTo(token, url, '700')
    const { status, body } = await payTo(token, url, '800')
    assert.equal(status, 201)
    assert.deepEqual([body.grantSpentDebitAmount, body.grantSpentReceiveAmount], [usd('0'), usd('0')])
    assert.deepEqual(await spent(token), { spentDebitAmount: usd('1500'), spentReceiveAmount: usd('1500') })
  }
})

test('several items with limits say nothing certain: refused', async () => {
  const item = (value: string) => ({
    type: 'outgoing-payment',
    actions: ['create'],
    identifier: payer.address,
    limits: { debitAmount: usd(value) },
  })
  const token = node.grant(app, [item('1'), item('2')], { grant: uuidv7() })
  const { status, body } = await payTo(token, await receiver(), '1')
  assert.deepEqual([status, body.error?.description], [500, 'Unexpected number of access items'])
})

test('many at once: the limit is filled exactly', async () => {
  const token = limited({ debitAmount: usd('70') })
  const url = await receiver()
  const answers = await Promise.all(Array.from({ length: 20 }, () => payTo(token, url, '10')))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [
    ...Array(7).fill(201),
    ...Array(13).fill(403),
  ])
  assert.deepEqual((await spent(token)).spentDebitAmount, usd('70'))
})

test('one grant id of two tenants is two grants', async () => {
  const url = `https://localhost/other-${uuidv7()}`
  const tenant = await createTenant(node.node, {
    apiSecret: uuidv7(),
    settings: [{ key: 'WALLET_ADDRESS_URL', value: url }],
  })
  const asset = await createAsset(node.node, { tenantId: tenant.id, code: 'USD', scale: 2 })
  const other = await node.createWallet('/payer', {
    tenantId: tenant.id,
    assetId: asset.id,
    address: `${url}/payer`,
  })
  const grant = uuidv7()
  const item = (identifier: string) => ({
    type: 'outgoing-payment',
    actions: ['create'],
    identifier,
    limits: { debitAmount: usd('10') },
  })
  const here = node.grant(app, [item(payer.address)], { grant })
  const there = node.grant(app, [item(other.address)], { grant, tenant: tenant.id })
  assert.equal((await payTo(here, await receiver(), '10')).status, 201)
  const path = `${node.url}/${tenant.id}`
  const spentThere = () => sendSigned(app, there, { method: 'GET', url: `${path}/outgoing-payment-grant` })
  assert.deepEqual((await spentThere()).body, none)
  const paid = await sendSigned(app, there, {
    method: 'POST',
    url: `${path}/outgoing-payments`,
    body: { walletAddress: other.address, incomingPayment: await receiver(), debitAmount: usd('7') },
  })
  assert.equal(paid.status, 201, paid.text)
  assert.deepEqual((await spentThere()).body.spentDebitAmount, usd('7'))
  assert.deepEqual((await spent(here)).spentDebitAmount, usd('10'))
})

test('spent amounts: with the tenant in the path and without, the token asked about and no wallet address', async () => {
  const token = limited({ debitAmount: usd('10') })
  await payTo(token, await receiver(), '3')
  const before = node.introspected.length
  for (const url of [httpOf(resourceServer), node.url]) {
    const answer = await sendSigned(app, token, { method: 'GET', url: `${url}/outgoing-payment-grant` })
    assert.deepEqual(
      [answer.status, answer.body],
      [200, { spentDebitAmount: usd('3'), spentReceiveAmount: usd('3') }],
    )
  }
  assert.deepEqual(node.introspected.slice(before), [
    { access_token: token, access: [{ type: 'outgoing-payment', actions: ['create'] }] },
    { access_token: token, access: [{ type: 'outgoing-payment', actions: ['create'] }] },
  ])
})

test('spent amounts are for the holder of the key and of a token that may pay, at its tenant', async () => {
  const url = `${httpOf(resourceServer)}/outgoing-payment-grant`
  const get = (token: string, who: Pick<TestClient, 'privateKey' | 'keyId'> = app, at = url) =>
    sendSigned(who, token, { method: 'GET', url: at })
  const token = limited({ debitAmount: usd('10') })
  // A bearer of the token alone.
  const unsigned = await send(url, { headers: { authorization: `GNAP ${token}` } })
  assert.equal(unsigned.status, 401)
  assert.match(unsigned.body.error?.description ?? '', /^Signature validation error/)
  const thief = await node.createClient('/thief')
  assert.equal((await get(token, { ...thief, keyId: app.keyId })).status, 401)
  assert.equal((await get(token, thief)).status, 401)
  const anonymous = await send(url)
  assert.deepEqual(
    [anonymous.status, anonymous.headers.get('www-authenticate')],
    [401, 'GNAP as_uri=https://auth.example'],
  )
  assert.equal((await get('unknown')).body.error?.description, 'Inactive Token')
  const reader = limited(undefined, { actions: ['read', 'list'] })
  assert.equal((await get(reader)).body.error?.description, 'Insufficient Grant')
  const foreign = node.grant(app, [{ type: 'outgoing-payment', actions: ['create'] }], { tenant: uuidv7() })
  assert.equal((await get(foreign)).body.error?.description, 'Insufficient Grant')
  const elsewhere = `${node.url}/${uuidv7()}/outgoing-payment-grant`
  assert.equal((await get(token, app, elsewhere)).body.error?.description, 'Insufficient Grant')
  // No specification stands before this route: a browser's Accept is no obstacle.
  assert.equal((await get(token)).status, 200)
})
