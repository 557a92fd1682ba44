import { messageOf } from '../../../platform/index.ts'
import { type IncomingMessage, RECEIVES_MAX } from '../model.ts'
import { answersOf, type Entry, GROUP, isEntry, isGroupMissing, type Stream, toMessage } from './stream.ts'

export const FIRST_ENTRY = '0-0'

/** What nobody has shown a sign of life of is ours now; what that has happened to too often is dead. */
export async function reclaimIdle(
  { redis, stream, bury, remove, log }: Stream,
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
  for (const message of messages.filter(({ receiveCount }) => receiveCount > RECEIVES_MAX))
    await bury(message, `delivered ${RECEIVES_MAX} times in vain`).then(
      () => remove([message.id]),
      // It is looked at again; the others go on meanwhile.
      (error: unknown) => log.warn({ reason: messageOf(error) }, 'cannot bury a message'),
    )
  return { messages: messages.filter(({ receiveCount }) => receiveCount <= RECEIVES_MAX), cursor }
}
