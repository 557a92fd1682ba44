// The queues of a broker as `queues.json` has them, for whoever makes queues: infrastructure, emulators and tests. Times are in the
// file's units; `sqsAttributes` has them as SQS takes them.
import file from './queues.json' with { type: 'json' }

export interface DeadLetterQueue {
  name: string
  /** The environment variable that carries its URL. */
  urlVariable: string
  /** Deliveries before a message is moved there. */
  maxReceiveCount: number
  retentionDays: number
}

export interface BrokerQueueDefinition {
  /** As the queue is called in the code. */
  id: 'webhooks' | 'payments'
  name: string
  urlVariable: string
  /** Six times the time limit of the Lambda functions that work on it; pollers ask for a shorter one of their own. */
  visibilityTimeoutSeconds: number
  receiveWaitSeconds: number
  retentionDays: number
  deadLetter: DeadLetterQueue
}

/** The functions' time limit that `visibilityTimeoutSeconds` goes with. */
export const LAMBDA_TIMEOUT_SECONDS = 60

export const brokerQueues = file.queues as readonly BrokerQueueDefinition[]

const DAY_SECONDS = 86_400

/** Attributes for SQS's CreateQueue: of the dead-letter queue without the second argument, of the queue itself with the former's ARN. */
export const sqsAttributes = (
  queue: BrokerQueueDefinition,
  deadLetterArn?: string,
): Record<string, string> =>
  deadLetterArn === undefined
    ? { MessageRetentionPeriod: String(queue.deadLetter.retentionDays * DAY_SECONDS) }
    : {
        VisibilityTimeout: String(queue.visibilityTimeoutSeconds),
        ReceiveMessageWaitTimeSeconds: String(queue.receiveWaitSeconds),
        MessageRetentionPeriod: String(queue.retentionDays * DAY_SECONDS),
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: deadLetterArn,
          maxReceiveCount: queue.deadLetter.maxReceiveCount,
        }),
      }
