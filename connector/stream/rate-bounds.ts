import { compareRates, convertCeil, type Rate } from '../../shared/money/index.ts'

/** What is known of a path's rate, in destination units per source unit: at least `low`, less than `high`. */
export interface RateBounds {
  low: Rate
  high: Rate
}

/**
 * What one authentic answer says: `source` units became `delivered`, rounded down somewhere on the way. Bounds that agree are
 * narrowed; when they no longer can be true together the rate has changed, and only the new answer counts.
 */
export function refineBounds(
  bounds: RateBounds | undefined,
  answer: { source: bigint; delivered: bigint },
): RateBounds {
  const low: Rate = { numerator: answer.delivered, denominator: answer.source }
  const high: Rate = { numerator: answer.delivered + 1n, denominator: answer.source }
  if (!bounds || compareRates(low, bounds.high) >= 0 || compareRates(high, bounds.low) <= 0)
    return { low, high }
  return {
    low: compareRates(low, bounds.low) > 0 ? low : bounds.low,
    high: compareRates(high, bounds.high) < 0 ? high : bounds.high,
  }
}

/** The most that `source` can become: the largest whole number below `source × high`. */
export const mostDelivered = (source: bigint, bounds: RateBounds): bigint =>
  source === 0n ? 0n : convertCeil(source, bounds.high) - 1n
