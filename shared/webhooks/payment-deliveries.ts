import { type Db, present, type Row, sql } from '../platform/index.ts'
import type { DeliveryState, WebhookAttempt, WebhookEndpoint, WebhookEventType } from './model.ts'

/** An event about a payment, on its way to one recipient. */
export interface PaymentDelivery {
  eventId: string
  type: WebhookEventType
  createdAt: Date
  endpoint: WebhookEndpoint
  recipientTenantId: string
  state: DeliveryState
  /** The last ones, oldest first. */
  attempts: WebhookAttempt[]
}

/** Attempts that are shown of one delivery. */
const ATTEMPTS_MAX = 20

/** What was told of a payment, to whom, and how often it took: oldest event first. */
export const listPaymentDeliveries = (
  db: Db,
  payment: { outgoingPaymentId: string } | { incomingPaymentId: string },
): Promise<PaymentDelivery[]> =>
  db.many(
    toDelivery,
    sql`select e.id, e.type, e.created_at, d.endpoint, d.recipient_tenant_id, d.state, d.attempts, d.status_code, d.latency_ms,
        d.answer, d.delivered_at, logged.attempts as logged
      from webhook_events e join webhook_deliveries d on d.event_id = e.id
      cross join lateral (
        select coalesce(jsonb_agg(to_jsonb(a) order by a.number), '[]') as attempts
        from (select number, at, status_code, latency_ms, error, answer from webhook_attempts x
          where x.delivery_id = d.id order by x.number desc limit ${ATTEMPTS_MAX}) a) logged
      where ${
        'outgoingPaymentId' in payment
          ? sql`e.outgoing_payment_id = ${payment.outgoingPaymentId}`
          : sql`e.incoming_payment_id = ${payment.incomingPaymentId}`
      }
      order by e.created_at, e.id, d.endpoint, d.recipient_tenant_id`,
  )

const toDelivery = (row: Row): PaymentDelivery => ({
  eventId: row.id,
  type: row.type,
  createdAt: row.created_at,
  endpoint: row.endpoint,
  recipientTenantId: row.recipient_tenant_id,
  state: row.state,
  attempts: [...(row.logged as Row[]).map((logged) => toAttempt(logged)), ...accepted(row)],
})

const toAttempt = (row: Row): WebhookAttempt => ({
  number: row.number,
  at: new Date(row.at),
  latencyMs: row.latency_ms,
  ...present({
    status: row.status_code as number | null,
    error: row.error as string | null,
    answer: row.answer as string | null,
  }),
})

/** The attempt that was accepted stands on the delivery itself. */
const accepted = (row: Row): WebhookAttempt[] =>
  row.state === 'delivered'
    ? [
        toAttempt({
          ...row,
          number: row.attempts,
          at: row.delivered_at,
          latency_ms: row.latency_ms ?? 0,
          error: null,
        }),
      ]
    : []
