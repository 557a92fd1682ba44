import type { Redis } from '../../../platform/index.ts'
import { GROUP } from './stream.ts'

/** Consumers of processes that ended long ago are taken off the group's list. */
const CONSUMER_IDLE_MS_MAX = 3_600_000

type ConsumerInfo = ReadonlyMap<string, unknown>

async function consumersOf(redis: Redis, stream: string): Promise<ConsumerInfo[]> {
  const rows = (await redis.xinfo('CONSUMERS', stream, GROUP)) as unknown[][]
  return rows.map(
    (row) => new Map(row.flatMap((name, index) => (index % 2 === 0 ? [[String(name), row[index + 1]]] : []))),
  )
}

/** One that has messages is left: with it they would be forgotten. */
export async function reapConsumers(redis: Redis, stream: string): Promise<void> {
  for (const info of await consumersOf(redis, stream))
    if (Number(info.get('pending')) === 0 && Number(info.get('idle')) > CONSUMER_IDLE_MS_MAX)
      await redis.xgroup('DELCONSUMER', stream, GROUP, String(info.get('name')))
}

export async function leave(redis: Redis, stream: string, consumer: string): Promise<void> {
  try {
    const own = (await consumersOf(redis, stream)).find((info) => info.get('name') === consumer)
    if (own && Number(own.get('pending')) === 0) await redis.xgroup('DELCONSUMER', stream, GROUP, consumer)
  } catch {
    // The others take it off the list in time.
  }
}
