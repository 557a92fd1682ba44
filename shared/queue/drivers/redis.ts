import { randomUUID } from 'node:crypto'
import {
  assert,
  connectRedis,
  type Logger,
  messageOf,
  type Redis,
  type RedisOptions,
} from '../../platform/index.ts'
import { createInHand, type Settled } from './in-hand.ts'
import {
  type Broker,
  type IncomingMessage,
  type MessageConsumer,
  type OutgoingMessage,
  RECEIVES_MAX,
  retrySeconds,
} from './model.ts'
import { repeatThroughOutages } from './outage.ts'

export interface RedisBrokerOptions extends Omit<RedisOptions, 'log' | 'blockMs'> {
  /** Key of the stream; dead letters are in the one with `:dead` behind it. */
  stream: string
  log: Logger
}

const GROUP = 'upesi'
/** A read waits for so long. Closing does not: it unblocks the read. */
const BLOCK_MS = 1_000
const READ_MAX = 200
const RECLAIM_MAX = 100
/** One after the other; the next ones come after a pause. */
const LOOKS_MAX = 20
const FIRST_ENTRY = '0-0'
const RECLAIM_MS = { min: 100, max: 1_000 }
/** Consumers of processes that ended long ago are taken off the group's list. */
const REAP_MS = 600_000
const CONSUMER_IDLE_MS_MAX = 3_600_000
/** The oldest go when there are more. */
const DEAD_LETTERS_MAX = 100_000

type Entry = [id: string, fields: string[]]

const toMessage = ([id, fields]: Entry, receiveCount: number): IncomingMessage => ({
  id,
  body: fieldOf(fields, 'body') ?? '',
  receiveCount,
})

/** Fields come as a flat list of names and values. */
function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return fields[index + 1]
  return undefined
}

/** Entries that were deleted meanwhile come as null. */
const isEntry = (entry: unknown): entry is Entry => Array.isArray(entry) && Array.isArray(entry[1])

/** The queue was deleted: the group comes back with the next attempt. */
const isGroupMissing = (error: unknown): boolean => messageOf(error).startsWith('NOGROUP')

/** A pipeline's answers; throws the first error among them. */
async function answersOf(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}

/**
 * A queue that is a stream with a consumer group. Entries that ended are deleted, so that what is in the stream is what is left to
 * do. Commands fail at once while there is no connection: whoever sends tries again, and what is not acknowledged comes again.
 */
export async function createRedisBroker(options: RedisBrokerOptions): Promise<Broker> {
  const { stream, log, ...connection } = options
  const dead = `${stream}:dead`
  const redis = await connectRedis({ ...connection, log })
  await untilReady(redis)

  const ensureGroup = async (): Promise<void> => {
    // From the beginning: messages may have been sent before anybody listened.
    await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch((error: unknown) => {
      if (!messageOf(error).startsWith('BUSYGROUP')) throw error
    })
  }

  const bury: Broker['bury'] = async ({ id, body }, reason) => {
    await redis.xadd(dead, 'MAXLEN', '~', DEAD_LETTERS_MAX, '*', 'body', body, 'reason', reason, 'id', id)
  }

  const remove = async (ids: readonly string[]): Promise<void> => {
    if (ids.length > 0)
      await answersOf(
        redis
          .pipeline()
          .xack(stream, GROUP, ...ids)
          .xdel(stream, ...ids),
      )
  }

  return {
    async send(messages) {
      const pipeline = redis.pipeline()
      for (const { body } of messages) pipeline.xadd(stream, '*', 'body', body)
      return await outcomesOf(pipeline, messages)
    },
    consume: (handler, delivery) =>
      consumeStream({ redis, connection, stream, log, ensureGroup, bury, remove }, handler, delivery),
    bury,
    async depth() {
      const [length, pending, buried] = await answersOf(
        redis.pipeline().xlen(stream).xpending(stream, GROUP).xlen(dead),
      ).catch(async (error: unknown) => {
        if (!isGroupMissing(error)) throw error
        return [await redis.xlen(stream), [0], await redis.xlen(dead)]
      })
      const inFlight = Number((pending as unknown[])[0])
      return { waiting: Math.max(Number(length) - inFlight, 0), inFlight, dead: Number(buried) }
    },
    async listDeadLetters(limit) {
      const entries = await redis.xrange(dead, '-', '+', 'COUNT', limit)
      return entries.map(([id, fields]) => ({
        id,
        body: fieldOf(fields, 'body') ?? '',
        reason: fieldOf(fields, 'reason') ?? '',
      }))
    },
    async redrive(limit) {
      const entries = await redis.xrange(dead, '-', '+', 'COUNT', limit)
      for (const [id, fields] of entries) {
        await redis.xadd(stream, '*', 'body', fieldOf(fields, 'body') ?? '')
        await redis.xdel(dead, id)
      }
      return entries.length
    },
    async close() {
      redis.disconnect()
    },
  }
}

async function outcomesOf(
  pipeline: ReturnType<Redis['pipeline']>,
  messages: readonly OutgoingMessage[],
): Promise<(Error | undefined)[]> {
  try {
    const answers = (await pipeline.exec()) ?? []
    assert(answers.length === messages.length, 'an answer for each message')
    return answers.map(([error]) => error ?? undefined)
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(messageOf(error))
    return messages.map(() => failure)
  }
}

/** Waits a moment for a connection: without one every command would fail at once. */
async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer)
      redis.off('ready', end)
      resolve()
    }
    const timer = setTimeout(end, BLOCK_MS)
    redis.once('ready', end)
  })
}

/** What the server calls this connection, each time that there is one: by that name another can end its waiting. */
function trackConnectionId(redis: Redis): () => Promise<unknown> | undefined {
  let id: Promise<unknown> | undefined
  const ask = () => {
    id = redis.client('ID').catch(() => undefined)
  }
  redis.on('ready', ask)
  if (redis.status === 'ready') ask()
  return () => id
}

interface StreamParts {
  redis: Redis
  connection: Omit<RedisOptions, 'log' | 'blockMs'>
  stream: string
  log: Logger
  ensureGroup(): Promise<void>
  bury: Broker['bury']
  remove(ids: readonly string[]): Promise<void>
}

function consumeStream(
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
  /** What nobody has shown a sign of life of is ours now; what that has happened to too often is dead. */
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
  { redis, stream, bury, remove }: StreamParts,
  { consumer, visibilityMs }: { consumer: string; visibilityMs: number },
  settled: readonly Settled<IncomingMessage>[],
): Promise<void> {
  const over: string[] = []
  const retries = redis.pipeline()
  for (const { message, verdict } of settled) {
    if (verdict.status === 'done') over.push(message.id)
    else if (verdict.status === 'dead') {
      await bury(message, verdict.reason)
      over.push(message.id)
    } else {
      // As if it had shown no sign of life for a while: it is reclaimed when the rest of the time is over.
      const waitMs = retrySeconds(message.receiveCount, visibilityMs / 1000) * 1000
      const idleMs = Math.max(Math.round(visibilityMs - waitMs), 0)
      retries.xclaim(stream, GROUP, consumer, 0, message.id, 'IDLE', idleMs, 'JUSTID')
    }
  }
  await Promise.all([remove(over), retries.length > 0 ? retries.exec() : undefined])
}

async function reclaimIdle(
  { redis, stream, bury, remove }: StreamParts,
  input: {
    consumer: string
    visibilityMs: number
    cursor: string
    limit: number
    isInHand(id: string): boolean
  },
): Promise<{ messages: IncomingMessage[]; cursor: string }> {
  const answer = (await redis
    .xautoclaim(
      ...([stream, GROUP, input.consumer, Math.round(input.visibilityMs), input.cursor] as const),
      ...(['COUNT', input.limit] as const),
    )
    .catch((error: unknown) => {
      if (isGroupMissing(error)) return undefined
      throw error
    })) as [string, (Entry | null)[]] | undefined
  const [cursor, found] = answer ?? [FIRST_ENTRY, []]
  const entries = found.filter(isEntry).filter(([id]) => !input.isInHand(id))
  if (entries.length === 0) return { messages: [], cursor }
  const pending = redis.pipeline()
  for (const [id] of entries) pending.xpending(stream, GROUP, id, id, 1)
  const counts = (await answersOf(pending)).map((rows) => Number((rows as unknown[][])[0]?.[3] ?? 1))
  const messages = entries.map((entry, index) => toMessage(entry, counts[index] ?? 1))
  for (const message of messages.filter(({ receiveCount }) => receiveCount > RECEIVES_MAX)) {
    await bury(message, `delivered ${RECEIVES_MAX} times in vain`)
    await remove([message.id])
  }
  return { messages: messages.filter(({ receiveCount }) => receiveCount <= RECEIVES_MAX), cursor }
}

type ConsumerInfo = ReadonlyMap<string, unknown>

async function consumersOf(redis: Redis, stream: string): Promise<ConsumerInfo[]> {
  const rows = (await redis.xinfo('CONSUMERS', stream, GROUP)) as unknown[][]
  return rows.map(
    (row) => new Map(row.flatMap((name, index) => (index % 2 === 0 ? [[String(name), row[index + 1]]] : []))),
  )
}

/** One that has messages is left: with it they would be forgotten. */
async function reapConsumers(redis: Redis, stream: string): Promise<void> {
  for (const info of await consumersOf(redis, stream))
    if (Number(info.get('pending')) === 0 && Number(info.get('idle')) > CONSUMER_IDLE_MS_MAX)
      await redis.xgroup('DELCONSUMER', stream, GROUP, String(info.get('name')))
}

async function leave(redis: Redis, stream: string, consumer: string): Promise<void> {
  try {
    const own = (await consumersOf(redis, stream)).find((info) => info.get('name') === consumer)
    if (own && Number(own.get('pending')) === 0) await redis.xgroup('DELCONSUMER', stream, GROUP, consumer)
  } catch {
    // The others take it off the list in time.
  }
}
