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

/** Shared by all connectors of a node. Without an answer from Redis money still arrives; only the receipt is missing. */
export function createRedisTotals(redis: Redis, log: Logger): StreamTotals {
  return {
    async add(connectionId, amount) {
      const key = `stream_received:${connectionId}`
      try {
        const results = await redis.multi().incrby(key, amount.toString()).expire(key, LIFE_SECONDS).exec()
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
