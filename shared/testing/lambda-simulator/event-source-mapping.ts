import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import type { SQSBatchItemFailure, SQSEvent, SQSMessageAttribute, SQSRecord } from 'aws-lambda'
import { ACCOUNT_ID, type FunctionOptions, invokeFunction, type LambdaHandler, REGION } from './invoke.ts'

export interface EventSourceMappingOptions extends FunctionOptions {
  client: SQSClient
  queueUrl: string
  /** Most messages of one invocation. */
  batchSizeMax?: number
  /** Invocations at the same time. */
  concurrencyMax?: number
  /** Hears how each invocation ended: what failed of the batch, or that all of it did. */
  onBatch?: (batch: { records: SQSRecord[]; failedIds: string[]; error?: unknown }) => void
}

export interface EventSourceMapping {
  /** Takes no more, and waits for the invocations under way. */
  close(): Promise<void>
}

type Attributes = Record<string, string>

function toRecord(message: Message, queueUrl: string): SQSRecord {
  const messageAttributes = Object.entries(message.MessageAttributes ?? {}).map(
    ([name, { DataType, StringValue, BinaryValue }]): [string, SQSMessageAttribute] => [
      name,
      {
        ...(StringValue !== undefined && { stringValue: StringValue }),
        ...(BinaryValue !== undefined && { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
        stringListValues: [] as never[],
        binaryListValues: [] as never[],
        dataType: (DataType ?? 'String') as SQSMessageAttribute['dataType'],
      },
    ],
  )
  return {
    messageId: message.MessageId ?? '',
    receiptHandle: message.ReceiptHandle ?? '',
    body: message.Body ?? '',
    attributes: (message.Attributes ?? {}) as Attributes as unknown as SQSRecord['attributes'],
    messageAttributes: Object.fromEntries(messageAttributes),
    md5OfBody: message.MD5OfBody ?? '',
    eventSource: 'aws:sqs',
    eventSourceARN: `arn:aws:sqs:${REGION}:${ACCOUNT_ID}:${new URL(queueUrl).pathname.split('/').at(-1)}`,
    awsRegion: REGION,
  }
}

/** An answer without a list means that all went well; a list that names what was not in the batch, that nothing did. */
function failedOf(answer: unknown, records: readonly SQSRecord[]): string[] {
  const ids = records.map(({ messageId }) => messageId)
  const failures = (answer as { batchItemFailures?: SQSBatchItemFailure[] } | undefined | null)
    ?.batchItemFailures
  if (!failures) return []
  const failed = failures.map(({ itemIdentifier }) => itemIdentifier)
  return failed.every((id) => ids.includes(id)) ? failed : ids
}

async function runBatch(
  handler: LambdaHandler,
  messages: Message[],
  options: EventSourceMappingOptions,
): Promise<void> {
  const { client, queueUrl, onBatch, ...functionOptions } = options
  const records = messages.map((message) => toRecord(message, queueUrl))
  const event: SQSEvent = { Records: records }
  let failedIds: string[]
  let error: unknown
  try {
    failedIds = failedOf(await invokeFunction(handler, event, functionOptions), records)
  } catch (thrown) {
    error = thrown
    failedIds = records.map(({ messageId }) => messageId)
  }
  const done = records.filter(({ messageId }) => !failedIds.includes(messageId))
  if (done.length > 0)
    await client.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: done.map(({ messageId, receiptHandle }) => ({
          Id: messageId,
          ReceiptHandle: receiptHandle,
        })),
      }),
    )
  onBatch?.({ records, failedIds, ...(error !== undefined && { error }) })
}

/**
 * What Lambda does between a queue and a function with ReportBatchItemFailures: receives, invokes, deletes what did not fail.
 * What failed is left alone, and the queue gives it out again when its visibility timeout is over.
 */
export function startEventSourceMapping(
  handler: LambdaHandler,
  options: EventSourceMappingOptions,
): EventSourceMapping {
  const { client, queueUrl, batchSizeMax = 10, concurrencyMax = 2 } = options
  const closing = new AbortController()
  const poll = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const received = await client
        .send(
          new ReceiveMessageCommand({
            QueueUrl: queueUrl,
            MaxNumberOfMessages: batchSizeMax,
            WaitTimeSeconds: 1,
            MessageSystemAttributeNames: ['All'],
            MessageAttributeNames: ['All'],
          }),
          { abortSignal: closing.signal },
        )
        .catch(async () => {
          // The queue is away or the mapping closes; Lambda keeps asking, and so does this.
          await new Promise((resolve) => setTimeout(resolve, closing.signal.aborted ? 0 : 100))
          return { Messages: [] as Message[] }
        })
      if (received.Messages && received.Messages.length > 0)
        await runBatch(handler, received.Messages, options).catch(() => undefined)
    }
  }
  const pollers = Array.from({ length: concurrencyMax }, poll)
  return {
    async close() {
      closing.abort()
      await Promise.all(pollers)
    },
  }
}
