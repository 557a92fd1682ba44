import type { Clock } from '../../shared/platform/index.ts'
import type { IncomingPacket, Service } from './model.ts'
import { type Rejects, rejectMessages } from './rejects.ts'

interface Bucket {
  tokens: number
  filledAtMs: number
}

const MINUTE_MS = 60_000

/**
 * T05 when an account sends more packets than its limit per minute. A bucket holds one minute's worth and refills evenly, so a
 * quiet peer may burst.
 */
export function limitRate(
  ctx: { clock: Clock; rejects: Rejects },
  next: Service<IncomingPacket>,
): Service<IncomingPacket> {
  const buckets = new Map<string, Bucket>()

  const take = (accountId: string, perMinute: number): boolean => {
    const nowMs = ctx.clock.nowMs()
    let bucket = buckets.get(accountId)
    if (!bucket) {
      bucket = { tokens: perMinute, filledAtMs: nowMs }
      buckets.set(accountId, bucket)
    }
    const refill = (Math.max(0, nowMs - bucket.filledAtMs) * perMinute) / MINUTE_MS
    bucket.tokens = Math.min(perMinute, bucket.tokens + refill)
    bucket.filledAtMs = nowMs
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }

  return async (packet) => {
    const { id, packetsPerMinute } = packet.account
    if (packetsPerMinute !== undefined && !take(id, packetsPerMinute))
      return ctx.rejects('T05', rejectMessages.throttled)
    return await next(packet)
  }
}
