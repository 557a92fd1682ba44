import type { Clock } from '../../shared/platform/index.ts'
import type { Limit, Limits, Taken } from './model.ts'

/** Holds one period's worth and refills evenly. */
export interface Bucket {
  take(limit: Limit, quantity: number): boolean
  /** Takes what is there, up to `quantity`. */
  charge(limit: Limit, quantity: number): void
  giveBack(limit: Limit, quantity: number): void
}

export function createBucket(clock: Clock): Bucket {
  let tokens = Number.POSITIVE_INFINITY
  let filledAtMs = clock.nowMs()

  const refill = ({ capacity, periodMs }: Limit) => {
    const nowMs = clock.nowMs()
    // A clock that steps back gives nothing.
    tokens = Math.min(capacity, tokens + (Math.max(0, nowMs - filledAtMs) * capacity) / periodMs)
    filledAtMs = nowMs
  }

  return {
    take(limit, quantity) {
      refill(limit)
      if (tokens < quantity) return false
      tokens -= quantity
      return true
    },
    charge(limit, quantity) {
      refill(limit)
      tokens = Math.max(0, tokens - quantity)
    },
    giveBack(limit, quantity) {
      tokens = Math.min(limit.capacity, tokens + quantity)
    },
  }
}

/** The limits of a connector that is alone. */
export function createOwnLimits(clock: Clock): Limits {
  const buckets = new Map<string, Bucket>()
  return {
    take(key, limit, quantity): Taken | undefined {
      let bucket = buckets.get(key)
      if (!bucket) {
        bucket = createBucket(clock)
        buckets.set(key, bucket)
      }
      const from = bucket
      return from.take(limit, quantity) ? { giveBack: () => from.giveBack(limit, quantity) } : undefined
    },
    close: async () => buckets.clear(),
  }
}
