import { silentTelemetry } from '../telemetry/index.ts'
import { type ConsumeContext, type ConsumeOptions, type Consumer, consumeJobs } from './consume-jobs.ts'
import type { Broker } from './drivers/model.ts'
import { createMessageWorker } from './handle-messages.ts'
import { observeQueue } from './observe-jobs.ts'

export interface ConsumeQueueContext extends ConsumeContext {
  /** What carries the work here; absent: it is taken from the table itself. */
  broker?: Pick<Broker, 'consume'>
}

/** A message in hand whose consumer has died is delivered elsewhere after so long. The job itself is free when its lease ends. */
const VISIBILITY_SECONDS = 30

/** Works until closed on jobs that have one way to here: the table's own, or a broker's queue. */
export function consumeQueue(
  ctx: ConsumeQueueContext,
  queues: readonly ConsumeOptions[],
  options: { visibilitySeconds?: number } = {},
): Consumer {
  const { broker, telemetry = silentTelemetry } = ctx
  if (!broker) {
    const consumers = queues.map((queue) => consumeJobs(ctx, queue))
    return {
      async close() {
        await Promise.all(consumers.map((consumer) => consumer.close()))
      },
    }
  }
  for (const { queue } of queues) observeQueue(telemetry, ctx.db, queue)
  const worker = createMessageWorker(ctx, queues)
  const consumer = broker.consume(worker.handle, {
    room: worker.room,
    visibilitySeconds: options.visibilitySeconds ?? VISIBILITY_SECONDS,
  })
  return {
    async close() {
      worker.close()
      await consumer.close()
    },
  }
}
