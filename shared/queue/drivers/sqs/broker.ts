import type { Broker, OutgoingMessage } from '../model.ts'
import { consumeSqs } from './consume.ts'
import { bury, listDeadLetters, redrive } from './dead-letters.ts'
import { forEachBatch, type Parts, type SqsBrokerOptions } from './requests.ts'
import { sendBatch } from './send.ts'

const CONNECT_MS = 2_000
/** A request without an answer for so long is given up. */
const SILENCE_MS = 5_000

/**
 * A queue of SQS. In a standard queue messages carry their tenant as group, by which SQS deals fairly with many (fair queues); in a
 * FIFO queue their job, so that different jobs never wait for each other.
 */
export async function createSqsBroker(options: SqsBrokerOptions): Promise<Broker> {
  // Loaded when it is needed: it costs the cold start of those who do not. By `default`, the one name that bundles have for it.
  const { default: sdk } = await import('@aws-sdk/client-sqs')
  const client = new sdk.SQSClient({
    region: options.region,
    ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: SILENCE_MS,
      throwOnRequestTimeout: true,
    },
  })
  const parts: Parts = { sdk, client, options }
  const { queueUrl: QueueUrl, deadLetterQueueUrl } = options

  return {
    async send(messages) {
      const outcomes = new Map<OutgoingMessage, Error>()
      await forEachBatch(messages, async (batch) => {
        for (const [message, error] of await sendBatch(parts, batch)) outcomes.set(message, error)
      })
      return messages.map((message) => outcomes.get(message))
    },
    consume: (handler, delivery) => consumeSqs(parts, handler, delivery),
    bury: (message, reason) => bury(parts, message, reason),
    async depth() {
      const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
      const read = async (url: string): Promise<[visible: number, hidden: number]> => {
        const { Attributes = {} } = await client.send(
          new sdk.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] }),
        )
        return [Number(Attributes[names[0]] ?? 0), Number(Attributes[names[1]] ?? 0)]
      }
      const [waiting, inFlight] = await read(QueueUrl)
      const [dead, looked] = deadLetterQueueUrl === undefined ? [0, 0] : await read(deadLetterQueueUrl)
      return { waiting, inFlight, dead: dead + looked }
    },
    listDeadLetters: (limit) => listDeadLetters(parts, limit),
    redrive: (limit) => redrive(parts, limit),
    async close() {
      client.destroy()
    },
  }
}
