import { ConfigError } from '../platform/index.ts'
import { createMessageWorker, type WorkContext, type WorkOptions } from '../queue/index.ts'
import { openOnce } from './once.ts'
import { createQueueHandler, type QueueHandler, type QueueSandbox } from './queue-handler.ts'
import { createTaskHandler, type TaskHandler, type TaskSandbox } from './task-handler.ts'

/** A queue worker, open. */
export interface WorkerSandbox extends TaskSandbox {
  ctx: WorkContext
  work: readonly WorkOptions[]
  /** Absent: no messages of SQS are configured. */
  broker?: Pick<QueueSandbox, 'bury'>
}

/** What a worker does with messages of SQS, and what it does by the clock: two functions of one bundle. */
export function createWorkerHandlers(open: () => Promise<WorkerSandbox>): {
  handler: QueueHandler
  task: TaskHandler
} {
  const opened = openOnce(open)
  const handler = createQueueHandler(async () => {
    const { ctx, work, broker, invocation } = await opened()
    if (!broker)
      throw new ConfigError(['QUEUE_DRIVER must be sqs: a function on Lambda is handed messages of SQS'])
    return { worker: createMessageWorker(ctx, work), bury: broker.bury, invocation }
  })
  return { handler, task: createTaskHandler(opened, { opensLater: true }) }
}
