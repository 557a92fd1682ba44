import { type GrantLimits, intervalAt } from '../grant-limits/index.ts'
import { type Amount, isSameAsset } from '../money/index.ts'
import type { Quote } from '../quotes/index.ts'
import { OutgoingPaymentRefusal } from './errors.ts'

/** What a payment is made under. Its id is the authorization server's, and means something together with the tenant only. */
export interface Grant {
  id: string
  /** Absent: nothing limits it. What it spends is counted all the same. */
  limits?: GrantLimits
}

/** Of each side, in that side's asset. */
export interface GrantSpent {
  debitAmount: Amount
  receiveAmount: Amount
}

/** Where a payment is counted; `undefined` for the whole life of the grant. */
export type SpendingInterval = Date | undefined

const outside = (message: string) => new OutgoingPaymentRefusal('outside_grant', { message })

/**
 * What a single payment may be, whatever was spent before (contracts/open-payments/gnap.md §7): the receiver as exact text, an
 * amount of exactly the limit's asset and at most the limit, equality included. What is absent is not known yet and not looked at.
 * Throws {@link OutgoingPaymentRefusal} `outside_grant`.
 */
export function checkLimits(
  limits: GrantLimits | undefined,
  payment: { receiver: string; debitAmount?: Amount | undefined; receiveAmount?: Amount | undefined },
): void {
  if (!limits) return
  if (limits.receiver !== undefined && limits.receiver !== payment.receiver)
    throw outside('the grant is for another receiver')
  checkAmount(limits.debitAmount, payment.debitAmount)
  checkAmount(limits.receiveAmount, payment.receiveAmount)
}

function checkAmount(limit: Amount | undefined, amount: Amount | undefined): void {
  if (!limit || !amount) return
  if (!isSameAsset(limit, amount)) throw outside('the grant is for another asset')
  if (amount.value > limit.value) throw outside('the amount is more than the grant allows')
}

/** The start of the interval that payments are counted in now. Throws {@link OutgoingPaymentRefusal} `outside_grant` outside of all. */
export function spendingIntervalAt(limits: GrantLimits | undefined, now: Date): SpendingInterval {
  if (!limits?.interval) return undefined
  const interval = intervalAt(limits.interval, now)
  if (!interval) throw outside('the grant allows no payment at this time')
  return interval.start
}

/**
 * What a payment counts that failed: what was sent, fee not included, and of the receive amount the same part, rounded down; but
 * never less than receivers confirmed, or the next payment could pass the limit.
 */
export function spentByFailed(
  quote: Pick<Quote, 'debitAmount' | 'sourceAmount' | 'receiveAmount'>,
  ended: { sentAmount: bigint },
): { debit: bigint; receive: bigint } {
  return {
    debit: ended.sentAmount,
    receive: (quote.receiveAmount.value * ended.sentAmount) / quote.sourceAmount,
  }
}
