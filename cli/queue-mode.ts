import { createNodeQueues } from '../localstack/create-queues.ts'
import type { Environment } from '../shared/platform/index.ts'
import type { BankName } from './bank-settings.ts'

/** What carries the banks' jobs to their workers. */
export interface QueueMode {
  driver: 'postgres' | 'redis' | 'sqs'
  /** In words. */
  about: string
  /** What both banks' deployables read of it. Queues that are not there are made. */
  environmentOf(bank: BankName): Promise<Record<string, string>>
}

const DATABASES: Record<BankName, number> = { a: 0, b: 1 }

/** The banks share one server, and nothing else: each has a database of its own there, from the one that the URL names. */
export function redisUrlOf(url: string, bank: BankName): string {
  const parsed = new URL(url)
  const first = Number(parsed.pathname.slice(1) || '0')
  if (!Number.isInteger(first)) throw new Error(`REDIS_URL: ${parsed.pathname} is no number of a database`)
  parsed.pathname = `/${first + DATABASES[bank]}`
  return parsed.href
}

/**
 * What the environment of `npm start` asks for: `AWS_ENDPOINT_URL` is an emulator of SQS, `REDIS_URL` a Redis. With both the queues
 * are in SQS, and Redis holds what it holds anyway. QUEUE_DRIVER decides otherwise.
 */
export function chooseQueueMode(env: Environment): QueueMode {
  const redisUrl = env.REDIS_URL && env.REDIS_URL !== 'none' ? env.REDIS_URL : undefined
  const { AWS_ENDPOINT_URL: endpoint } = env
  const driver = env.QUEUE_DRIVER || (endpoint ? 'sqs' : redisUrl ? 'redis' : 'postgres')
  const redisOf = (bank: BankName): Record<string, string> =>
    redisUrl === undefined ? {} : { REDIS_URL: redisUrlOf(redisUrl, bank) }
  switch (driver) {
    case 'postgres':
      return { driver, about: 'jobs in PostgreSQL', environmentOf: async (bank) => redisOf(bank) }
    case 'redis':
      if (redisUrl === undefined) throw new Error('QUEUE_DRIVER=redis needs REDIS_URL')
      return {
        driver,
        about: `jobs by Redis streams at ${new URL(redisUrl).host}`,
        environmentOf: async (bank) => ({ QUEUE_DRIVER: driver, ...redisOf(bank) }),
      }
    case 'sqs':
      if (!endpoint) throw new Error('QUEUE_DRIVER=sqs needs AWS_ENDPOINT_URL here: npm start makes queues')
      return {
        driver,
        about: `jobs by SQS at ${new URL(endpoint).host}`,
        environmentOf: async (bank) => ({
          QUEUE_DRIVER: driver,
          ...redisOf(bank),
          ...(await sqsOf(endpoint, env, bank)),
        }),
      }
    default:
      throw new Error('QUEUE_DRIVER must be postgres, redis or sqs')
  }
}

async function sqsOf(endpoint: string, env: Environment, bank: BankName): Promise<Record<string, string>> {
  const { SQSClient } = await import('@aws-sdk/client-sqs')
  const region = env.AWS_REGION || 'us-east-1'
  const client = new SQSClient({ endpoint, region })
  try {
    const queues = await createNodeQueues(client, (name) => `${name}-bank-${bank}`)
    return { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, ...queues }
  } finally {
    client.destroy()
  }
}
