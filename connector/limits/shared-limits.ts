import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Clock, type Logger, messageOf } from '../../shared/platform/index.ts'
import type { Counters } from '../counters.ts'
import { type Bucket, createBucket } from './bucket.ts'
import { type Limit, type Limits, type Taken, WAIT_MS } from './model.ts'
import type { SharedBuckets } from './shared-bucket.ts'

export interface SharedLimitsContext {
  buckets: SharedBuckets
  /** This connector among those of its node. */
  member: string
  /** How many connectors there are by another count: asked while Redis cannot say. */
  countConnectors: () => Promise<number>
  clock: Clock
  log: Logger
  counters: Pick<Counters, 'count'>
}

/** A hundredth of a limit is taken at a time, so that Redis is asked rarely. Limits below a hundred are shared to the last packet. */
const LEASES_PER_LIMIT = 100
/** While Redis is away it is asked this often, and nobody waits for it. */
const RETRY_MS = 1_000
/** A refusal is believed for so long at most: others may give back. */
const REFUSAL_MS_MAX = 100
const BEAT_MS = 2_000
/** The highest of these is believed: after a flush Redis knows one connector, then two, until all have said that they live. */
const COUNTS_KEPT = 5

interface Share {
  limit: Limit
  /** Taken from all for this connector, and not spent yet. */
  lease: number
  /** What this connector alone would allow. Charged with everything, so that an outage brings no second helping. */
  own: Bucket
  asking: Promise<void> | undefined
  /** What all packets want that wait for an answer. */
  waiting: number
  refused: { quantity: number; untilMs: number }
}

/**
 * Limits that all connectors of a node keep together. Each takes shares of a limit from one bucket in Redis ahead of its packets,
 * and asks for more in time; so together they let pass no more than the limit and one lease each. When Redis does not answer at
 * once, each keeps to its part of the limit by itself: a packet never waits for long and never fails because of it. How many parts
 * there are the database knows then, also when Redis was never there.
 */
export function createSharedLimits(ctx: SharedLimitsContext): Limits {
  const { buckets, clock, log } = ctx
  const shares = new Map<string, Share>()
  let members = 1
  let counts: number[] = []
  let isAway = false
  let retryAtMs = 0

  const away = (reason: string) => {
    if (!isAway)
      log.warn({ reason, members }, 'limits of peers are not shared: each connector keeps its part')
    isAway = true
    retryAtMs = clock.nowMs() + RETRY_MS
  }
  const back = () => {
    if (isAway) log.info('limits of peers are shared again')
    isAway = false
  }

  const shareOf = (key: string, limit: Limit): Share => {
    const known = shares.get(key)
    if (known?.limit.capacity === limit.capacity && known.limit.periodMs === limit.periodMs) return known
    const refused = { quantity: 0, untilMs: Number.NEGATIVE_INFINITY }
    const own = known?.own ?? createBucket(clock)
    const share: Share = { limit, lease: 0, own, asking: undefined, waiting: 0, refused }
    shares.set(key, share)
    return share
  }

  const leaseOf = ({ capacity }: Limit) => Math.max(1, Math.floor(capacity / LEASES_PER_LIMIT))
  const partOf = (limit: Limit): Limit => ({
    ...limit,
    capacity: Math.max(1, Math.floor(limit.capacity / members)),
  })

  const request = async (key: string, share: Share, need: number): Promise<void> => {
    const startedMs = performance.now()
    const want = Math.min(share.limit.capacity, Math.max(leaseOf(share.limit), need, share.waiting))
    try {
      const { granted, waitMs } = await buckets.take(key, share.limit, { need, want })
      share.lease += granted
      if (granted === 0)
        share.refused = { quantity: need, untilMs: clock.nowMs() + Math.min(waitMs, REFUSAL_MS_MAX) }
      if (performance.now() - startedMs < WAIT_MS) back()
    } catch (error) {
      away(messageOf(error))
    }
  }
  /** One request at a time for each limit. Never rejects. */
  const ask = (key: string, share: Share, need: number): Promise<void> => {
    share.asking ??= request(key, share, need).finally(() => {
      share.asking = undefined
    })
    return share.asking
  }
  const askAhead = (key: string, share: Share) => {
    if (isAway && clock.nowMs() < retryAtMs) return
    if (isAway) retryAtMs = clock.nowMs() + RETRY_MS
    void ask(key, share, 1)
  }

  const isRefused = ({ refused }: Share, quantity: number) =>
    quantity >= refused.quantity && clock.nowMs() < refused.untilMs

  const spend = (key: string, share: Share, quantity: number): Taken => {
    share.lease -= quantity
    share.own.charge(partOf(share.limit), quantity)
    const lease = leaseOf(share.limit)
    if (share.lease < lease / 2 && lease > 1 && !isRefused(share, 1)) askAhead(key, share)
    return {
      giveBack() {
        share.own.giveBack(partOf(share.limit), quantity)
        share.lease += quantity
        const surplus = share.lease - 2 * lease
        if (surplus <= 0 || isAway) return
        share.lease -= surplus
        // Lost, it makes the limit tighter for a while.
        buckets.giveBack(key, share.limit, surplus).catch((error: unknown) => away(messageOf(error)))
      },
    }
  }

  const takeOwn = (key: string, share: Share, quantity: number): Taken | undefined => {
    askAhead(key, share)
    ctx.counters.count('unshared_limits')
    const part = partOf(share.limit)
    if (!share.own.take(part, quantity)) return undefined
    return { giveBack: () => share.own.giveBack(part, quantity) }
  }

  const takeShared = async (key: string, share: Share, quantity: number): Promise<Taken | undefined> => {
    const giveUpAtMs = performance.now() + WAIT_MS
    share.waiting += quantity
    try {
      for (;;) {
        if (share.lease >= quantity) return spend(key, share, quantity)
        if (isRefused(share, quantity)) return undefined
        if (isAway) {
          // Nobody's part is known before the first count.
          await settlesWithin(giveUpAtMs - performance.now(), counted)
          return takeOwn(key, share, quantity)
        }
        if (!(await settlesWithin(giveUpAtMs - performance.now(), ask(key, share, quantity))))
          away(`no answer within ${WAIT_MS} ms`)
      }
    } finally {
      share.waiting -= quantity
    }
  }

  const count = async () => {
    try {
      counts = [await buckets.countMembers(ctx.member), ...counts].slice(0, COUNTS_KEPT)
      members = Math.max(1, ...counts)
    } catch {
      members = Math.max(1, await ctx.countConnectors())
    }
  }
  const beat = () =>
    count().catch((error: unknown) => log.debug({ reason: messageOf(error) }, 'connectors cannot be counted'))
  let isCounted = false
  const counted = beat().then(() => {
    isCounted = true
  })
  const beats = setInterval(() => void beat(), BEAT_MS)
  beats.unref()

  return {
    take(key, limit, quantity) {
      const share = shareOf(key, limit)
      if (share.lease >= quantity) return spend(key, share, quantity)
      if (isRefused(share, quantity)) return undefined
      return isAway && isCounted ? takeOwn(key, share, quantity) : takeShared(key, share, quantity)
    },
    async close() {
      clearInterval(beats)
      await buckets.leave(ctx.member).catch(() => undefined)
    },
  }
}

async function settlesWithin(milliseconds: number, promise: Promise<void>): Promise<boolean> {
  const timer = new AbortController()
  const timeout = sleep(Math.max(0, milliseconds), undefined, { signal: timer.signal })
    // A busy process hears its timers before it reads what has arrived: that is not silence.
    .then(() => turn(false))
    .catch(() => false)
  try {
    return await Promise.race([promise.then(() => true), timeout])
  } finally {
    timer.abort()
  }
}
