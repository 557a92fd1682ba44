import type { AssetRefusalCode, LiquidityRefusalCode } from '../../shared/assets/index.ts'
import type { ConnectorRefusalCode } from '../../shared/connector-client/index.ts'
import {
  createErrorRenderer,
  type GraphqlCode,
  type RenderError,
  type ServerRefusalCode,
} from '../../shared/graphql-server/index.ts'
import type { IncomingPaymentRefusalCode } from '../../shared/incoming-payments/index.ts'
import { toWireAmount } from '../../shared/money/index.ts'
import type { OutgoingPaymentRefusalCode } from '../../shared/outgoing-payments/index.ts'
import type { PeerRefusalCode } from '../../shared/peers/index.ts'
import type { Logger, Refusal } from '../../shared/platform/index.ts'
import { QuoteRefusal, type QuoteRefusalCode } from '../../shared/quotes/index.ts'
import type { ReceiverRefusalCode } from '../../shared/receivers/index.ts'
import type { TenantRefusalCode } from '../../shared/tenants/index.ts'
import type { WalletAddressRefusalCode } from '../../shared/wallet-addresses/index.ts'
import type { WebhookRefusalCode } from '../../shared/webhooks/index.ts'
import type { IdempotencyRefusalCode } from './idempotency.ts'

type AnyRefusalCode =
  | AssetRefusalCode
  | ConnectorRefusalCode
  | IdempotencyRefusalCode
  | IncomingPaymentRefusalCode
  | LiquidityRefusalCode
  | OutgoingPaymentRefusalCode
  | PeerRefusalCode
  | QuoteRefusalCode
  | ReceiverRefusalCode
  | ServerRefusalCode
  | TenantRefusalCode
  | WalletAddressRefusalCode
  | WebhookRefusalCode
  | 'invalid_amount'

const graphqlCode = {
  unknown_tenant: 'NOT_FOUND',
  duplicate_tenant: 'DUPLICATE',
  invalid_tenant: 'BAD_USER_INPUT',
  operator_only: 'FORBIDDEN',
  operator_tenant: 'FORBIDDEN',
  signature_needed: 'FORBIDDEN',
  unknown_api_key: 'NOT_FOUND',
  missing_wallet_address_prefix: 'NOT_FOUND',
  invalid_setting: 'BAD_USER_INPUT',
  duplicate_wallet_address_prefix: 'BAD_USER_INPUT',
  invalid_page: 'BAD_USER_INPUT',
  invalid_amount: 'BAD_USER_INPUT',
  outside_grant: 'FORBIDDEN',
  invalid_input: 'BAD_USER_INPUT',
  idempotency_conflict: 'CONFLICT',
  idempotency_in_progress: 'CONFLICT',
  unknown_asset: 'NOT_FOUND',
  duplicate_asset: 'DUPLICATE',
  invalid_asset: 'BAD_USER_INPUT',
  asset_in_use: 'FORBIDDEN',
  invalid_fee: 'BAD_USER_INPUT',
  zero_amount: 'FORBIDDEN',
  invalid_transfer_id: 'BAD_USER_INPUT',
  duplicate_transfer: 'DUPLICATE',
  insufficient_liquidity: 'FORBIDDEN',
  unknown_peer: 'NOT_FOUND',
  duplicate_peer: 'DUPLICATE',
  duplicate_incoming_token: 'DUPLICATE',
  invalid_ilp_address: 'BAD_USER_INPUT',
  invalid_endpoint: 'BAD_USER_INPUT',
  invalid_token: 'BAD_USER_INPUT',
  invalid_peer: 'BAD_USER_INPUT',
  peer_unreachable: 'NOT_FOUND',
  own_ilp_configuration: 'BAD_USER_INPUT',
  peer_ilp_configuration: 'INTERNAL_SERVER_ERROR',
  peer_lacks_asset: 'BAD_USER_INPUT',
  peering_refused: 'BAD_USER_INPUT',
  peering_busy: 'CONFLICT',
  not_accepted_peer: 'CONFLICT',
  peering_liquidity: 'INTERNAL_SERVER_ERROR',
  unknown_wallet_address: 'NOT_FOUND',
  empty_wallet_address: 'FORBIDDEN',
  inactive_wallet_address: 'INACTIVE',
  invalid_wallet_address: 'BAD_USER_INPUT',
  duplicate_wallet_address: 'DUPLICATE',
  invalid_property: 'BAD_USER_INPUT',
  unknown_key: 'NOT_FOUND',
  invalid_key: 'BAD_USER_INPUT',
  duplicate_key: 'DUPLICATE',
  unknown_incoming_payment: 'NOT_FOUND',
  invalid_expiry: 'BAD_USER_INPUT',
  wrong_state: 'CONFLICT',
  already_approved: 'FORBIDDEN',
  already_cancelled: 'FORBIDDEN',
  action_not_performed: 'TIMEOUT',
  incoming_payment_closed: 'BAD_USER_INPUT',
  unknown_partial_payment: 'NOT_FOUND',
  nothing_to_withdraw: 'FORBIDDEN',
  withdrawal_released: 'CONFLICT',
  invalid_receiver_url: 'BAD_USER_INPUT',
  unknown_receiver: 'NOT_FOUND',
  receiver_forbidden: 'FORBIDDEN',
  receiver_refused: 'BAD_USER_INPUT',
  receiver_wrong_state: 'CONFLICT',
  unknown_quote: 'NOT_FOUND',
  invalid_receiver: 'BAD_USER_INPUT',
  receiver_unreachable: 'BAD_USER_INPUT',
  non_positive_receive_amount: 'BAD_USER_INPUT',
  rates_unavailable: 'INTERNAL_SERVER_ERROR',
  insufficient_exchange_rate: 'BAD_USER_INPUT',
  no_route: 'BAD_USER_INPUT',
  probe_failed: 'INTERNAL_SERVER_ERROR',
  invalid_request: 'BAD_USER_INPUT',
  invalid_data: 'BAD_USER_INPUT',
  unknown_payment: 'NOT_FOUND',
  invalid_quote: 'BAD_USER_INPUT',
  unknown_event: 'BAD_USER_INPUT',
  unknown_webhook_event: 'NOT_FOUND',
  unknown_withdrawal: 'NOT_FOUND',
  withdrawal_already_posted: 'CONFLICT',
  withdrawal_already_voided: 'CONFLICT',
  withdrawal_expired: 'FORBIDDEN',
} as const satisfies Record<AnyRefusalCode, GraphqlCode>

/** The contract calls it the caller's mistake; that it is none, and passes, is said beside. */
const PASSING: ReadonlySet<string> = new Set<AnyRefusalCode>(['receiver_unreachable'])

const detailsOf = (refusal: Refusal): Record<string, unknown> => ({
  ...(PASSING.has(refusal.code) && { retryable: true }),
  ...(refusal instanceof QuoteRefusal &&
    refusal.minSendAmount && { details: { minSendAmount: toWireAmount(refusal.minSendAmount) } }),
})

export const createAdminErrors = (log: Logger): RenderError =>
  createErrorRenderer({ log, codes: graphqlCode, extensionsOf: detailsOf })
