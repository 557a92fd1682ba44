import { randomUUID } from 'node:crypto'
import { connectRedis, messageOf, type RedisOptions } from '../../../platform/index.ts'
import { createInHand, type Settled } from '../in-hand.ts'
import { type Broker, type IncomingMessage, type MessageConsumer, retrySeconds } from '../model.ts'
import { repeatThroughOutages } from '../outage.ts'
import { trackConnectionId, untilReady } from './connection.ts'
import { leave, reapConsumers } from './consumers.ts'
import { FIRST_ENTRY, reclaimIdle } from './reclaim.ts'
import { type Entry, GROUP, isEntry, isGroupMissing, type Stream, toMessage } from './stream.ts'

/** A read waits for so long. Closing does not: it unblocks the read. */
const BLOCK_MS = 1_000
const READ_MAX = 200
const RECLAIM_MAX = 100
/** One after the other; the next ones come after a pause. */
const LOOKS_MAX = 20
const RECLAIM_MS = { min: 100, max: 1_000 }
/** How often consumers that ended long ago are looked for. */
const REAP_MS = 600_000

export interface StreamParts extends Stream {
  connection: Omit<RedisOptions, 'log' | 'blockMs'>
}

export function consumeStream(
  parts: StreamParts,
  handler: Parameters<Broker['consume']>[0],
  delivery: Parameters<Broker['consume']>[1],
): MessageConsumer {
  const { redis, stream, log } = parts
  const consumer = `${process.pid}-${randomUUID()}`
  const visibilityMs = delivery.visibilitySeconds * 1000
  let closing = false

  const inHand = createInHand<IncomingMessage>(log, handler, delivery, {
    async extend(messages) {
      // JUSTID: a sign of life, not a delivery.
      const ids = messages.map(({ id }) => id)
      await redis.xclaim(stream, GROUP, consumer, 0, ...ids, 'JUSTID')
    },
    settle: (settled) => settleInStream(parts, { consumer, visibilityMs }, settled),
  })

  // Its own connection: a read that waits holds up everything behind it.
  const reader = connectRedis({ ...parts.connection, log, blockMs: BLOCK_MS }).then((blocking) => ({
    blocking,
    id: trackConnectionId(blocking),
  }))

  const read = async (): Promise<void> => {
    const { blocking } = await reader
    await untilReady(blocking)
    const room = await inHand.room()
    if (room <= 0 || closing) return
    const count = Math.min(room, READ_MAX)
    try {
      const streams = (await blocking.xreadgroup(
        ...(['GROUP', GROUP, consumer, 'COUNT', count, 'BLOCK', BLOCK_MS] as const),
        ...(['STREAMS', stream, '>'] as const),
      )) as [string, Entry[]][] | null
      inHand.take((streams?.[0]?.[1] ?? []).filter(isEntry).map((entry) => toMessage(entry, 1)))
    } catch (error) {
      if (!isGroupMissing(error)) throw error
      await parts.ensureGroup()
    }
  }

  /** Where the next look begins: each sees so many pending entries only, and those in front may all be in good hands. */
  let cursor = FIRST_ENTRY
  const reclaim = async (): Promise<void> => {
    for (let looks = 0; looks < LOOKS_MAX && !closing; looks++) {
      const room = delivery.room()
      if (room <= 0) break
      const found = await reclaimIdle(parts, {
        consumer,
        visibilityMs,
        cursor,
        limit: Math.min(room, RECLAIM_MAX),
        isInHand: inHand.has,
      })
      cursor = found.cursor
      inHand.take(found.messages)
      if (cursor === FIRST_ENTRY) break
    }
    await pause(Math.min(Math.max(visibilityMs / 4, RECLAIM_MS.min), RECLAIM_MS.max))
  }
  let reapedAt = performance.now()
  const reap = async (): Promise<void> => {
    if (performance.now() - reapedAt < REAP_MS) return
    reapedAt = performance.now()
    await reapConsumers(redis, stream)
  }

  let wake: (() => void) | undefined
  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const isClosing = () => closing
  const loops = Promise.all([
    repeatThroughOutages(log, 'read from redis', isClosing, read),
    repeatThroughOutages(log, 'reclaim messages in redis', isClosing, async () => {
      await reclaim()
      await reap()
    }),
  ])
  return {
    async close() {
      closing = true
      wake?.()
      const { blocking, id } = await reader
      const known = await id()
      if (known !== undefined) await redis.call('CLIENT', 'UNBLOCK', String(known)).catch(() => undefined)
      await loops
      blocking.disconnect()
      await inHand.drained()
      await leave(redis, stream, consumer)
    },
  }
}

async function settleInStream(
  { redis, stream, bury, remove, log }: StreamParts,
  { consumer, visibilityMs }: { consumer: string; visibilityMs: number },
  settled: readonly Settled<IncomingMessage>[],
): Promise<void> {
  const over: string[] = []
  const retries = redis.pipeline()
  for (const { message, verdict } of settled) {
    if (verdict.status === 'done') over.push(message.id)
    else if (verdict.status === 'dead') {
      // What cannot be buried comes again when its time is over.
      const buried = bury(message, verdict.reason).then(() => over.push(message.id))
      await buried.catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'cannot bury a message'))
    } else {
      // As if it had shown no sign of life for a while: it is reclaimed when the rest of the time is over.
      const waitMs = retrySeconds(message.receiveCount, visibilityMs / 1000) * 1000
      const idleMs = Math.max(Math.round(visibilityMs - waitMs), 0)
      retries.xclaim(stream, GROUP, consumer, 0, message.id, 'IDLE', idleMs, 'JUSTID')
    }
  }
  await Promise.all([remove(over), retries.length > 0 ? retries.exec() : undefined])
}
