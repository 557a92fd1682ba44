/**
 * Webhooks: what happened, told to the wallets that it concerns. What is always true: an event is written in the transaction
 * of the change that it announces, once, together with its deliveries and their jobs; its id never changes; a delivery ends as
 * `delivered`, after a 200, or as `dead`, after its last attempt, and is `pending` until then. Where a tenant's webhooks go is
 * injected: settings belong to the room above.
 */
export { deliverWebhook, type FindRecipient } from './deliver-webhook.ts'
export {
  countDeadDeliveries,
  type DeliveryScope,
  type EventRange,
  findDeliveries,
  forgetAttempts,
  type Resent,
  resendDeadEvents,
  resendEvent,
  resendEvents,
} from './deliveries-store.ts'
export { WebhookRefusal, type WebhookRefusalCode } from './errors.ts'
export {
  type DeliveryReport,
  type DeliveryState,
  type EventWithdrawal,
  type ExtraEventType,
  extraEventTypes,
  type NewWebhookEvent,
  parseExtraEvents,
  type WebhookAttempt,
  type WebhookEndpoint,
  type WebhookEvent,
  type WebhookEventType,
  type WebhookRecipient,
} from './model.ts'
export { listPaymentDeliveries, type PaymentDelivery } from './payment-deliveries.ts'
export { sealedWebhookColumns } from './sealed-columns.ts'
export { sealDataFromSender, storedData } from './sealed-data.ts'
export { findWebhookSecrets, replaceWebhookSecret, type WebhookSecrets } from './secrets.ts'
export {
  ATTEMPTS_KEPT_DAYS,
  type EventFilter,
  findEvent,
  findPaymentEvent,
  findWithdrawals,
  insertEvent,
  insertEvents,
  listEvents,
  loadDelivery,
  notifyDeliveries,
  paymentEventId,
  recordEvent,
} from './store.ts'
