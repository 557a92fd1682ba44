import type { MessageSystemAttributeName, SQSClient } from '@aws-sdk/client-sqs'
import type { Logger } from '../../../platform/index.ts'
import type { IncomingMessage } from '../model.ts'

export interface SqsBrokerOptions {
  queueUrl: string
  /** Where malformed messages go at once; without it they go where the queue's redrive policy sends them, in its time. */
  deadLetterQueueUrl?: string
  region: string
  /** Of an emulator. */
  endpoint?: string
  log: Logger
}

/** Of SQS: messages in one request. */
export const BATCH_MAX = 10
/** Requests at the same time. */
export const AT_ONCE = 8

export const RECEIVE_COUNT = 'ApproximateReceiveCount' satisfies MessageSystemAttributeName
export const GROUP_ID = 'MessageGroupId' satisfies MessageSystemAttributeName

export const isOrdered = (queue: string): boolean => queue.endsWith('.fifo')

/** Runs `work` on batches that are one request each, a few at the same time. */
export async function forEachBatch<T>(
  items: readonly T[],
  work: (batch: readonly T[]) => Promise<void>,
): Promise<void> {
  const starts = Array.from({ length: Math.ceil(items.length / BATCH_MAX) }, (_, index) => index * BATCH_MAX)
  const left = starts.values()
  await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, starts.length) }, async () => {
      for (const start of left) await work(items.slice(start, start + BATCH_MAX))
    }),
  )
}

/** A message that was received, and its delivery. */
export interface Received extends IncomingMessage {
  receiptHandle: string
}

type Sdk = typeof import('@aws-sdk/client-sqs')

export interface Parts {
  sdk: Sdk
  client: SQSClient
  options: SqsBrokerOptions
}

export async function receive(
  { sdk, client }: Parts,
  input: { url: string; limit: number; waitSeconds: number; visibilitySeconds: number },
) {
  const { Messages = [] } = await client.send(
    new sdk.ReceiveMessageCommand({
      QueueUrl: input.url,
      MaxNumberOfMessages: Math.min(input.limit, BATCH_MAX),
      WaitTimeSeconds: input.waitSeconds,
      VisibilityTimeout: input.visibilitySeconds,
      MessageSystemAttributeNames: [RECEIVE_COUNT, GROUP_ID],
      MessageAttributeNames: ['reason'],
    }),
  )
  return Messages
}
