import {
  assert,
  connectRedis,
  type Logger,
  messageOf,
  type Redis,
  type RedisOptions,
} from '../../../platform/index.ts'
import type { Broker, OutgoingMessage } from '../model.ts'
import { untilReady } from './connection.ts'
import { consumeStream } from './consume.ts'
import { answersOf, fieldOf, GROUP, isGroupMissing, streamOf } from './stream.ts'

export interface RedisBrokerOptions extends Omit<RedisOptions, 'log' | 'blockMs'> {
  /** Key of the stream; dead letters are in the one with `:dead` behind it. */
  stream: string
  log: Logger
}

/**
 * A queue that is a stream with a consumer group. Entries that ended are deleted, so that what is in the stream is what is left to
 * do. Commands fail at once while there is no connection: whoever sends tries again, and what is not acknowledged comes again.
 */
export async function createRedisBroker(options: RedisBrokerOptions): Promise<Broker> {
  const { stream, log, ...connection } = options
  const redis = await connectRedis({ ...connection, log })
  await untilReady(redis)
  const parts = streamOf(redis, stream, log)
  const { dead, bury } = parts

  return {
    async send(messages) {
      const pipeline = redis.pipeline()
      for (const { body } of messages) pipeline.xadd(stream, '*', 'body', body)
      return await outcomesOf(pipeline, messages)
    },
    consume: (handler, delivery) => consumeStream({ ...parts, connection }, handler, delivery),
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
