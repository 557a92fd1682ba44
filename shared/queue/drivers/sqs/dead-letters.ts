import { randomUUID } from 'node:crypto'
import type { Message } from '@aws-sdk/client-sqs'
import { messageOf } from '../../../platform/index.ts'
import type { DeadLetter, IncomingMessage } from '../model.ts'
import { GROUP_ID, isOrdered, type Parts, receive } from './requests.ts'
import { sendBatch } from './send.ts'

/** A dead letter that was looked at is hidden for so long. */
const LOOK_SECONDS = 2

export async function bury(
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
export async function buryOrLeave(parts: Parts, message: IncomingMessage, reason: string): Promise<boolean> {
  if (parts.options.deadLetterQueueUrl === undefined) return false
  try {
    await bury(parts, message, reason)
    return true
  } catch (error) {
    parts.options.log.warn({ reason: messageOf(error) }, 'cannot bury a message')
    return false
  }
}

export async function listDeadLetters(parts: Parts, limit: number): Promise<DeadLetter[]> {
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
 * emulator has it. A message that was sent and not deleted is there twice, which is harmless. While nobody works on a job, one message
 * after the other says the same of it: one of them is put back, and the others have nothing to add. One that was buried again before
 * this has ended is left there; only such have a reason of ours, and what SQS gave up takes its deliveries first.
 */
export async function redrive(parts: Parts, limit: number): Promise<number> {
  const url = parts.options.deadLetterQueueUrl
  const moved = new Set<string>()
  let copies = 0
  while (url !== undefined && moved.size < limit) {
    const letters = await receive(parts, {
      url,
      limit: limit - moved.size,
      waitSeconds: 0,
      visibilitySeconds: LOOK_SECONDS * 15,
    })
    const before = moved.size + copies
    for (const letter of letters)
      if (!moved.has(letter.Body ?? '')) {
        await putBack(parts, url, letter)
        moved.add(letter.Body ?? '')
      } else if (letter.MessageAttributes?.reason === undefined) {
        await remove(parts, url, letter)
        copies++
      }
    if (moved.size + copies === before) break
  }
  parts.options.log.info({ moved: moved.size, copies }, 'dead letters were put back')
  return moved.size
}

async function putBack(parts: Parts, url: string, letter: Message): Promise<void> {
  const { Body: body = '', Attributes } = letter
  const group = Attributes?.[GROUP_ID]
  const [failed] = await sendBatch(parts, [
    { key: group ?? randomUUID(), ...(group !== undefined && { tenantId: group }), body },
  ])
  if (failed) throw failed[1]
  await remove(parts, url, letter)
}

async function remove({ sdk, client }: Parts, QueueUrl: string, { ReceiptHandle }: Message): Promise<void> {
  await client.send(new sdk.DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
}
