import { accountCode, type NewAccount, settlementAccountId, tenantSurrogate } from '../ledger/index.ts'
import type { Asset as MoneyAsset } from '../money/index.ts'
import { AssetRefusal } from './errors.ts'

/** A currency of one tenant, with a ledger of its own. */
export interface Asset {
  id: string
  tenantId: string
  code: string
  scale: number
  /** The ledger number; also the id of the settlement account. */
  ledger: number
  /** At or below this balance the tenant is told. */
  liquidityThreshold?: bigint
  /** Of wallet addresses: received at least this much, a withdrawal is announced. */
  withdrawalThreshold?: bigint
  createdAt: Date
  deletedAt?: Date
}

/** What other rooms carry along of an asset. */
export type AssetRef = Pick<Asset, 'id' | 'code' | 'scale' | 'ledger'>

export const toMoneyAsset = (asset: Pick<Asset, 'code' | 'scale'>): MoneyAsset => ({
  assetCode: asset.code,
  assetScale: asset.scale,
})

/** Quotes charge the SENDING fee. A RECEIVING fee is kept and shown, and charged by nobody: that is the wallet's to do. */
export type FeeType = 'SENDING' | 'RECEIVING'

/** `ceil(principal × basisPoints / 10000) + fixed`, in units of the asset. The latest row of a type applies. */
export interface Fee {
  id: string
  assetId: string
  type: FeeType
  fixed: bigint
  basisPoints: number
  createdAt: Date
}

/** Throws {@link AssetRefusal} `invalid_asset`. */
export function checkAsset(asset: { code: string; scale: number }): void {
  if (!/^[\x21-\x7e]{1,32}$/.test(asset.code))
    throw new AssetRefusal('invalid_asset', { message: 'code must be 1 to 32 visible ASCII characters' })
  if (!Number.isInteger(asset.scale) || asset.scale < 0 || asset.scale > 255)
    throw new AssetRefusal('invalid_asset', { message: 'scale must be a whole number from 0 to 255' })
}

/** Throws {@link AssetRefusal} `invalid_fee`. */
export function checkFee(fee: { fixed: bigint; basisPoints: number }): void {
  if (fee.fixed < 0n) throw new AssetRefusal('invalid_fee', { message: 'the fixed fee must not be negative' })
  if (!Number.isInteger(fee.basisPoints) || fee.basisPoints < 0 || fee.basisPoints > 10_000)
    throw new AssetRefusal('invalid_fee', { message: 'basisPoints must be a whole number from 0 to 10000' })
}

/** The asset's liquidity account and the settlement account of its ledger: one chain, so neither exists without the other. */
export const assetAccounts = (asset: Asset): readonly [NewAccount, NewAccount] => [
  {
    id: asset.id,
    ledger: asset.ledger,
    code: accountCode.assetLiquidity,
    debitsMustNotExceedCredits: true,
    linked: true,
    userData128: asset.id,
    userData64: tenantSurrogate(asset.tenantId),
  },
  {
    id: settlementAccountId(asset.ledger),
    ledger: asset.ledger,
    code: accountCode.settlement,
    creditsMustNotExceedDebits: true,
    userData128: asset.id,
    userData64: tenantSurrogate(asset.tenantId),
  },
]
