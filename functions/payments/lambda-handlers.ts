import {
  createQueueHandler,
  createTaskHandler,
  openOnce,
  type QueueHandler,
  type TaskHandler,
  withAwsSecrets,
} from '../../shared/aws-lambda/index.ts'
import { ConfigError, type Environment } from '../../shared/platform/index.ts'
import { createMessageWorker } from '../../shared/queue/index.ts'
import { openPayments } from './wiring.ts'
import { paymentsBatchTerms, paymentsWork } from './worker.ts'

/** Sends outgoing payments and closes incoming ones that messages of SQS name, and does what comes by the clock: two functions of one bundle. */
export function createPaymentsHandlers(env: Environment): { handler: QueueHandler; task: TaskHandler } {
  const opened = openOnce(async () => {
    const { node, ctx, broker, tasks } = await openPayments(await withAwsSecrets(env), 'sandbox')
    return { node, ctx, broker, tasks, invocation: node.invocation }
  })
  const handler = createQueueHandler(async () => {
    const { ctx, broker, invocation } = await opened()
    if (!broker)
      throw new ConfigError(['QUEUE_DRIVER must be sqs: a function on Lambda is handed messages of SQS'])
    const worker = createMessageWorker(
      ctx,
      paymentsWork(ctx).map((work) => ({ ...work, ...paymentsBatchTerms })),
    )
    return { worker, bury: broker.bury, invocation }
  })
  const task = createTaskHandler(
    async () => {
      const { node, tasks, invocation } = await opened()
      return { ctx: node, tasks, invocation }
    },
    { opensLater: true },
  )
  return { handler, task }
}
