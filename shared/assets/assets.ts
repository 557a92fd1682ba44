import { type Ledger, settlementAccountId } from '../ledger/index.ts'
import { assert, type Cache, type Clock, type Db, Fault, isUuid, uuidv7 } from '../platform/index.ts'
import { isInScope, type Page, type Paged, type TenantScope } from '../tenants/index.ts'
import { AssetRefusal } from './errors.ts'
import {
  depositLiquidity,
  findLiquidity,
  type Movement,
  withAccounts,
  withdrawLiquidity,
} from './liquidity.ts'
import { type Asset, assetAccounts, checkAsset, checkFee, type Fee, type FeeType } from './model.ts'
import {
  insertAsset,
  insertFee,
  markAssetDeleted,
  selectAsset,
  selectAssetByCodeAndScale,
  selectAssets,
  selectAssetsAfter,
  selectFees,
  selectLatestFee,
  setThresholds,
} from './store.ts'

type ReadContext = { db: Db; cache: Cache }
type LedgerContext = ReadContext & { ledger: Ledger }

const assetKey = (id: string) => `asset:${id}`
const feeKey = (assetId: string, type: FeeType) => `fee:${assetId}:${type}`
const unknownAsset = () => new AssetRefusal('unknown_asset', { message: 'unknown asset' })

/** An asset, deleted or not. Cached for LOCAL_CACHE_DURATION_MS. */
export async function findAnyAsset(
  ctx: ReadContext,
  scope: TenantScope,
  id: string,
): Promise<Asset | undefined> {
  if (!isUuid(id)) return undefined
  const asset = await ctx.cache.get(assetKey(id), () => selectAsset(ctx.db, id))
  return asset && isInScope(scope, asset) ? asset : undefined
}

/** As {@link findAnyAsset}, one that is not deleted. */
export async function findAsset(
  ctx: ReadContext,
  scope: TenantScope,
  id: string,
): Promise<Asset | undefined> {
  const asset = await findAnyAsset(ctx, scope, id)
  return asset?.deletedAt === undefined ? asset : undefined
}

/** As {@link findAsset}; throws {@link AssetRefusal} `unknown_asset`. */
export async function getAsset(ctx: ReadContext, scope: TenantScope, id: string): Promise<Asset> {
  const asset = await findAsset(ctx, scope, id)
  if (!asset) throw unknownAsset()
  return asset
}

/** Deleted ones too, as the Admin API shows them. */
export const findAssetByCodeAndScale = (
  ctx: { db: Db },
  scope: TenantScope,
  asset: { code: string; scale: number },
): Promise<Asset | undefined> => selectAssetByCodeAndScale(ctx.db, scope, asset)

export const listAssets = (ctx: { db: Db }, scope: TenantScope, page: Page): Promise<Paged<Asset>> =>
  selectAssets(ctx.db, scope, page)

export interface CreateAssetInput {
  tenantId: string
  code: string
  scale: number
  liquidityThreshold?: bigint
  withdrawalThreshold?: bigint
}

/** Inserts the asset and its two ledger accounts. A deleted twin comes back as it was. Throws {@link AssetRefusal}. */
export async function createAsset(
  ctx: LedgerContext & { clock: Clock },
  input: CreateAssetInput,
): Promise<Asset> {
  checkAsset(input)
  const asset = await insertAsset(ctx.db, {
    ...input,
    id: uuidv7(ctx.clock.nowMs()),
    createdAt: ctx.clock.now(),
  })
  ctx.cache.delete(assetKey(asset.id))
  await ensureAssetAccounts(ctx, asset)
  return asset
}

/** Makes the asset's accounts exist; safe to repeat. A chain reports a repeat as failed, so what is there decides. */
export async function ensureAssetAccounts(ctx: { ledger: Ledger }, asset: Asset): Promise<void> {
  const statuses = await ctx.ledger.createAccounts(assetAccounts(asset))
  if (statuses.every((status) => status === 'created')) return
  const [liquidity, settlement] = await ctx.ledger.lookupAccounts([
    asset.id,
    settlementAccountId(asset.ledger),
  ])
  if (liquidity?.ledger === asset.ledger && settlement?.ledger === asset.ledger) return
  throw new Fault('ledger_accounts_conflict', {
    retryable: false,
    message: `the ledger refused the accounts of asset ${asset.code}/${asset.scale}: ${statuses.join(', ')}`,
    details: { assetId: asset.id, ledger: asset.ledger },
  })
}

const REPAIR_BATCH = 200

/** At start: creates the accounts that a crash between row and ledger left out. Returns how many assets were repaired. */
export async function repairAssetAccounts(ctx: { db: Db; ledger: Ledger }): Promise<number> {
  let repaired = 0
  let after = '00000000-0000-0000-0000-000000000000'
  for (;;) {
    const assets = await selectAssetsAfter(ctx.db, after, REPAIR_BATCH)
    const accounts = await ctx.ledger.lookupAccounts(assets.map(({ id }) => id))
    for (const [index, asset] of assets.entries()) {
      if (accounts[index]) continue
      await ensureAssetAccounts(ctx, asset)
      repaired++
    }
    const last = assets.at(-1)
    if (!last || assets.length < REPAIR_BATCH) return repaired
    after = last.id
  }
}

/** Replaces both thresholds; absent ones are cleared. Throws {@link AssetRefusal} `unknown_asset`. */
export async function updateAsset(
  ctx: ReadContext & { clock: Clock },
  scope: TenantScope,
  input: { id: string; liquidityThreshold?: bigint; withdrawalThreshold?: bigint },
): Promise<Asset> {
  const asset = await setThresholds(ctx.db, scope, { ...input, now: ctx.clock.now() })
  ctx.cache.delete(assetKey(input.id))
  if (!asset) throw unknownAsset()
  return asset
}

/** Throws {@link AssetRefusal} `unknown_asset` or `asset_in_use`. */
export async function deleteAsset(
  ctx: ReadContext & { clock: Clock },
  scope: TenantScope,
  id: string,
): Promise<Asset> {
  const asset = await markAssetDeleted(ctx.db, scope, { id, now: ctx.clock.now() })
  ctx.cache.delete(assetKey(id))
  return asset
}

/** What the asset's liquidity account can still pay. */
export async function getAssetLiquidity(ctx: { ledger: Ledger }, asset: Pick<Asset, 'id'>): Promise<bigint> {
  const liquidity = await findLiquidity(ctx, asset.id)
  if (liquidity === undefined)
    throw new Fault('ledger_account_missing', { retryable: true, details: { assetId: asset.id } })
  return liquidity
}

interface LiquidityInput {
  assetId: string
  /** Chosen by the caller; also what posts or voids a reserved withdrawal. */
  transferId: string
  amount: bigint
  acceptRepeat?: boolean
}

/** Settlement → asset. Throws {@link AssetRefusal} `unknown_asset` or {@link LiquidityRefusal}. */
export async function depositAssetLiquidity(
  ctx: LedgerContext,
  scope: TenantScope,
  input: LiquidityInput,
): Promise<Movement> {
  const asset = await getAsset(ctx, scope, input.assetId)
  return await withAccounts(
    () => ensureAssetAccounts(ctx, asset),
    () => depositLiquidity(ctx, { ...input, ...accountOf(asset) }),
  )
}

/** Asset → settlement. Throws {@link AssetRefusal} `unknown_asset` or {@link LiquidityRefusal}. */
export async function withdrawAssetLiquidity(
  ctx: LedgerContext,
  scope: TenantScope,
  input: LiquidityInput & { timeoutSeconds: number },
): Promise<Movement> {
  const asset = await getAsset(ctx, scope, input.assetId)
  return await withdrawLiquidity(ctx, { ...input, ...accountOf(asset) })
}

const accountOf = (asset: Asset) => ({
  accountId: asset.id,
  tenantId: asset.tenantId,
  ledger: asset.ledger,
})

/** Appends a fee; the latest of a type applies. Throws {@link AssetRefusal} `unknown_asset` or `invalid_fee`. */
export async function setFee(
  ctx: ReadContext & { clock: Clock },
  scope: TenantScope,
  input: { assetId: string; type: FeeType; fixed: bigint; basisPoints: number },
): Promise<Fee> {
  checkFee(input)
  const fee = await insertFee(ctx.db, scope, { ...input, createdAt: ctx.clock.now() })
  assert(fee.fixed === input.fixed, 'a fee is stored as given', fee)
  ctx.cache.delete(feeKey(input.assetId, input.type))
  return fee
}

/** The fee that applies now. Cached for LOCAL_CACHE_DURATION_MS. */
export async function findLatestFee(
  ctx: ReadContext,
  assetId: string,
  type: FeeType,
): Promise<Fee | undefined> {
  // "No fee" is an answer worth keeping, so it is wrapped.
  const kept = await ctx.cache.get(feeKey(assetId, type), async () => ({
    fee: await selectLatestFee(ctx.db, assetId, type),
  }))
  return kept.fee
}

export const listFees = (ctx: { db: Db }, assetId: string, page: Page): Promise<Paged<Fee>> =>
  selectFees(ctx.db, assetId, page)
