/**
 * Grant-limits owns what a grant for outgoing payments may be limited to: a receiver, an amount, an interval that repeats. Pure, no I/O. Limits
 * that cannot be read are refused, never taken for none; and which interval an instant falls into is computed, at a cost
 * that whoever wrote the interval cannot drive up.
 */
export { GrantLimitsRefusal, type GrantLimitsRefusalCode } from './errors.ts'
export { intervalAt } from './interval-at.ts'
export type { GrantLimits, Interval, RepeatingInterval } from './model.ts'
export { parseGrantLimits } from './parse-grant-limits.ts'
export { parseInterval } from './parse-interval.ts'
