import type { CreateTransferStatus, LedgerId, TransferEvent } from '../port.ts'

/** An account that had too little is expected to have too little for so long after the last refusal. */
const REMEMBERED_MS = 10_000
const ACCOUNTS_MAX = 10_000

const debitRefusals: ReadonlySet<CreateTransferStatus> = new Set([
  'exceeds_credits',
  'debit_account_not_found',
  'debit_account_already_closed',
])
const creditRefusals: ReadonlySet<CreateTransferStatus> = new Set([
  'exceeds_debits',
  'credit_account_not_found',
  'credit_account_already_closed',
])

/**
 * Accounts that calls were refused for lately: poor, full, closed, or not there. Further calls that name them probably fail too, and
 * one that fails takes the fast path from everything in its batch.
 */
export interface Shortages {
  note(events: readonly TransferEvent[], statuses: readonly CreateTransferStatus[]): void
  /** Whether a call names such an account. */
  concern(events: readonly TransferEvent[]): boolean
}

export function createShortages(): Shortages {
  const until = new Map<LedgerId, number>()
  const isShort = (id: LedgerId): boolean => {
    const end = until.get(id)
    if (end === undefined) return false
    if (end > performance.now()) return true
    until.delete(id)
    return false
  }
  const remember = (id: LedgerId) => {
    if (until.size >= ACCOUNTS_MAX) until.clear()
    until.set(id, performance.now() + REMEMBERED_MS)
  }
  return {
    note(events, statuses) {
      for (const [index, event] of events.entries()) {
        if (event.kind !== 'posted' && event.kind !== 'pending') continue
        const status = statuses[index]
        if (status !== undefined && debitRefusals.has(status)) remember(event.debitAccountId)
        if (status !== undefined && creditRefusals.has(status)) remember(event.creditAccountId)
        if (status === 'created') {
          until.delete(event.debitAccountId)
          until.delete(event.creditAccountId)
        }
      }
    },
    concern(events) {
      if (until.size === 0) return false
      for (const event of events)
        if (
          (event.kind === 'posted' || event.kind === 'pending') &&
          (isShort(event.debitAccountId) || isShort(event.creditAccountId))
        )
          return true
      return false
    },
  }
}
