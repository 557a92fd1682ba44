import { cancellation } from './cancel-outgoing-payment.ts'
import type { OutgoingPaymentContext } from './context.ts'
import type { SideEventContext } from './side-events.ts'
import { cancelPayment, enqueueLost, selectUnfunded, withSent } from './store.ts'

/** A live call or worker touches its payment more often than this. */
const LOST_AFTER_MS = 10_000

/**
 * Asks again for work that no job stands for: a payment in SENDING whose job was lost, one whose funding was started and not
 * finished. Returns their ids. Losing the whole queue loses nothing.
 */
export const sweepOutgoingPayments = (
  ctx: Pick<OutgoingPaymentContext, 'db' | 'clock'>,
  options: { limit: number },
): Promise<string[]> => enqueueLost(ctx.db, ctx.clock.fromNow(-LOST_AFTER_MS), options.limit)

/** Cancels payments that nobody has begun to fund for so long (UNFUNDED_PAYMENT_TIMEOUT_MS). Returns their ids. */
export async function cancelUnfundedPayments(
  ctx: Pick<OutgoingPaymentContext, 'db' | 'clock'> & SideEventContext,
  options: { timeoutMs: number; limit: number },
): Promise<string[]> {
  const before = ctx.clock.fromNow(-options.timeoutMs)
  const metadata = { cancellationReason: 'not funded in time' }
  const cancelled: string[] = []
  for (const row of await selectUnfunded(ctx.db, { before, limit: options.limit })) {
    const event = await cancellation(ctx, withSent(row, 0n), metadata)
    // Funding may have begun since, and another process may be at this too.
    const input = { id: row.id, metadata, now: ctx.clock.now() }
    if (await cancelPayment(ctx.db, 'all', input, event)) cancelled.push(row.id)
  }
  return cancelled
}
