import type { TimelineEntry } from '../../../shared/incoming-payments/index.ts'
import { toWireAmount } from '../../../shared/money/index.ts'

/** One line of a payment's story. */
export const toTimelineEntry = (entry: TimelineEntry) => ({
  at: entry.at.toISOString(),
  kind: entry.kind,
  state: entry.state,
  code: entry.code,
  message: entry.message,
  amount: entry.amount && toWireAmount(entry.amount),
  details: entry.details,
})
