import type { GrantLimitsRefusalCode } from '../../shared/grant-limits/index.ts'
import type { SignatureRefusalCode } from '../../shared/http-signatures/index.ts'
import { SignatureRefusal } from '../../shared/http-signatures/index.ts'
import type { IncomingPaymentRefusalCode } from '../../shared/incoming-payments/index.ts'
import { type InvalidAmount, toWireAmount } from '../../shared/money/index.ts'
import type { OutgoingPaymentRefusalCode } from '../../shared/outgoing-payments/index.ts'
import type { PaymentMethodRefusalCode } from '../../shared/payment-methods/index.ts'
import type { Refusal } from '../../shared/platform/index.ts'
import { QuoteRefusal, type QuoteRefusalCode } from '../../shared/quotes/index.ts'
import type { ReceiverRefusalCode } from '../../shared/receivers/index.ts'
import type { TenantRefusalCode } from '../../shared/tenants/index.ts'
import type { WalletAddressRefusalCode } from '../../shared/wallet-addresses/index.ts'
import { type AccessRefusalCode, RouteRefusal, type RouteRefusalCode } from './errors.ts'

type RefusalCode =
  | AccessRefusalCode
  | RouteRefusalCode
  | SignatureRefusalCode
  | GrantLimitsRefusalCode
  | IncomingPaymentRefusalCode
  | QuoteRefusalCode
  | OutgoingPaymentRefusalCode
  | PaymentMethodRefusalCode
  | ReceiverRefusalCode
  | TenantRefusalCode
  | WalletAddressRefusalCode
  | InvalidAmount['code']

interface RefusalAnswer {
  status: 400 | 401 | 403 | 404 | 409 | 429 | 500
  /** Where the contract fixes it or the refusal's own words are not for strangers; else those words. */
  description?: string
}

const signature = (problem: string): RefusalAnswer => ({
  status: 401,
  description: `Signature validation error: ${problem}`,
})
const badSignature = signature('provided signature is invalid')
const badRequest: RefusalAnswer = { status: 400 }
const notFound: RefusalAnswer = { status: 404 }
const conflict: RefusalAnswer = { status: 409 }
// What limits say is between the granter and the client: callers learn that they do not allow it.
const outsideGrant: RefusalAnswer = { status: 403, description: 'unauthorized' }
const badReceiver: RefusalAnswer = { status: 400, description: 'invalid receiver' }

/** Every refusal that can reach a caller of this listener, and what it is answered with (contracts/open-payments/routes.md §1). */
const answers = {
  invalid_authorization: { status: 401, description: 'Missing or invalid authorization header value' },
  introspection_failed: { status: 401, description: 'Invalid Token' },
  inactive_token: { status: 403, description: 'Inactive Token' },
  insufficient_grant: { status: 403, description: 'Insufficient Grant' },
  unexpected_access: { status: 500, description: 'Unexpected number of access items' },

  unknown_subresource: { status: 401, description: 'Unauthorized' },
  wallet_address_unavailable: { status: 400, description: 'Could not get wallet address' },
  wallet_address_not_found: { status: 404, description: 'Could not get wallet address' },
  incoming_payment_not_found: { status: 404, description: 'Incoming payment does not exist' },
  quote_not_found: { status: 404, description: 'Quote does not exist' },
  outgoing_payment_not_found: { status: 404, description: 'Outgoing payment does not exist' },
  pagination_contradictory: { status: 400, description: 'first and last are mutually exclusive' },
  pagination_incomplete: { status: 400, description: 'last requires cursor' },
  receipt_setup_invalid: {
    status: 400,
    description: 'Receipt-Nonce (16 bytes) and Receipt-Secret (32 bytes) must both be given, in base64',
  },

  keyid_missing: signature('missing keyId in signature input'),
  keys_unavailable: signature('could not retrieve client keys'),
  key_unknown: signature('could not find key in list of client keys'),
  keyid_mismatch: signature('invalid key id'),
  signature_missing: badSignature,
  signature_malformed: badSignature,
  component_not_covered: badSignature,
  component_unsupported: badSignature,
  component_missing: badSignature,
  created_missing: badSignature,
  created_outside_window: badSignature,
  signature_expired: badSignature,
  algorithm_unsupported: badSignature,
  content_digest_malformed: badSignature,
  content_digest_mismatch: badSignature,
  target_invalid: badSignature,
  key_invalid: badSignature,
  signature_invalid: badSignature,
  nonce_reused: badSignature,
  too_many_attempts: { status: 429, description: 'Too Many Requests' },

  outside_grant: outsideGrant,
  limits_malformed: outsideGrant,
  both_amounts: outsideGrant,
  interval_invalid: outsideGrant,

  invalid_amount: badRequest,
  invalid_expiry: badRequest,
  unknown_incoming_payment: notFound,
  wrong_state: conflict,
  already_approved: conflict,
  already_cancelled: conflict,
  action_not_performed: { status: 403 },
  incoming_payment_closed: conflict,
  unknown_partial_payment: notFound,
  unknown_wallet_address: notFound,
  inactive_wallet_address: badRequest,

  unknown_quote: notFound,
  invalid_quote: badRequest,
  invalid_receiver: badRequest,
  // By the contract a 400 too, in words of its own.
  receiver_unreachable: badRequest,
  non_positive_receive_amount: badRequest,
  amount_too_large: badRequest,
  rates_unavailable: { status: 500, description: 'could not convert between assets' },
  insufficient_exchange_rate: badRequest,
  no_route: badReceiver,
  probe_failed: badReceiver,

  invalid_receiver_url: badReceiver,
  unknown_receiver: badReceiver,
  receiver_forbidden: badReceiver,
  receiver_refused: badReceiver,
  receiver_wrong_state: badReceiver,

  invalid_data: badRequest,
  unknown_payment: notFound,
  unknown_event: notFound,
  unknown_withdrawal: notFound,
  nothing_to_withdraw: conflict,
  withdrawal_already_posted: conflict,
  withdrawal_already_voided: conflict,
  withdrawal_expired: conflict,
  withdrawal_released: conflict,

  invalid_wallet_address: badRequest,
  duplicate_wallet_address: conflict,
  invalid_property: badRequest,
  empty_wallet_address: conflict,
  unknown_key: notFound,
  invalid_key: badRequest,
  duplicate_key: conflict,

  unknown_tenant: notFound,
  duplicate_tenant: conflict,
  invalid_tenant: badRequest,
  operator_only: badRequest,
  operator_tenant: badRequest,
  signature_needed: badRequest,
  unknown_api_key: notFound,
  missing_wallet_address_prefix: notFound,
  invalid_setting: badRequest,
  duplicate_wallet_address_prefix: conflict,
} as const satisfies Record<RefusalCode, RefusalAnswer>

/** The answer to a refusal; `undefined` for one that has no business here. */
export const answerTo = (refusal: Refusal): RefusalAnswer | undefined =>
  Object.hasOwn(answers, refusal.code) ? answers[refusal.code as RefusalCode] : undefined

/** What a caller may know beyond the description. The details of most refusals are for logs. */
export function publicDetails(refusal: Refusal): Record<string, unknown> | undefined {
  if (refusal instanceof SignatureRefusal) return { reason: refusal.code, message: refusal.message }
  if (refusal instanceof QuoteRefusal && refusal.minSendAmount)
    return { minSendAmount: toWireAmount(refusal.minSendAmount) }
  // The status says that the same request is no use; here it may be.
  if (refusal.code === 'receiver_unreachable') return { reason: refusal.code, retryable: true }
  if (refusal instanceof RouteRefusal && Object.keys(refusal.details).length > 0) return refusal.details
  return undefined
}
