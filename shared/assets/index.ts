/**
 * Assets owns currencies, their fees and their liquidity. Always true here: an asset belongs to one tenant and has a ledger
 * of its own with two accounts, liquidity and settlement, made together. Money enters and leaves every account of the node
 * against settlement and through {@link depositLiquidity} and {@link withdrawLiquidity} only.
 */
export {
  type CreateAssetInput,
  createAsset,
  deleteAsset,
  depositAssetLiquidity,
  ensureAssetAccounts,
  findAnyAsset,
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
export { AssetRefusal, type AssetRefusalCode, LiquidityRefusal, type LiquidityRefusalCode } from './errors.ts'
export {
  type Deposit,
  depositLiquidity,
  findLiquidity,
  type LiquidityAccount,
  type Movement,
  type Withdrawal,
  withAccounts,
  withdrawLiquidity,
} from './liquidity.ts'
export { type Asset, type AssetRef, type Fee, type FeeType, toMoneyAsset } from './model.ts'
export { lockAsset } from './store.ts'
export { withdrawAfterRelease } from './withdraw-after-release.ts'
