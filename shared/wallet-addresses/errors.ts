import { Refusal } from '../platform/index.ts'

export type WalletAddressRefusalCode =
  | 'unknown_wallet_address'
  | 'inactive_wallet_address'
  | 'invalid_wallet_address'
  | 'duplicate_wallet_address'
  | 'invalid_property'
  /** Nothing has arrived that could be withdrawn. */
  | 'empty_wallet_address'
  | 'unknown_key'
  | 'invalid_key'
  /** The wallet address has an active key with this `kid`. */
  | 'duplicate_key'

export class WalletAddressRefusal extends Refusal<WalletAddressRefusalCode> {}
