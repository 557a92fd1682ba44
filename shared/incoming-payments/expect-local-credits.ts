import type { Db } from '../platform/index.ts'
import { markPaidLocally } from './store.ts'

/**
 * Says, before it sends anything, that a payment of this node is going to credit an incoming payment. Such credits do not pass the
 * connector, so a packet that reaches the amount no longer is the last credit; see `ANNOUNCE_GRACE_MS`.
 */
export async function expectLocalCredits(ctx: { db: Db }, incomingPaymentId: string): Promise<void> {
  await markPaidLocally(ctx.db, incomingPaymentId)
}
