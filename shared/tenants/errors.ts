import { Refusal } from '../platform/index.ts'

export type TenantRefusalCode =
  | 'unknown_tenant'
  | 'duplicate_tenant'
  /** The tenant has no WALLET_ADDRESS_URL setting and is not the operator. */
  | 'missing_wallet_address_prefix'
  | 'invalid_setting'
  /** Another tenant has this WALLET_ADDRESS_URL. */
  | 'duplicate_wallet_address_prefix'

export class TenantRefusal extends Refusal<TenantRefusalCode> {}
