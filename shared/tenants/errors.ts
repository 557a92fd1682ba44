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

/** The page that was asked for makes no sense: size out of range, `last` without `before`, a cursor that is not an id. */
export class InvalidPage extends Refusal<'invalid_page'> {
  constructor(message: string) {
    super('invalid_page', { message })
  }
}
