import { connectRedis, silentLogger } from '../platform/index.ts'
import { type Broker, type BrokerQueue, type BrokerSettings, openBroker } from '../queue/index.ts'
import { startTestRedis } from './redis.ts'
import { startTestSqs } from './sqs.ts'
import { waitFor } from './wait-for.ts'

export type BrokerKind = 'redis' | 'sqs'

export interface TestBroker {
  kind: BrokerKind
  settings: BrokerSettings
  /** The same as variables, for deployables and child processes. */
  environment: Readonly<Record<string, string>>
  /** As another process has it: each has connections of its own, which are closed at the end. */
  open(queue: BrokerQueue): Promise<Broker>
  /** Everything is gone. */
  purge(): Promise<void>
  /** It is gone meanwhile, and comes back at the same place with nothing. Only of a server that is the test's own. */
  away?(meanwhile: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

const NO_SETTINGS = {
  redisUrl: 'none',
  redisCaFile: undefined,
  redisKeyFile: undefined,
  redisCertFile: undefined,
  sqsWebhooksQueueUrl: undefined,
  sqsPaymentsQueueUrl: undefined,
  sqsWebhooksDeadLetterQueueUrl: undefined,
  sqsPaymentsDeadLetterQueueUrl: undefined,
  awsRegion: undefined,
  awsEndpointUrl: undefined,
}

/** A broker of the test's own with both queues. `undefined` where there is no Redis (see {@link startTestRedis}). */
export async function startTestBroker(kind: BrokerKind): Promise<TestBroker | undefined> {
  const parts = kind === 'redis' ? await redisParts() : await sqsParts()
  if (!parts) return undefined
  const brokers: Broker[] = []
  return {
    kind,
    ...parts,
    async open(queue) {
      const broker = await openBroker({ log: silentLogger }, parts.settings, queue)
      if (!broker) throw new Error('a broker is configured')
      brokers.push(broker)
      return broker
    },
    async stop() {
      for (const broker of brokers) await broker.close()
      await parts.stop()
    },
  }
}

type Parts = Pick<TestBroker, 'settings' | 'environment' | 'purge' | 'away' | 'stop'>

async function redisParts(): Promise<Parts | undefined> {
  const server = await startTestRedis()
  if (!server) return undefined
  const admin = await connectRedis({ url: server.url, log: silentLogger })
  return {
    settings: { ...NO_SETTINGS, queueDriver: 'redis', redisUrl: server.url },
    environment: { QUEUE_DRIVER: 'redis', REDIS_URL: server.url },
    async purge() {
      // After an outage its connection takes a moment.
      await waitFor(() =>
        admin.flushall().then(
          () => true,
          () => false,
        ),
      )
    },
    async away(meanwhile) {
      await server.kill()
      await meanwhile()
      await server.start()
    },
    async stop() {
      admin.disconnect()
      await server.stop()
    },
  }
}

async function sqsParts(): Promise<Parts> {
  const server = await startTestSqs()
  const webhooks = await server.createQueue('webhooks')
  const payments = await server.createQueue('payments')
  return {
    settings: {
      ...NO_SETTINGS,
      queueDriver: 'sqs',
      sqsWebhooksQueueUrl: webhooks.url,
      sqsPaymentsQueueUrl: payments.url,
      sqsWebhooksDeadLetterQueueUrl: webhooks.deadLetterUrl,
      sqsPaymentsDeadLetterQueueUrl: payments.deadLetterUrl,
      awsRegion: server.region,
      awsEndpointUrl: server.endpoint,
    },
    environment: {
      ...server.environment,
      QUEUE_DRIVER: 'sqs',
      SQS_WEBHOOKS_QUEUE_URL: webhooks.url,
      SQS_PAYMENTS_QUEUE_URL: payments.url,
      SQS_WEBHOOKS_DEAD_LETTER_QUEUE_URL: webhooks.deadLetterUrl,
      SQS_PAYMENTS_DEAD_LETTER_QUEUE_URL: payments.deadLetterUrl,
    },
    async purge() {
      for (const { url, deadLetterUrl } of [webhooks, payments]) {
        await server.purge(url)
        await server.purge(deadLetterUrl)
      }
    },
    stop: server.stop,
  }
}
