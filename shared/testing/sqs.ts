import { randomBytes } from 'node:crypto'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { type CreatedQueue, createQueue } from '../../localstack/create-queues.ts'
import { type BrokerQueueDefinition, brokerQueues } from '../../localstack/queues.ts'

export type TestQueue = CreatedQueue

export interface TestSqs {
  endpoint: string
  region: string
  /** For child processes, and for deployables beside the queues' variables. */
  environment: Readonly<Record<string, string>>
  /** Queues as localstack/queues.json has them, under names of the test's own. */
  createQueue(
    id: BrokerQueueDefinition['id'],
    options?: { isOrdered?: boolean; attributes?: Readonly<Record<string, string>> },
  ): Promise<TestQueue>
  client: SQSClient
  purge(url: string): Promise<void>
  stop(): Promise<void>
}

const REGION = 'us-east-1'

/** The emulator at AWS_ENDPOINT_URL, or one in this process. */
export async function startTestSqs(): Promise<TestSqs> {
  // Loaded when it is needed: most tests never do.
  const sdk = await import('@aws-sdk/client-sqs')
  const given = process.env.AWS_ENDPOINT_URL
  const server = given ? undefined : await (await import('fauxqs')).startFauxqs({ port: 0, logger: false })
  const endpoint = given ?? server?.address ?? ''
  // The SDK looks for credentials itself, and no emulator asks whose they are.
  process.env.AWS_ACCESS_KEY_ID ??= 'test'
  process.env.AWS_SECRET_ACCESS_KEY ??= 'test'
  const region = process.env.AWS_REGION ?? REGION
  const client = new sdk.SQSClient({ endpoint, region })
  const made: string[] = []
  const run = randomBytes(4).toString('hex')

  async function drain(url: string): Promise<void> {
    for (;;) {
      const { Messages = [] } = await client.send(
        new sdk.ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10 }),
      )
      if (Messages.length === 0) return
      const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }))
      await client.send(new sdk.DeleteMessageBatchCommand({ QueueUrl: url, Entries }))
    }
  }

  return {
    endpoint,
    region,
    client,
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY,
    },
    async createQueue(id, { isOrdered = false, attributes = {} } = {}) {
      const definition = brokerQueues.find((queue) => queue.id === id)
      if (!definition) throw new Error(`no queue ${id}`)
      const suffix = `-${run}-${made.length}${isOrdered ? '.fifo' : ''}`
      const kind: Record<string, string> = isOrdered ? { FifoQueue: 'true' } : {}
      const created = await createQueue(client, definition, {
        nameOf: (name) => `${name}${suffix}`,
        attributes: kind,
        more: attributes,
      })
      made.push(created.url, created.deadLetterUrl)
      return created
    },
    async purge(url) {
      try {
        await client.send(new sdk.PurgeQueueCommand({ QueueUrl: url }))
      } catch (error) {
        if ((error as Error).name !== 'PurgeQueueInProgress') throw error
        // As AWS does, some emulators do so once a minute.
        await drain(url)
      }
    },
    async stop() {
      if (given) for (const url of made) await client.send(new sdk.DeleteQueueCommand({ QueueUrl: url }))
      client.destroy()
      await server?.stop()
    },
  }
}
