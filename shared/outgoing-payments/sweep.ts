import type { OutgoingPaymentContext } from './context.ts'
import { enqueueLost } from './store.ts'

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
