import type { SQSClient } from '@aws-sdk/client-sqs'
import { type BrokerQueueDefinition, brokerQueues, sqsAttributes } from './queues.ts'

export interface CreatedQueue {
  url: string
  deadLetterUrl: string
}

export interface CreateQueueOptions {
  /** Other names than the file's. */
  nameOf?: (name: string) => string
  /** Of both queues, beside the file's. */
  attributes?: Readonly<Record<string, string>>
  /** Of the queue alone. */
  more?: Readonly<Record<string, string>>
}

/** Makes a queue and its dead-letter queue, or finds those that are there with the same attributes. */
export async function createQueue(
  client: SQSClient,
  definition: BrokerQueueDefinition,
  { nameOf = (name) => name, attributes = {}, more = {} }: CreateQueueOptions = {},
): Promise<CreatedQueue> {
  const { CreateQueueCommand, GetQueueAttributesCommand } = await import('@aws-sdk/client-sqs')
  const create = async (name: string, own: Record<string, string>): Promise<string> => {
    const { QueueUrl } = await client.send(
      new CreateQueueCommand({ QueueName: nameOf(name), Attributes: { ...own, ...attributes } }),
    )
    if (QueueUrl === undefined) throw new Error(`no URL for queue ${name}`)
    return QueueUrl
  }
  const deadLetterUrl = await create(definition.deadLetter.name, sqsAttributes(definition))
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: ['QueueArn'] }),
  )
  const url = await create(definition.name, {
    ...sqsAttributes(definition, Attributes?.QueueArn ?? ''),
    ...more,
  })
  return { url, deadLetterUrl }
}

/** All queues of a node, and the variables that name them to its deployables. */
export async function createNodeQueues(
  client: SQSClient,
  nameOf: (name: string) => string = (name) => name,
): Promise<Record<string, string>> {
  const variables: Record<string, string> = {}
  for (const definition of brokerQueues) {
    const { url, deadLetterUrl } = await createQueue(client, definition, { nameOf })
    variables[definition.urlVariable] = url
    variables[definition.deadLetter.urlVariable] = deadLetterUrl
  }
  return variables
}
