import { createInHand, type Settled } from '../in-hand.ts'
import { type Broker, type MessageConsumer, retrySeconds } from '../model.ts'
import { repeatThroughOutages } from '../outage.ts'
import { buryOrLeave } from './dead-letters.ts'
import {
  AT_ONCE,
  BATCH_MAX,
  forEachBatch,
  GROUP_ID,
  isOrdered,
  type Parts,
  RECEIVE_COUNT,
  type Received,
  receive,
} from './requests.ts'

/**
 * A request that receives waits for so long, and closing waits for it: one that is given up may take a message with it, which is hidden
 * then until its time is over.
 */
const WAIT_SECONDS = 2

export function consumeSqs(
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
    forEachBatch(messages, async (batch) => {
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
    forEachBatch(messages, async (batch) => {
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
      const batches = Math.min(Math.floor(delivery.room() / BATCH_MAX), AT_ONCE)
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
