import { AMOUNT_MAX } from '../../shared/money/index.ts'
import type { Counters } from '../counters.ts'
import type { StreamTotals } from '../receipts/stream-totals.ts'

export interface ReceiptContext {
  streamTotals: StreamTotals
  counters: Pick<Counters, 'count'>
}

/**
 * The figure for a packet's receipt, `amount` counted in; `undefined`: it goes without one, and is counted. A receipt has room for a
 * u64, and the money has moved by now: a total beyond that must not make a Reject of it.
 */
export async function receiptTotal(
  ctx: ReceiptContext,
  connectionId: string,
  amount: bigint,
): Promise<bigint | undefined> {
  const total = await ctx.streamTotals.add(connectionId, amount)
  if (total !== undefined && total <= AMOUNT_MAX) return total
  ctx.counters.count('missing_receipts')
  return undefined
}
