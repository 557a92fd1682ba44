import middy from '@middy/core'
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { isObject } from '../platform/index.ts'
import { handleMessages, type IncomingMessage, type MessageWorker } from '../queue/index.ts'
import { EventRefused } from './errors.ts'
import { createHandler, type Sandbox } from './invocation.ts'

export type QueueHandler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>

/** A worker that is handed messages, open. */
export interface QueueSandbox extends Sandbox {
  worker: Pick<MessageWorker, 'handle'>
  /** Puts a message that can never be worked on to the dead letters. */
  bury(message: IncomingMessage, reason: string): Promise<void>
}

const isSqsEvent = (event: unknown): event is SQSEvent =>
  isObject(event) &&
  Array.isArray(event.Records) &&
  event.Records.length > 0 &&
  event.Records.every((record) => isObject(record) && record.eventSource === 'aws:sqs')

/** A first-in-first-out queue's order is kept within its groups: after one that failed come the others again. */
const messagesOf = (event: SQSEvent): IncomingMessage[] =>
  event.Records.map((record) => ({
    id: record.messageId,
    body: record.body,
    receiveCount: Number(record.attributes.ApproximateReceiveCount),
    ...(record.eventSourceARN.endsWith('.fifo') && { orderedGroup: record.attributes.MessageGroupId ?? '' }),
  }))

const refuseOthers = {
  before: ({ event }: { event: unknown }): void => {
    if (!isSqsEvent(event)) throw new EventRefused('the event is no batch of SQS messages')
  },
}

/**
 * A queue's worker as a function of Lambda. Answers which messages must be delivered again: the event source mapping must report
 * batch item failures. Without it a batch that failed in part would be taken as done.
 */
export const createQueueHandler = (
  open: () => Promise<QueueSandbox>,
  options: { opensLater?: boolean } = {},
): QueueHandler => {
  const handle = createHandler(
    open,
    async ({ worker, bury }, event: SQSEvent): Promise<SQSBatchResponse> => {
      const { failures } = await handleMessages(worker, messagesOf(event), bury)
      return { batchItemFailures: failures.map((itemIdentifier) => ({ itemIdentifier })) }
    },
    options,
  )
  return middy<SQSEvent, SQSBatchResponse>().use(refuseOthers).handler(handle) as QueueHandler
}
