import type { Counters } from '../counters.ts'
import type { StreamTotals } from '../receipts/stream-totals.ts'

export interface ReceiptContext {
  streamTotals: StreamTotals
  counters: Pick<Counters, 'count'>
}

/** The figure for a packet's receipt, `amount` counted in; `undefined`: it goes without one, and is counted. */
export async function receiptTotal(
  ctx: ReceiptContext,
  connectionId: string,
  amount: bigint,
): Promise<bigint | undefined> {
  const total = await ctx.streamTotals.add(connectionId, amount)
  if (total === undefined) ctx.counters.count('missing_receipts')
  return total
}
