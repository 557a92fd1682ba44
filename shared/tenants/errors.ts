import { Refusal } from '../platform/index.ts'

export type TenantRefusalCode =
  | 'unknown_tenant'
  | 'duplicate_tenant'
  /** A member that is not what it should be. */
  | 'invalid_tenant'
  /** What only the operator may do. */
  | 'operator_only'
  /** What nobody may do to the operator. */
  | 'operator_tenant'
  /** What a bearer key does not open. */
  | 'signature_needed'
  /** The tenant has no WALLET_ADDRESS_URL setting and is not the operator. */
  | 'missing_wallet_address_prefix'
  | 'invalid_setting'
  /** Another tenant has this WALLET_ADDRESS_URL, or a tenant asked for one within reach of another's. */
  | 'duplicate_wallet_address_prefix'
  | 'unknown_api_key'

export class TenantRefusal extends Refusal<TenantRefusalCode> {}
