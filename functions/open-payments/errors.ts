import { type ErrorInput, Refusal } from '../../shared/platform/index.ts'

export type AccessRefusalCode =
  /** No `Authorization: GNAP <token>`. */
  | 'invalid_authorization'
  /** The authorization server could not be asked, or its answer makes no sense. */
  | 'introspection_failed'
  | 'inactive_token'
  | 'insufficient_grant'
  /** Several granted items with limits cover the request: it is not certain which of them it may spend. */
  | 'unexpected_access'

/** The token does not open this door. Answered with a challenge that names the authorization server. */
export class AccessRefusal extends Refusal<AccessRefusalCode> {}

export type RouteRefusalCode =
  /** The path names a sub-resource that does not exist here: said before any token is looked at. */
  | 'unknown_subresource'
  /** The wallet address that the request names is not of this tenant, or takes no requests any more. */
  | 'wallet_address_unavailable'
  /** Nothing on this node answers to the URL. */
  | 'wallet_address_not_found'
  | 'incoming_payment_not_found'
  | 'quote_not_found'
  | 'outgoing_payment_not_found'
  | 'pagination_contradictory'
  | 'pagination_incomplete'
  /** SPSP: receipts are asked for with a nonce and a secret, or not at all. */
  | 'receipt_setup_invalid'

/** What the routes themselves refuse. `details` of these are shown to the caller. */
export class RouteRefusal extends Refusal<RouteRefusalCode> {
  constructor(code: RouteRefusalCode, input: ErrorInput = {}) {
    super(code, input)
  }
}
