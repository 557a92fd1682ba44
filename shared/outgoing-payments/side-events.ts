import type { Cache, Db, Logger } from '../platform/index.ts'
import { extraEventRecipients, serviceRecipients, type TenantDefaults } from '../tenants/index.ts'
import type { ExtraEventType, NewWebhookEvent } from '../webhooks/index.ts'
import type { OutgoingPayment } from './model.ts'
import { toWebhookData } from './webhook-data.ts'

export interface SideEventContext {
  db: Db
  cache: Cache
  log: Logger
  settings: TenantDefaults
}

/**
 * The event of a funding or a cancelling, which wallets do themselves and need not hear of: for the card service, where a card
 * made the payment, and for tenants that opted in. `undefined` where it is nobody's, which is the usual case and costs nothing.
 */
export async function sideEvent(
  ctx: SideEventContext,
  payment: OutgoingPayment,
  type: ExtraEventType,
): Promise<NewWebhookEvent | undefined> {
  const recipientTenantIds = await extraEventRecipients(ctx, payment.tenantId, type)
  const { id, initiatedBy, tenantId } = payment
  if (initiatedBy !== 'CARD' && recipientTenantIds.length === 0) return undefined
  return {
    tenantId,
    type,
    data: toWebhookData(payment, type === 'outgoing_payment.funded' ? payment.debitAmount.value : 0n),
    outgoingPaymentId: id,
    recipientTenantIds,
    services: serviceRecipients(ctx, 'card', { type, paymentId: id, initiatedBy }),
  }
}
