import type { Redis } from '../../shared/platform/index.ts'
import { type Clock, type Logger, messageOf } from '../../shared/platform/index.ts'

/** What STREAM connections received in all: the figure in receipts, and nothing else. */
export interface StreamTotals {
  /** The connection's total with `amount` added; `undefined` when it cannot be told, and the packet goes without a receipt. */
  add(connectionId: string, amount: bigint): Promise<bigint | undefined>
  close(): Promise<void>
}

/** A connection that rests for so long starts at zero again (contracts/ilp/connector.md §8). */
const LIFE_SECONDS = 600
const CONNECTIONS_MAX = 100_000

/** For a single connector without Redis. */
export function createMemoryTotals(clock: Clock): StreamTotals {
  const totals = new Map<string, { total: bigint; until: number }>()
  return {
    async add(connectionId, amount) {
      const now = clock.nowMs()
      const known = totals.get(connectionId)
      const total = (known && known.until > now ? known.total : 0n) + amount
      // Put at the end: the first entry is the one that rests for longest.
      totals.delete(connectionId)
      totals.set(connectionId, { total, until: now + LIFE_SECONDS * 1000 })
      const [oldest] = totals.keys()
      if (totals.size > CONNECTIONS_MAX && oldest !== undefined) totals.delete(oldest)
      return total
    },
    close: async () => totals.clear(),
  }
}

/** While Redis is away it is asked this often, and no packet waits for it in between. */
const RETRY_MS = 1_000

/** Shared by all connectors of a node. Without an answer from Redis money still arrives; only the receipt is missing. */
export function createRedisTotals(
  redis: Pick<Redis, 'multi' | 'disconnect'>,
  clock: Clock,
  log: Logger,
): StreamTotals {
  let retryAtMs = Number.NEGATIVE_INFINITY
  const increase = (key: string, amount: bigint) =>
    redis
      .multi()
      .incrby(key, amount.toString())
      .expire(key, LIFE_SECONDS)
      .exec()
      .catch((error: unknown) => {
        retryAtMs = clock.nowMs() + RETRY_MS
        throw error
      })
  return {
    async add(connectionId, amount) {
      if (clock.nowMs() < retryAtMs) return undefined
      try {
        const results = await increase(`stream_received:${connectionId}`, amount)
        const [error, total] = results?.[0] ?? [new Error('no answer'), undefined]
        if (error) throw error
        return BigInt(String(total))
      } catch (error) {
        log.debug({ reason: messageOf(error) }, 'no receipt: redis is away')
        return undefined
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}
