import { type Logger, messageOf, type Redis } from '../../../platform/index.ts'
import type { Broker, IncomingMessage } from '../model.ts'

export const GROUP = 'upesi'
/** The oldest go when there are more. */
const DEAD_LETTERS_MAX = 100_000

export type Entry = [id: string, fields: string[]]

export const toMessage = ([id, fields]: Entry, receiveCount: number): IncomingMessage => ({
  id,
  body: fieldOf(fields, 'body') ?? '',
  receiveCount,
})

/** Fields come as a flat list of names and values. */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return fields[index + 1]
  return undefined
}

/** Entries that were deleted meanwhile come as null. */
export const isEntry = (entry: unknown): entry is Entry => Array.isArray(entry) && Array.isArray(entry[1])

/** The queue was deleted: the group comes back with the next attempt. */
export const isGroupMissing = (error: unknown): boolean => messageOf(error).startsWith('NOGROUP')

/** A pipeline's answers; throws the first error among them. */
export async function answersOf(pipeline: ReturnType<Redis['pipeline']>): Promise<unknown[]> {
  const answers = (await pipeline.exec()) ?? []
  return answers.map(([error, answer]) => {
    if (error) throw error
    return answer
  })
}

/** A stream with its group, and the one of its dead letters. */
export interface Stream {
  redis: Redis
  stream: string
  dead: string
  log: Logger
  ensureGroup(): Promise<void>
  bury: Broker['bury']
  /** Entries that have ended are deleted, so that what is in the stream is what is left to do. */
  remove(ids: readonly string[]): Promise<void>
}

export function streamOf(redis: Redis, stream: string, log: Logger): Stream {
  const dead = `${stream}:dead`
  return {
    redis,
    stream,
    dead,
    log,
    async ensureGroup() {
      // From the beginning: messages may have been sent before anybody listened.
      await redis.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch((error: unknown) => {
        if (!messageOf(error).startsWith('BUSYGROUP')) throw error
      })
    },
    async bury({ id, body }, reason) {
      await redis.xadd(dead, 'MAXLEN', '~', DEAD_LETTERS_MAX, '*', 'body', body, 'reason', reason, 'id', id)
    },
    async remove(ids) {
      if (ids.length > 0)
        await answersOf(
          redis
            .pipeline()
            .xack(stream, GROUP, ...ids)
            .xdel(stream, ...ids),
        )
    },
  }
}
