import type { TenantScope } from '../tenants/index.ts'
import type { NewWebhookEvent } from '../webhooks/index.ts'
import type { OutgoingPaymentContext } from './context.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import type { OutgoingPayment } from './model.ts'
import { getOutgoingPayment } from './read-outgoing-payments.ts'
import { type SideEventContext, sideEvent } from './side-events.ts'
import { cancelPayment } from './store.ts'

/**
 * Only in FUNDING and before funding has started, so that a cancel never overtakes money. Throws {@link OutgoingPaymentRefusal}
 * `unknown_payment` or `wrong_state`.
 */
export async function cancelOutgoingPayment(
  ctx: Pick<OutgoingPaymentContext, 'db' | 'ledger' | 'clock'> & SideEventContext,
  scope: TenantScope,
  input: { id: string; reason?: string; cardPaymentFailureReason?: 'invalid_request' | 'invalid_signature' },
): Promise<OutgoingPayment> {
  const { reason, cardPaymentFailureReason } = input
  const metadata = {
    ...(reason !== undefined && { cancellationReason: reason }),
    ...(cardPaymentFailureReason && { cardPaymentFailureReason }),
  }
  // Looked up first: an id that is none must not reach the update.
  const before = await getOutgoingPayment(ctx, scope, input.id)
  const event = await cancellation(ctx, before, metadata)
  const cancelled = await cancelPayment(
    ctx.db,
    scope,
    { id: before.id, metadata, now: ctx.clock.now() },
    event,
  )
  const payment = await getOutgoingPayment(ctx, scope, before.id)
  if (!cancelled)
    throw new OutgoingPaymentRefusal('wrong_state', {
      message:
        payment.state === 'FUNDING'
          ? 'the payment is being funded'
          : `the payment is ${payment.state} and can no longer be cancelled`,
      details: { state: payment.state },
    })
  return payment
}

/** The event that tells of it, where anybody wants to hear of it. */
export const cancellation = (
  ctx: SideEventContext,
  payment: OutgoingPayment,
  metadata: Record<string, unknown>,
): Promise<NewWebhookEvent | undefined> =>
  sideEvent(
    ctx,
    { ...payment, state: 'CANCELLED', metadata: { ...payment.metadata, ...metadata } },
    'outgoing_payment.cancelled',
  )
