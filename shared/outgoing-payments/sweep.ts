import type { OutgoingPaymentContext } from './context.ts'
import { cancelUnfunded, enqueueLost } from './store.ts'

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
export const cancelUnfundedPayments = (
  ctx: Pick<OutgoingPaymentContext, 'db' | 'clock'>,
  options: { timeoutMs: number; limit: number },
): Promise<string[]> =>
  cancelUnfunded(ctx.db, {
    before: ctx.clock.fromNow(-options.timeoutMs),
    reason: 'not funded in time',
    limit: options.limit,
    now: ctx.clock.now(),
  })
