import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { settlementAccountId } from '../ledger/index.ts'
import { createCache, deriveId, sql, uuidv7 } from '../platform/index.ts'
import { createTestNode, type TestNode } from '../testing/node.ts'
import {
  createAsset,
  deleteAsset,
  depositAssetLiquidity,
  findAsset,
  findAssetByCodeAndScale,
  findLatestFee,
  getAsset,
  getAssetLiquidity,
  listAssets,
  listFees,
  repairAssetAccounts,
  setFee,
  updateAsset,
  withdrawAssetLiquidity,
} from './assets.ts'
import { AssetRefusal, LiquidityRefusal } from './errors.ts'
import { type Asset, assetAccounts } from './model.ts'

let node: TestNode
let mine: { tenantId: string }
const theirs = { tenantId: deriveId('stranger') }

before(async () => {
  node = await createTestNode()
  mine = { tenantId: node.settings.operatorTenantId }
})
after(() => node.close())

const refused = (code: string) => (error: unknown) =>
  (error instanceof AssetRefusal || error instanceof LiquidityRefusal) && error.code === code
let scale = 0
const newAsset = () => createAsset(node, { ...mine, code: 'TST', scale: scale++ })

test('an asset has a liquidity and a settlement account of its own ledger', async () => {
  const asset = await newAsset()
  const [liquidity, settlement] = await node.ledger.lookupAccounts([
    asset.id,
    settlementAccountId(asset.ledger),
  ])
  assert.ok(liquidity?.debitsMustNotExceedCredits && settlement?.creditsMustNotExceedDebits)
  assert.deepEqual([liquidity.ledger, settlement.ledger], [asset.ledger, asset.ledger])
  assert.deepEqual([liquidity.code, settlement.code], [2, 101])
  assert.deepEqual([liquidity.userData128, settlement.userData128], [asset.id, asset.id])
})

test('code and scale are checked, and a tenant has each pair once', async () => {
  const asset = await newAsset()
  await assert.rejects(
    createAsset(node, { ...mine, code: 'TST', scale: asset.scale }),
    refused('duplicate_asset'),
  )
  for (const bad of [
    { code: '', scale: 0 },
    { code: 'US D', scale: 0 },
    { code: 'USD', scale: 256 },
    { code: 'USD', scale: -1 },
    { code: 'USD', scale: 1.5 },
  ])
    await assert.rejects(createAsset(node, { ...mine, ...bad }), refused('invalid_asset'))
})

test('of assets created at the same time one wins', async () => {
  const input = { ...mine, code: 'RACE', scale: 2 }
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => createAsset(node, input)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results)
    if (result.status === 'rejected')
      assert.ok(refused('duplicate_asset')(result.reason), String(result.reason))
})

test('a tenant reaches its own assets only', async () => {
  const asset = await newAsset()
  assert.equal((await getAsset(node, mine, asset.id)).id, asset.id)
  assert.equal((await getAsset(node, 'all', asset.id)).id, asset.id)
  await assert.rejects(getAsset(node, theirs, asset.id), refused('unknown_asset'))
  assert.equal(await findAssetByCodeAndScale(node, theirs, asset), undefined)
  assert.equal((await findAssetByCodeAndScale(node, mine, asset))?.id, asset.id)
  assert.deepEqual((await listAssets(node, theirs, {})).items, [])
  await assert.rejects(updateAsset(node, theirs, { id: asset.id }), refused('unknown_asset'))
  await assert.rejects(deleteAsset(node, theirs, asset.id), refused('unknown_asset'))
  const movement = { assetId: asset.id, transferId: uuidv7(), amount: 1n }
  await assert.rejects(depositAssetLiquidity(node, theirs, movement), refused('unknown_asset'))
  await assert.rejects(
    setFee(node, theirs, { assetId: asset.id, type: 'SENDING', fixed: 0n, basisPoints: 0 }),
    refused('unknown_asset'),
  )
  assert.equal(await findAsset(node, 'all', 'not an id'), undefined)
})

test('thresholds are replaced, and omitted ones cleared', async () => {
  const { id } = await newAsset()
  const big = 2n ** 64n - 1n
  const set = await updateAsset(node, mine, { id, liquidityThreshold: big, withdrawalThreshold: 5n })
  assert.deepEqual([set.liquidityThreshold, set.withdrawalThreshold], [big, 5n])
  assert.equal((await getAsset(node, mine, id)).liquidityThreshold, big)
  assert.equal('withdrawalThreshold' in (await updateAsset(node, mine, { id })), false)
})

test('a deleted asset is gone, unless something uses it, and comes back as it was', async () => {
  const asset = await newAsset()
  await updateAsset(node, mine, { id: asset.id, liquidityThreshold: 7n })
  await node.db.execute(sql`insert into wallet_addresses (id, tenant_id, asset_id, address)
    values (${deriveId('user of asset')}, ${mine.tenantId}, ${asset.id}, 'https://node.example/user')`)
  await assert.rejects(deleteAsset(node, mine, asset.id), refused('asset_in_use'))
  await node.db.execute(sql`delete from wallet_addresses where asset_id = ${asset.id}`)
  await deleteAsset(node, mine, asset.id)
  await assert.rejects(getAsset(node, mine, asset.id), refused('unknown_asset'))
  await assert.rejects(deleteAsset(node, mine, asset.id), refused('unknown_asset'))
  const again = await createAsset(node, {
    ...mine,
    code: asset.code,
    scale: asset.scale,
    liquidityThreshold: 9n,
  })
  assert.deepEqual(
    [again.id, again.ledger, again.liquidityThreshold, again.deletedAt],
    [asset.id, asset.ledger, 7n, undefined],
  )
})

test('deposits and withdrawals move money once per id', async () => {
  const asset = await newAsset()
  const deposit = { assetId: asset.id, transferId: uuidv7(), amount: 100n }
  assert.equal(await depositAssetLiquidity(node, mine, deposit), 'created')
  await assert.rejects(depositAssetLiquidity(node, mine, deposit), refused('duplicate_transfer'))
  await assert.rejects(
    depositAssetLiquidity(node, mine, { ...deposit, amount: 101n, acceptRepeat: true }),
    refused('duplicate_transfer'),
  )
  assert.equal(await depositAssetLiquidity(node, mine, { ...deposit, acceptRepeat: true }), 'exists')
  assert.equal(await getAssetLiquidity(node, asset), 100n)

  const withdrawal = { assetId: asset.id, transferId: uuidv7(), amount: 60n, timeoutSeconds: 0 }
  assert.equal(await withdrawAssetLiquidity(node, mine, withdrawal), 'created')
  await assert.rejects(withdrawAssetLiquidity(node, mine, withdrawal), refused('duplicate_transfer'))
  await assert.rejects(
    withdrawAssetLiquidity(node, mine, { ...withdrawal, transferId: uuidv7(), amount: 41n }),
    refused('insufficient_liquidity'),
  )
  assert.equal(await getAssetLiquidity(node, asset), 40n)
  for (const [input, code] of [
    [{ ...deposit, transferId: uuidv7(), amount: 0n }, 'zero_amount'],
    [{ ...deposit, transferId: 'x' }, 'invalid_transfer_id'],
    [{ ...deposit, transferId: '00000000-0000-0000-0000-000000000000' }, 'invalid_transfer_id'],
    [{ ...deposit, assetId: uuidv7() }, 'unknown_asset'],
  ] as const)
    await assert.rejects(depositAssetLiquidity(node, mine, input), refused(code))
})

test('the same deposit at the same time is one deposit', async () => {
  const asset = await newAsset()
  const deposit = { assetId: asset.id, transferId: uuidv7(), amount: 100n }
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => depositAssetLiquidity(node, mine, deposit)),
  )
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal(await getAssetLiquidity(node, asset), 100n)
})

test('withdrawals at the same time never overdraw', async () => {
  const asset = await newAsset()
  await depositAssetLiquidity(node, mine, { assetId: asset.id, transferId: uuidv7(), amount: 100n })
  const results = await Promise.allSettled(
    Array.from({ length: 16 }, () =>
      withdrawAssetLiquidity(node, mine, {
        assetId: asset.id,
        transferId: uuidv7(),
        amount: 30n,
        timeoutSeconds: 0,
      }),
    ),
  )
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3)
  assert.equal(await getAssetLiquidity(node, asset), 10n)
})

test('a reserved withdrawal holds the money until it is voided', async () => {
  const asset = await newAsset()
  await depositAssetLiquidity(node, mine, { assetId: asset.id, transferId: uuidv7(), amount: 100n })
  const transferId = uuidv7()
  await withdrawAssetLiquidity(node, mine, { assetId: asset.id, transferId, amount: 70n, timeoutSeconds: 60 })
  assert.equal(await getAssetLiquidity(node, asset), 30n)
  const [pending] = await node.ledger.lookupTransfers([transferId])
  assert.deepEqual([pending?.kind, pending?.state, pending?.timeoutSeconds], ['pending', 'pending', 60])
  assert.deepEqual(
    await node.ledger.createTransfers([{ kind: 'void', id: uuidv7(), pendingId: transferId }]),
    ['created'],
  )
  assert.equal(await getAssetLiquidity(node, asset), 100n)
})

/** What a crash between row and ledger leaves. */
async function assetWithoutAccounts(): Promise<Asset> {
  const id = uuidv7()
  await node.db.execute(
    sql`insert into assets (id, tenant_id, code, scale) values (${id}, ${mine.tenantId}, ${'LOST'}, ${scale++})`,
  )
  return await getAsset(node, mine, id)
}

test('accounts that a crash left out are made at start, or by the first deposit', async () => {
  const [one, two] = [await assetWithoutAccounts(), await assetWithoutAccounts()]
  const fresh = { ...node, cache: createCache({ clock: node.clock, lifeMs: 0 }) }
  await depositAssetLiquidity(fresh, mine, { assetId: one.id, transferId: uuidv7(), amount: 5n })
  assert.equal(await getAssetLiquidity(node, one), 5n)
  assert.equal(await repairAssetAccounts(node), 1)
  assert.equal(await getAssetLiquidity(node, two), 0n)
  assert.equal(await repairAssetAccounts(node), 0)
})

test('a ledger that has something else under the id is not silently used', async () => {
  const asset = await assetWithoutAccounts()
  const [liquidity] = assetAccounts({ ...asset, ledger: asset.ledger + 10_000 })
  await node.ledger.createAccounts([{ ...liquidity, linked: false }])
  await assert.rejects(
    depositAssetLiquidity(node, mine, { assetId: asset.id, transferId: uuidv7(), amount: 5n }),
    { name: /Fault|AssertionFailed/ },
  )
  assert.equal(await getAssetLiquidity(node, asset), 0n)
})

test('the latest fee of a type applies', async () => {
  const { id: assetId } = await newAsset()
  assert.equal(await findLatestFee(node, assetId, 'SENDING'), undefined)
  await setFee(node, mine, { assetId, type: 'SENDING', fixed: 1n, basisPoints: 100 })
  await setFee(node, mine, { assetId, type: 'RECEIVING', fixed: 9n, basisPoints: 0 })
  const latest = await setFee(node, mine, {
    assetId,
    type: 'SENDING',
    fixed: 2n ** 64n - 1n,
    basisPoints: 10_000,
  })
  assert.deepEqual(await findLatestFee(node, assetId, 'SENDING'), latest)
  assert.equal((await findLatestFee(node, assetId, 'RECEIVING'))?.fixed, 9n)
  assert.equal((await listFees(node, assetId, {})).items.length, 3)
  for (const bad of [
    { fixed: -1n, basisPoints: 0 },
    { fixed: 0n, basisPoints: 10_001 },
    { fixed: 0n, basisPoints: 0.5 },
  ])
    await assert.rejects(setFee(node, mine, { assetId, type: 'SENDING', ...bad }), refused('invalid_fee'))
})

test('F32: the fee that was set last counts, though the clock of its replica is behind', async () => {
  const { id: assetId } = await newAsset()
  const behind = { ...node, clock: { ...node.clock, now: () => new Date(node.clock.nowMs() - 300_000) } }
  await setFee(node, mine, { assetId, type: 'SENDING', fixed: 1n, basisPoints: 0 })
  await setFee(behind, mine, { assetId, type: 'SENDING', fixed: 2n, basisPoints: 0 })
  assert.equal((await findLatestFee(node, assetId, 'SENDING'))?.fixed, 2n)
  const { items } = await listFees(node, assetId, {})
  assert.deepEqual(
    items.map(({ fixed }) => fixed),
    [2n, 1n],
  )
})
