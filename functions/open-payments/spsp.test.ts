import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createAsset } from '../../shared/assets/index.ts'
import { updateWalletAddress } from '../../shared/incoming-payments/index.ts'
import { sql } from '../../shared/platform/index.ts'
import { createCredentialReader } from '../../shared/stream-credentials/index.ts'
import { createTenant } from '../../shared/tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { send, startTestNode, type TestNode } from './harness.ts'

let database: TestDatabase
let node: TestNode
before(async () => {
  database = await createTestDatabase('resources')
  node = await startTestNode(database.connectionString)
})
after(async () => {
  await node.close()
  await database.drop()
})

const ask = (path: string, headers: Record<string, string> = {}) =>
  send(`${node.url}${path}`, { headers: { accept: 'application/spsp4+json', ...headers } })
const documentOf = (text: string) =>
  JSON.parse(text) as { destination_account: string; shared_secret: string; receipts_enabled: boolean }
/** What the connector reads out of an address. */
const read = (destination: string, ilpAddress = 'test.bank') =>
  createCredentialReader({ streamSecret: node.node.settings.streamSecret, ilpAddress }).read(destination)

const nonce = Buffer.alloc(16, 0xfb)
const secret = Buffer.alloc(32, 0xef)
const receiptHeaders = {
  'receipt-nonce': nonce.toString('base64'),
  'receipt-secret': secret.toString('base64'),
}

test('a wallet address gives out fresh credentials for payments to itself', async () => {
  const wallet = await node.createWallet('/creator')
  const { status, headers, text } = await ask('/creator')
  assert.equal(status, 200)
  assert.match(headers.get('content-type') ?? '', /^application\/spsp4\+json/)
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.equal(headers.get('access-control-allow-origin'), '*')
  const document = documentOf(text)
  assert.deepEqual(Object.keys(document).sort(), ['destination_account', 'receipts_enabled', 'shared_secret'])
  assert.equal(document.receipts_enabled, false)
  assert.match(document.shared_secret, /^[\w-]{43}$/)
  const credential = read(document.destination_account)
  assert.equal(credential?.paymentTag, wallet.id)
  assert.deepEqual(credential?.asset, { assetCode: 'USD', assetScale: 2 })
  assert.equal(credential?.receipt, undefined)
  const again = documentOf((await ask('/Creator/?x=1')).text)
  assert.notEqual(again.shared_secret, document.shared_secret)
  assert.equal(read(again.destination_account)?.paymentTag, wallet.id)
})

test('receipts are asked for with a nonce and a secret, in either alphabet of base64', async () => {
  await node.createWallet('/verified')
  for (const headers of [
    receiptHeaders,
    { 'receipt-nonce': nonce.toString('base64url'), 'receipt-secret': secret.toString('base64url') },
  ]) {
    const document = documentOf((await ask('/verified', headers)).text)
    assert.equal(document.receipts_enabled, true)
    assert.deepEqual(read(document.destination_account)?.receipt, { nonce, secret })
  }
})

test('half a setup, or one of other lengths, is refused', async () => {
  await node.createWallet('/half')
  const { 'receipt-nonce': n, 'receipt-secret': s } = receiptHeaders
  const cases: Record<string, string>[] = [
    { 'receipt-nonce': n },
    { 'receipt-secret': s },
    { 'receipt-nonce': '', 'receipt-secret': s },
    { 'receipt-nonce': s, 'receipt-secret': s },
    { 'receipt-nonce': n, 'receipt-secret': n },
    { 'receipt-nonce': Buffer.alloc(15).toString('base64'), 'receipt-secret': s },
    { 'receipt-nonce': n, 'receipt-secret': Buffer.alloc(33).toString('base64') },
    { 'receipt-nonce': '*'.repeat(22), 'receipt-secret': s },
    { 'receipt-nonce': n, 'receipt-secret': `${s},${s}` },
  ]
  for (const headers of cases) {
    const { status, body } = await ask('/half', headers)
    assert.equal(status, 400, JSON.stringify(headers))
    assert.equal(body.error?.code, '400')
    assert.match(body.error?.description ?? '', /^Receipt-Nonce/)
  }
})

test('unknown and inactive addresses, and the node itself, take no payments', async () => {
  const closed = await node.createWallet('/shut')
  await updateWalletAddress(node.node, { tenantId: node.tenantId }, { id: closed.id, status: 'INACTIVE' })
  for (const path of ['/shut', '/nobody', '/.well-known/pay']) {
    const { status, body } = await ask(path)
    assert.equal(status, 404, path)
    assert.equal(body.error?.description, 'Could not get wallet address')
  }
})

test('SPSP is for the address only, and JSON stays what it was', async () => {
  await node.createWallet('/both')
  const json = await send(`${node.url}/both`, { headers: { accept: 'application/json' } })
  assert.equal(json.body.id, `${node.publicUrl}/both`)
  const mixed = await ask('/both', { accept: 'application/json, Application/SPSP4+json;q=0.5' })
  assert.match(mixed.headers.get('content-type') ?? '', /spsp4/)
  const keys = await ask('/both/jwks.json')
  assert.equal(keys.status, 406, 'keys are JSON only')
})

test("another tenant's address is reached through that tenant's ILP address, and without one not at all", async () => {
  const ilpAddresses = { owner: 'test.tenant', stranded: undefined }
  for (const [name, ilpAddress] of Object.entries(ilpAddresses)) {
    const { id: tenantId } = await createTenant(node.node, {
      apiSecret: `secret of ${name}`,
      settings: [
        { key: 'WALLET_ADDRESS_URL', value: `${node.publicUrl}/${name}` },
        ...(ilpAddress === undefined ? [] : [{ key: 'ILP_ADDRESS' as const, value: ilpAddress }]),
      ],
    })
    if (ilpAddress === undefined)
      await node.node.db.execute(
        sql`delete from tenant_settings where tenant_id = ${tenantId} and key = 'ILP_ADDRESS'`,
      )
    const { id: assetId } = await createAsset(node.node, { tenantId, code: 'EUR', scale: 2 })
    const wallet = await node.createWallet(`/${name}/star`, { tenantId, assetId })
    const { status, text } = await ask(`/${name}/star`)
    assert.equal(status, ilpAddress === undefined ? 404 : 200, name)
    if (ilpAddress === undefined) continue
    assert.equal(read(documentOf(text).destination_account, ilpAddress)?.paymentTag, wallet.id)
  }
})

test('ENABLE_SPSP_PAYMENT_POINTERS=false: the type is not acceptable', async () => {
  const off = await startTestNode(database.connectionString, { ENABLE_SPSP_PAYMENT_POINTERS: 'false' })
  try {
    await off.createWallet('/quiet')
    const headers = { accept: 'application/spsp4+json' }
    assert.equal((await send(`${off.url}/quiet`, { headers })).status, 406)
    const either = await send(`${off.url}/quiet`, { headers: { accept: 'application/spsp4+json, */*' } })
    assert.equal(either.body.id, `${off.publicUrl}/quiet`)
  } finally {
    await off.close()
  }
})
