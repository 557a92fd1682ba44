import { Refusal } from '../platform/index.ts'

export type AssetRefusalCode =
  | 'unknown_asset'
  /** The tenant has this code and scale already. */
  | 'duplicate_asset'
  | 'invalid_asset'
  /** A peer or a wallet address uses it. */
  | 'asset_in_use'
  | 'invalid_fee'

export class AssetRefusal extends Refusal<AssetRefusalCode> {}

export type LiquidityRefusalCode =
  /** Deposits and withdrawals move something. */
  | 'zero_amount'
  | 'invalid_transfer_id'
  /** A transfer with this id exists. */
  | 'duplicate_transfer'
  /** The account has less than is to be withdrawn. */
  | 'insufficient_liquidity'

/** A deposit to, or a withdrawal from, an account of this node was refused. */
export class LiquidityRefusal extends Refusal<LiquidityRefusalCode> {}
