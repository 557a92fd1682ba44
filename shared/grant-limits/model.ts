import type { Amount } from '../money/index.ts'

/** A stretch of time that comes again: each repetition starts where its neighbour ends. All in UTC. */
export interface RepeatingInterval {
  /** Where counting begins, ms since 1970: the start of the first interval, or the end of the last when it runs backward. */
  anchor: number
  /** `start/…` runs forward in time from its start; `duration/end` backward from its end. */
  direction: 'forward' | 'backward'
  /** The length: whole months on the calendar first, then milliseconds. Never both zero. */
  months: number
  milliseconds: number
  /** After the first interval; Infinity when unbounded. */
  repetitions: number
}

/** Half-open: the start belongs to it, the end to the next. */
export interface Interval {
  start: Date
  end: Date
}

/** What a grant for outgoing payments is limited to (contracts/open-payments/gnap.md §7). An absent member limits nothing. */
export interface GrantLimits {
  /** The one incoming payment, by its URL as text. */
  receiver?: string
  debitAmount?: Amount
  receiveAmount?: Amount
  /** Amounts are per interval, and nothing may be paid outside of one; without it they are for the grant's whole life. */
  interval?: RepeatingInterval
}
