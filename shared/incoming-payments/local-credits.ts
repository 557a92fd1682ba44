import type { Clock, Db } from '../platform/index.ts'
import { recordLocalCredit, registerLocalCredit } from './credits-store.ts'
import type { IncomingPaymentState, ReceivingPayment } from './model.ts'
import { selectForPackets } from './packets-store.ts'

/**
 * Right before a local credit: false when the payment takes no more money. From true on its end waits for
 * {@link endLocalCredit}, or for the grace when that never comes.
 */
export const beginLocalCredit = (
  ctx: { db: Db; clock: Clock },
  incomingPaymentId: string,
): Promise<boolean> => registerLocalCredit(ctx.db, { id: incomingPaymentId, now: ctx.clock.now() })

/** Right after it, with the ledger's total when something was credited. The last of all credits closes the payment at once. */
export async function endLocalCredit(
  ctx: { db: Db; clock: Clock },
  input: { incomingPaymentId: string; receivedAmount?: bigint },
): Promise<{ changedTo?: IncomingPaymentState }> {
  const { incomingPaymentId: id, receivedAmount } = input
  const changedTo = await recordLocalCredit(ctx.db, {
    id,
    now: ctx.clock.now(),
    ...(receivedAmount !== undefined && { received: receivedAmount }),
  })
  return changedTo === undefined ? {} : { changedTo }
}

/**
 * The payment as packets need it, and from now on registered as one that this connector's may credit. `undefined`: unknown, or
 * deleted. `connectorId`: new with every start, because packets of the last run may still be on their way.
 */
export const findForPackets = (
  ctx: { db: Db },
  id: string,
  connectorId: string,
): Promise<ReceivingPayment | undefined> => selectForPackets(ctx.db, id, connectorId)
