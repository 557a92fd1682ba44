import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Asset, AssetRefusal, createAsset, deleteAsset, getAsset } from '../assets/index.ts'
import { createCache, deriveId, sql, uuidv7 } from '../platform/index.ts'
import { createTenant } from '../tenants/index.ts'
import { waitFor } from '../testing/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import { findOrAwaitWalletAddress } from './await-wallet-address.ts'
import { WalletAddressRefusal } from './errors.ts'
import {
  createWalletAddressKey,
  listWalletAddressKeys,
  pageWalletAddressKeys,
  revokeWalletAddressKey,
} from './keys.ts'
import { isActive } from './model.ts'
import {
  createWalletAddress,
  findWalletAddress,
  findWalletAddressByUrl,
  getWalletAddress,
  listWalletAddresses,
  patchWalletAddressRow,
} from './wallet-addresses.ts'

let node: TestNode
let asset: Asset
let mine: { tenantId: string }
const theirs = { tenantId: deriveId('stranger') }

before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
  asset = await createAsset(node, { ...mine, code: 'USD', scale: 2 })
})
after(() => node.close())

const refused = (code: string) => (error: unknown) =>
  (error instanceof WalletAddressRefusal || error instanceof AssetRefusal) && error.code === code
let count = 0
const create = (more = {}) =>
  createWalletAddress(node, { ...mine, assetId: asset.id, address: `/account-${++count}`, ...more })
const newJwk = (kid: string) => ({
  kid,
  alg: 'EdDSA',
  kty: 'OKP',
  crv: 'Ed25519',
  x: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x,
})

test('a wallet address reads back by id and by any spelling of its URL', async () => {
  const created = await create({
    address: 'https://Node.example/Alice/',
    publicName: 'Alice',
    additionalProperties: [
      { key: 'iban', value: 'X1', visibleInOpenPayments: false },
      { key: 'a', value: 'b', visibleInOpenPayments: true },
    ],
  })
  assert.equal(created.address, 'https://node.example/alice')
  assert.deepEqual(created.asset, { id: asset.id, code: 'USD', scale: 2, ledger: asset.ledger })
  assert.deepEqual(created.additionalProperties, [
    { key: 'a', value: 'b', visibleInOpenPayments: true },
    { key: 'iban', value: 'X1', visibleInOpenPayments: false },
  ])
  assert.deepEqual(await getWalletAddress(node, mine, created.id), created)
  for (const url of [
    'https://node.example/alice',
    'https://NODE.example/ALICE/',
    'https://node.example/alice?x=1',
  ])
    assert.equal((await findWalletAddressByUrl(node, 'all', url))?.id, created.id, url)
  assert.equal(await findWalletAddressByUrl(node, 'all', 'http://node.example/alice'), undefined)
  assert.equal(await findWalletAddressByUrl(node, theirs, created.address), undefined)
  assert.equal(await findWalletAddress(node, theirs, created.id), undefined)
  assert.equal(await findWalletAddress(node, 'all', 'no id'), undefined)
})

test('an address exists once, its asset is its tenant’s, and it lies below the prefix', async () => {
  const { address } = await create()
  await assert.rejects(create({ address }), refused('duplicate_wallet_address'))
  await assert.rejects(create({ address: 'https://other.example/x' }), refused('invalid_wallet_address'))
  await assert.rejects(create({ assetId: uuidv7() }), refused('unknown_asset'))
  const tenant = await createTenant(node, {
    apiSecret: 's',
    settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://tenant.example' }],
  })
  await assert.rejects(create({ tenantId: tenant.id }), refused('unknown_asset'))
  const theirAsset = await createAsset(node, { tenantId: tenant.id, code: 'USD', scale: 2 })
  const theirWallet = await createWalletAddress(node, {
    tenantId: tenant.id,
    assetId: theirAsset.id,
    address: 'bob',
  })
  assert.equal(theirWallet.address, 'https://tenant.example/bob')
  assert.notEqual(theirAsset.ledger, asset.ledger)
  const bare = await createTenant(node, { apiSecret: 's' })
  await assert.rejects(create({ tenantId: bare.id }), { code: 'missing_wallet_address_prefix' })
})

test('below two prefixes, an address is of the tenant with the longer one, and so is the question for a missing one', async () => {
  const tenant = await createTenant(node, {
    apiSecret: 's',
    settings: [{ key: 'WALLET_ADDRESS_URL', value: 'https://node.example/shop' }],
  })
  const { id: assetId } = await createAsset(node, { tenantId: tenant.id, code: 'USD', scale: 2 })
  for (const address of ['/shop', '/shop/carol', 'https://Node.example/SHOP/carol'])
    await assert.rejects(create({ address }), refused('invalid_wallet_address'))
  assert.equal((await create({ address: '/shopping' })).address, 'https://node.example/shopping')
  const carol = await createWalletAddress(node, { tenantId: tenant.id, assetId, address: '/carol' })
  assert.equal(carol.address, 'https://node.example/shop/carol')
  await assert.rejects(
    createWalletAddress(node, { tenantId: tenant.id, assetId, address: 'https://node.example/shopper' }),
    refused('invalid_wallet_address'),
  )

  const cache = createCache({ clock: node.clock, lifeMs: 1_000 })
  const settings = { ...node.settings, walletAddressLookupTimeoutMs: 0 }
  const recipientsOf = async (url: string, sendTenantWebhooksToOperator = false) => {
    await findOrAwaitWalletAddress(
      { ...node, cache, settings: { ...settings, sendTenantWebhooksToOperator } },
      url,
    )
    return await node.db.many(
      (row) => row.recipient_tenant_id as string,
      sql`select d.recipient_tenant_id from webhook_deliveries d join webhook_events e on e.id = d.event_id
        where e.type = 'wallet_address.not_found' and e.data->>'walletAddressUrl' = ${url} order by d.recipient_tenant_id`,
    )
  }
  const operator = mine.tenantId
  assert.deepEqual(await recipientsOf('https://node.example/shop/dave'), [tenant.id])
  assert.deepEqual(await recipientsOf('https://node.example/shops'), [operator])
  assert.deepEqual(await recipientsOf('https://elsewhere.example/dave'), [operator])
  assert.deepEqual(await recipientsOf('https://node.example/shop/erin', true), [operator, tenant.id].sort())
})

test('of the same address created at the same time one wins', async () => {
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => create({ address: '/race' })))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('an asset that is deleted while an address is made for it: one of the two is refused', async () => {
  for (let round = 0; round < 5; round++) {
    const own = await createAsset(node, { ...mine, code: 'RACE', scale: round })
    const [made, gone] = await Promise.allSettled([
      create({ assetId: own.id, address: `/asset-race-${round}` }),
      deleteAsset(node, mine, own.id),
    ])
    assert.notEqual(made.status, gone.status)
    const lost = made.status === 'rejected' ? made : gone
    assert.ok(
      lost.status === 'rejected' && ['unknown_asset', 'asset_in_use'].includes(lost.reason.code),
      String(lost),
    )
  }
  // The cache may still have an asset that another process has deleted.
  const stale = await createAsset(node, { ...mine, code: 'STALE', scale: 0 })
  const kept = { ...node, cache: createCache({ clock: node.clock, lifeMs: 1_000 }) }
  await getAsset(kept, mine, stale.id)
  await deleteAsset(node, mine, stale.id)
  await assert.rejects(
    createWalletAddress(kept, { ...mine, assetId: stale.id, address: '/stale' }),
    refused('unknown_asset'),
  )
})

test('a lookup is remembered for its time; that an address is missing is not', async () => {
  const url = 'https://node.example/soon'
  assert.equal(await findWalletAddressByUrl(node, 'all', url), undefined)
  const { id } = await create({ address: url })
  assert.equal((await findWalletAddressByUrl(node, 'all', url))?.id, id)
  await node.db.execute(sql`update wallet_addresses set public_name = 'elsewhere' where id = ${id}`)
  assert.equal((await findWalletAddressByUrl(node, 'all', url))?.publicName, undefined)
  node.clock.advance(1_001)
  assert.equal((await findWalletAddressByUrl(node, 'all', url))?.publicName, 'elsewhere')
})

test('an update changes what is given, and this process sees it at once', async () => {
  const { id, address } = await create({
    publicName: 'Old',
    additionalProperties: [{ key: 'a', value: '1', visibleInOpenPayments: true }],
  })
  await findWalletAddressByUrl(node, 'all', address)
  const renamed = await patchWalletAddressRow(node, mine, { id, publicName: 'New' })
  assert.deepEqual([renamed.publicName, renamed.additionalProperties.length], ['New', 1])
  const off = await patchWalletAddressRow(node, mine, { id, status: 'INACTIVE', additionalProperties: [] })
  assert.deepEqual([isActive(off), off.additionalProperties], [false, []])
  const deactivatedAt = off.deactivatedAt
  node.clock.advance(10)
  assert.deepEqual(
    (await patchWalletAddressRow(node, mine, { id, status: 'INACTIVE' })).deactivatedAt,
    deactivatedAt,
  )
  assert.equal((await findWalletAddressByUrl(node, 'all', address))?.publicName, 'New')
  assert.ok(isActive(await patchWalletAddressRow(node, mine, { id, status: 'ACTIVE' })))
  await assert.rejects(
    patchWalletAddressRow(node, theirs, { id, publicName: 'Theirs' }),
    refused('unknown_wallet_address'),
  )
  assert.deepEqual((await listWalletAddresses(node, theirs, {})).items, [])
})

test('active keys of an address have different kids; a revoked kid may come again', async () => {
  const wallet = await create()
  const add = (jwk: unknown, scope: 'all' | { tenantId: string } = mine) =>
    createWalletAddressKey(node, scope, { walletAddressId: wallet.id, jwk })
  const jwk = newJwk('k1')
  const key = await add(jwk)
  assert.deepEqual(key.jwk, jwk)
  await assert.rejects(add(newJwk('k1')), refused('duplicate_key'))
  await assert.rejects(add({ ...newJwk('k2'), d: 'x' }), refused('invalid_key'))
  await assert.rejects(add(newJwk('k2'), theirs), refused('unknown_wallet_address'))
  await assert.rejects(
    createWalletAddressKey(node, 'all', { walletAddressId: uuidv7(), jwk }),
    refused('unknown_wallet_address'),
  )
  await assert.rejects(revokeWalletAddressKey(node, theirs, key.id), refused('unknown_key'))
  const revoked = await revokeWalletAddressKey(node, mine, key.id)
  assert.ok(revoked.revokedAt)
  node.clock.advance(5)
  assert.deepEqual(await revokeWalletAddressKey(node, mine, key.id), revoked)
  assert.deepEqual(await listWalletAddressKeys(node, wallet.id), [])
  const again = await add(newJwk('k1'))
  assert.deepEqual(
    (await listWalletAddressKeys(node, wallet.id)).map(({ id }) => id),
    [again.id],
  )
  assert.equal((await pageWalletAddressKeys(node, wallet.id, {})).items.length, 2)
})

test('an unknown address asks the wallet once, however many wait, and works when it comes', async () => {
  const url = 'https://node.example/wanted'
  const real = { ...node, cache: createCache({ clock: node.clock, lifeMs: 1_000 }) }
  const waiting = Promise.all(Array.from({ length: 5 }, () => findOrAwaitWalletAddress(real, url)))
  const asked = sql`select from webhook_events where type = 'wallet_address.not_found' and data->>'walletAddressUrl' = ${url}`
  await waitFor(async () => (await node.db.execute(asked)) > 0)
  const { id } = await create({ address: url })
  assert.deepEqual(
    (await waiting).map((found) => found?.id),
    Array.from({ length: 5 }, () => id),
  )
  const events = await node.db.many(
    (row) => row.data as unknown,
    sql`select data from webhook_events where type = 'wallet_address.not_found' and data->>'walletAddressUrl' = ${url}`,
  )
  assert.deepEqual(events, [{ walletAddressUrl: url }])
  assert.equal(await findOrAwaitWalletAddress(real, 'no url'), undefined)
})

test('an address that nobody creates is given up in time', async () => {
  const clock = { ...node.clock, nowMs: () => Date.now() }
  const ctx = { ...node, clock, cache: createCache({ clock, lifeMs: 1_000 }) }
  const startedMs = Date.now()
  assert.equal(await findOrAwaitWalletAddress(ctx, 'https://node.example/never'), undefined)
  const tookMs = Date.now() - startedMs
  assert.ok(tookMs >= 190 && tookMs < 2_000, `took ${tookMs} ms`)
})
