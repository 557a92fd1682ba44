import { randomUUID } from 'node:crypto'
import { messageOf } from '../../../platform/index.ts'
import type { OutgoingMessage } from '../model.ts'
import { isOrdered, type Parts } from './requests.ts'

/** Those of a batch that were not accepted. */
export async function sendBatch(
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
