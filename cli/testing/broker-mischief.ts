import { setTimeout as sleep } from 'node:timers/promises'
import { PurgeQueueCommand, ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { connectRedis, createDb, silentLogger, sql } from '../../shared/platform/index.ts'

/** What somebody does to a bank's queues who may do anything that brokers do. */
export interface Mischief {
  /** A message, or a job, is given out once more, sooner or later. */
  duplicate(): Promise<void>
  /** Somebody takes messages and is never heard of again. */
  steal(): Promise<void>
  /** Everything on its way is gone. */
  purge(): Promise<void>
  close(): Promise<void>
}

const COMMAND_WAIT_MS = 20_000

type Environment = Readonly<Record<string, string>>

const pick = <T>(items: readonly T[], random: () => number): T | undefined =>
  items[Math.floor(random() * items.length)]

/** Remembers what it has seen, so that duplicates also come long after the end. */
function createMemory(random: () => number) {
  const seen = new Set<string>()
  return {
    see: (body: string) => void seen.add(body),
    any: () => pick([...seen], random),
  }
}

export async function redisMischief(environment: Environment, random: () => number): Promise<Mischief> {
  // Mischief waits for a machine that is busy with it.
  const redis = await connectRedis({
    url: environment.REDIS_URL ?? '',
    log: silentLogger,
    blockMs: COMMAND_WAIT_MS,
  })
  while (redis.status !== 'ready') await sleep(5)
  const memory = createMemory(random)
  const streams = ['upesi:queue:webhooks', 'upesi:queue:payments']
  const anyStream = () => pick(streams, random) ?? ''
  return {
    async duplicate() {
      const stream = anyStream()
      for (const [, [, body]] of await redis.xrange(stream, '-', '+', 'COUNT', 50))
        if (body !== undefined) memory.see(`${stream}\n${body}`)
      const [place, body] = memory.any()?.split('\n') ?? []
      if (place !== undefined && body !== undefined) await redis.xadd(place, '*', 'body', body)
    },
    async steal() {
      // While there is no group there is nothing to take either.
      await redis
        .xreadgroup('GROUP', 'upesi', 'thief', 'COUNT', 2, 'STREAMS', anyStream(), '>')
        .catch(() => undefined)
    },
    async purge() {
      await redis.flushdb()
    },
    close: async () => redis.disconnect(),
  }
}

export function sqsMischief(environment: Environment, random: () => number): Mischief {
  const client = new SQSClient({
    endpoint: environment.AWS_ENDPOINT_URL ?? '',
    region: environment.AWS_REGION ?? '',
  })
  const queues = [environment.SQS_WEBHOOKS_QUEUE_URL ?? '', environment.SQS_PAYMENTS_QUEUE_URL ?? '']
  const memory = createMemory(random)
  const anyQueue = () => pick(queues, random) ?? ''
  const take = async (queue: string, hiddenSeconds: number) => {
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl: queue,
        MaxNumberOfMessages: 2,
        VisibilityTimeout: hiddenSeconds,
        WaitTimeSeconds: 0,
      }),
    )
    for (const { Body } of Messages) if (Body !== undefined) memory.see(`${queue}\n${Body}`)
  }
  return {
    async duplicate() {
      await take(anyQueue(), 0)
      const [queue, body] = memory.any()?.split('\n') ?? []
      if (queue !== undefined && body !== undefined)
        await client.send(new SendMessageCommand({ QueueUrl: queue, MessageBody: body }))
    },
    steal: () => take(anyQueue(), 5),
    async purge() {
      for (const queue of queues) await client.send(new PurgeQueueCommand({ QueueUrl: queue }))
    },
    close: async () => client.destroy(),
  }
}

/** Without a broker it is the table itself: leases end early, jobs come sooner, later and again. Rows are never lost: they are the truth. */
export function postgresMischief(connectionString: string, random: () => number): Mischief {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  return {
    async duplicate() {
      await db.execute(sql`
        update jobs set requested = requested + 1, run_at = now() + ${random() / 2}::float8 * interval '1 second'
        where random() < 0.3`)
    },
    async steal() {
      await db.execute(sql`
        update jobs set lease_until = now() + case when random() < 0.5 then interval '0' else interval '5 seconds' end,
          lease_token = lease_token + 1 where random() < 0.1`)
    },
    async purge() {
      await db.execute(sql`update jobs set lease_until = null, run_at = now()`)
    },
    close: () => db.close(),
  }
}
