import type { IGrantable } from 'aws-cdk-lib/aws-iam'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { type BrokerQueueDefinition, brokerQueues } from '../../../localstack/queues.ts'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'

export interface BrokerQueue {
  definition: BrokerQueueDefinition
  queue: Queue
  deadLetters: Queue
}

/** The broker's queues as `localstack/queues.json` has them. Messages hold ids alone; the truth is in the database. */
export class QueuesStack extends Stack {
  readonly queues: Readonly<Record<BrokerQueueDefinition['id'], BrokerQueue>>

  constructor(scope: Construct, id: string, props: StackProps & { config: UpesiConfig }) {
    super(scope, id, props)
    this.queues = Object.fromEntries(
      brokerQueues.map((definition) => [definition.id, this.#queue(props.config, definition)]),
    ) as Record<BrokerQueueDefinition['id'], BrokerQueue>
  }

  /** The relay sends, and looks how many wait and how many are dead: where there are too many it sends no more. */
  allowPublishing(grantee: IGrantable): void {
    for (const { queue, deadLetters } of Object.values(this.queues)) {
      queue.grantSendMessages(grantee)
      deadLetters.grant(grantee, 'sqs:GetQueueAttributes')
    }
  }

  #queue({ name }: UpesiConfig, definition: BrokerQueueDefinition): BrokerQueue {
    const common = {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // Losing a queue loses nothing: the relay publishes again what is due.
      removalPolicy: RemovalPolicy.DESTROY,
    }
    const deadLetters = new Queue(this, `${definition.id}-dead`, {
      ...common,
      queueName: `${name}-${definition.deadLetter.name}`,
      retentionPeriod: Duration.days(definition.deadLetter.retentionDays),
    })
    acknowledge(deadLetters, { 'AwsSolutions-SQS3': 'It is a dead-letter queue.' })
    const queue = new Queue(this, definition.id, {
      ...common,
      queueName: `${name}-${definition.name}`,
      visibilityTimeout: Duration.seconds(definition.visibilityTimeoutSeconds),
      receiveMessageWaitTime: Duration.seconds(definition.receiveWaitSeconds),
      retentionPeriod: Duration.days(definition.retentionDays),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: definition.deadLetter.maxReceiveCount },
    })
    return { definition, queue, deadLetters }
  }
}
