import { randomUUID } from 'node:crypto'
import type { MessageSystemAttributeName, SQSClient } from '@aws-sdk/client-sqs'
import { type Logger, messageOf } from '../../platform/index.ts'
import { createInHand, type Settled } from './in-hand.ts'
import {
  type Broker,
  type DeadLetter,
  type IncomingMessage,
  type MessageConsumer,
  type OutgoingMessage,
  retrySeconds,
} from './model.ts'
import { repeatThroughOutages } from './outage.ts'

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
const BATCH_MAX = 10
/**
 * A request that receives waits for so long, and closing waits for it: one that is given up may take a message with it, which is hidden
 * then until its time is over.
 */
const WAIT_SECONDS = 2
/** Requests that receive at the same time while there is more: each brings ten messages at most. */
const RECEIVERS = 8
const SENDERS = 8
const CONNECT_MS = 2_000
/** A request without an answer for so long is given up. */
const SILENCE_MS = 5_000
/** A dead letter that was looked at is hidden for so long. */
const LOOK_SECONDS = 2

const RECEIVE_COUNT = 'ApproximateReceiveCount' satisfies MessageSystemAttributeName
const GROUP_ID = 'MessageGroupId' satisfies MessageSystemAttributeName

export const isOrdered = (queue: string): boolean => queue.endsWith('.fifo')

const batchesOf = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / BATCH_MAX) }, (_, index) =>
    items.slice(index * BATCH_MAX, (index + 1) * BATCH_MAX),
  )

/** Runs `work` on each, a few at the same time. */
async function forEachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: Math.min(atOnce, items.length) }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}

interface Received extends IncomingMessage {
  receiptHandle: string
}

type Sdk = typeof import('@aws-sdk/client-sqs')

interface Parts {
  sdk: Sdk
  client: SQSClient
  options: SqsBrokerOptions
}

/**
 * A queue of SQS. In a standard queue messages carry their tenant as group, by which SQS deals fairly with many (fair queues); in a
 * FIFO queue their job, so that different jobs never wait for each other.
 */
export async function createSqsBroker(options: SqsBrokerOptions): Promise<Broker> {
  // Loaded when it is needed: it costs the cold start of those who do not.
  const sdk = await import('@aws-sdk/client-sqs')
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
  const { queueUrl: QueueUrl, deadLetterQueueUrl, log } = options

  return {
    async send(messages) {
      const outcomes = new Map<OutgoingMessage, Error>()
      await forEachOf(batchesOf(messages), SENDERS, async (batch) => {
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
    redrive: (limit) => redrive(parts, limit, log),
    async close() {
      client.destroy()
    },
  }
}

/** Those of a batch that were not accepted. */
async function sendBatch(
  { sdk, client, options: { queueUrl } }: Parts,
  messages: readonly OutgoingMessage[],
): Promise<[OutgoingMessage, Error][]> {
  try {
    const { Failed = [] } = await client.send(
      new sdk.SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: messages.map(({ body, key, tenantId }, index) => ({
          Id: String(index),
          MessageBody: body,
          ...(isOrdered(queueUrl)
            ? // Each publication is a message of its own: a job may be published again within SQS's five minutes.
              { MessageGroupId: key, MessageDeduplicationId: randomUUID() }
            : tenantId !== undefined && { MessageGroupId: tenantId }),
        })),
      }),
    )
    return Failed.flatMap(({ Id, Code, Message }) => {
      const message = messages[Number(Id)]
      return message ? [[message, new Error(`${Code}: ${Message}`)]] : []
    })
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(messageOf(error))
    return messages.map((message) => [message, failure])
  }
}

async function receive(
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

function consumeSqs(
  parts: Parts,
  handler: Parameters<Broker['consume']>[0],
  delivery: Parameters<Broker['consume']>[1],
): MessageConsumer {
  const { sdk, client, options } = parts
  const { queueUrl: QueueUrl, log } = options
  // SQS counts in whole seconds.
  const visibilitySeconds = Math.max(Math.ceil(delivery.visibilitySeconds), 1)
  let closing = false

  const changeVisibility = (messages: readonly Received[], secondsOf: (message: Received) => number) =>
    forEachOf(batchesOf(messages), SENDERS, async (batch) => {
      await client.send(
        new sdk.ChangeMessageVisibilityBatchCommand({
          QueueUrl,
          Entries: batch.map((message, index) => ({
            Id: String(index),
            ReceiptHandle: message.receiptHandle,
            VisibilityTimeout: secondsOf(message),
          })),
        }),
      )
    })
  const remove = (messages: readonly Received[]) =>
    forEachOf(batchesOf(messages), SENDERS, async (batch) => {
      await client.send(
        new sdk.DeleteMessageBatchCommand({
          QueueUrl,
          Entries: batch.map(({ receiptHandle }, index) => ({
            Id: String(index),
            ReceiptHandle: receiptHandle,
          })),
        }),
      )
    })

  const settle = async (settled: readonly Settled<Received>[]): Promise<void> => {
    const of = (status: string) =>
      settled.filter(({ verdict }) => verdict.status === status).map(({ message }) => message)
    const buried: Received[] = []
    for (const { message, verdict } of settled)
      if (verdict.status === 'dead' && (await buryOrLeave(parts, message, verdict.reason)))
        buried.push(message)
    await Promise.all([
      remove([...of('done'), ...buried]),
      changeVisibility(of('failed'), ({ receiveCount }) => retrySeconds(receiveCount, visibilitySeconds)),
    ])
  }
  const inHand = createInHand<Received>(log, handler, delivery, {
    extend: (messages) => changeVisibility(messages, () => visibilitySeconds),
    settle,
  })

  /** How many came. */
  const receiveSome = async (limit: number, waitSeconds: number): Promise<number> => {
    const messages = await receive(parts, { url: QueueUrl, limit, waitSeconds, visibilitySeconds })
    inHand.take(
      messages.map((message) => ({
        // Of this delivery: the same message may come again while the former is still in hand.
        id: message.ReceiptHandle ?? '',
        body: message.Body ?? '',
        receiptHandle: message.ReceiptHandle ?? '',
        receiveCount: Number(message.Attributes?.[RECEIVE_COUNT] ?? 1),
        ...(isOrdered(QueueUrl) && { orderedGroup: message.Attributes?.[GROUP_ID] ?? '' }),
      })),
    )
    return messages.length
  }
  const read = async (): Promise<void> => {
    const room = await inHand.room()
    if (room <= 0 || closing) return
    let isMore = (await receiveSome(room, WAIT_SECONDS)) === BATCH_MAX
    while (isMore && !closing) {
      const batches = Math.min(Math.floor(delivery.room() / BATCH_MAX), RECEIVERS)
      const counts = await Promise.all(Array.from({ length: batches }, () => receiveSome(BATCH_MAX, 0)))
      isMore = counts.includes(BATCH_MAX)
    }
  }
  const ended = repeatThroughOutages(log, 'receive from SQS', () => closing, read)
  return {
    async close() {
      closing = true
      await ended
      await inHand.drained()
    },
  }
}

async function bury(
  { sdk, client, options }: Parts,
  { body }: Pick<IncomingMessage, 'body'>,
  reason: string,
): Promise<void> {
  const { deadLetterQueueUrl: url } = options
  if (url === undefined) throw new Error('there is no dead-letter queue to put it into')
  await client.send(
    new sdk.SendMessageCommand({
      QueueUrl: url,
      // An empty body is not accepted.
      MessageBody: body === '' ? ' ' : body,
      MessageAttributes: { reason: { DataType: 'String', StringValue: reason } },
      ...(isOrdered(url) && { MessageGroupId: 'dead', MessageDeduplicationId: randomUUID() }),
    }),
  )
}

/** Whether it was buried. If not, the queue's redrive policy does so after some deliveries. */
async function buryOrLeave(parts: Parts, message: Received, reason: string): Promise<boolean> {
  if (parts.options.deadLetterQueueUrl === undefined) return false
  try {
    await bury(parts, message, reason)
    return true
  } catch (error) {
    parts.options.log.warn({ reason: messageOf(error) }, 'cannot bury a message')
    return false
  }
}

async function listDeadLetters(parts: Parts, limit: number): Promise<DeadLetter[]> {
  const url = parts.options.deadLetterQueueUrl
  const found = new Map<string, DeadLetter>()
  while (url !== undefined && found.size < limit) {
    const messages = await receive(parts, {
      url,
      limit: limit - found.size,
      waitSeconds: 0,
      visibilitySeconds: LOOK_SECONDS,
    })
    const before = found.size
    for (const { MessageId: id = '', Body: body = '', MessageAttributes: attributes } of messages)
      found.set(id, {
        id,
        body,
        reason: attributes?.reason?.StringValue ?? 'delivered too often in vain',
      })
    if (found.size === before) break
  }
  return [...found.values()]
}

/**
 * By hand, a few at a time: SQS's own task (StartMessageMoveTask) moves all there is, runs after the call has returned, and not every
 * emulator has it. A message that was sent and not deleted is there twice, which is harmless.
 */
async function redrive(parts: Parts, limit: number, log: Logger): Promise<number> {
  const { sdk, client, options } = parts
  const url = options.deadLetterQueueUrl
  let moved = 0
  while (url !== undefined && moved < limit) {
    const messages = await receive(parts, {
      url,
      limit: limit - moved,
      waitSeconds: 0,
      visibilitySeconds: LOOK_SECONDS * 15,
    })
    if (messages.length === 0) break
    for (const { Body: body = '', ReceiptHandle, Attributes } of messages) {
      const group = Attributes?.[GROUP_ID]
      const [failed] = await sendBatch(parts, [
        { key: group ?? randomUUID(), ...(group !== undefined && { tenantId: group }), body },
      ])
      if (failed) throw failed[1]
      await client.send(new sdk.DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }))
      moved++
    }
  }
  log.info({ moved }, 'dead letters were put back')
  return moved
}
