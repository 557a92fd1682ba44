/**
 * Limits decides how much may pass: packets and amounts, per account and period. Always true here: an answer comes at once or
 * within a moment, whatever becomes of Redis; and connectors of one node together let pass a limit once, not once each.
 */
export { createOwnLimits } from './bucket.ts'
export type { Limit, Limits, Taken } from './model.ts'
export { createRedisBuckets, type SharedBuckets } from './shared-bucket.ts'
export { createSharedLimits, type SharedLimitsContext } from './shared-limits.ts'
