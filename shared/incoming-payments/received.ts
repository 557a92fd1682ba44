import { toMoneyAsset } from '../assets/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { IncomingPayment } from './model.ts'
import type { IncomingPaymentRow } from './store.ts'

/** What arrived on each payment in all: the posted credits of its account. No account: nothing arrived. */
export async function receivedTotals(ledger: Ledger, ids: readonly string[]): Promise<bigint[]> {
  if (ids.length === 0) return []
  const accounts = await ledger.lookupAccounts(ids)
  return accounts.map((account) => account?.creditsPosted ?? 0n)
}

type WithoutReceived = Omit<IncomingPayment, 'receivedAmount'>

export function withReceived(row: WithoutReceived | IncomingPaymentRow, received: bigint): IncomingPayment {
  const receivedAmount = { value: received, ...toMoneyAsset(row.asset) }
  if (!('processAt' in row)) return { ...row, receivedAmount }
  // The worker's own fields stay inside this room.
  const {
    processAt: _processAt,
    announcedAt: _announcedAt,
    hasCreditors: _any,
    hasOneCreditor: _one,
    isFull: _full,
    ...payment
  } = row
  return { ...payment, receivedAmount }
}
