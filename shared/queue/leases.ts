import { type Db, type Logger, messageOf } from '../platform/index.ts'
import type { Job, QueueName } from './model.ts'
import { extendLeases } from './store.ts'

export interface LeaseKeeper {
  /** Jobs that are worked on. */
  running(): number
  begin(job: Job): void
  end(job: Job): void
}

/**
 * Extends the leases of jobs that are worked on. One that began a moment ago has at the next time half of its lease left, and most
 * have ended until then.
 */
export function keepLeases(
  ctx: { db: Db; log: Logger },
  { queue, leaseSeconds }: { queue: QueueName; leaseSeconds: number },
): LeaseKeeper {
  /** Since when. */
  const running = new Map<Job, number>()
  const leaseMs = leaseSeconds * 1000
  let timer: NodeJS.Timeout | undefined
  const extend = () => {
    const begunBefore = performance.now() - leaseMs / 6
    const jobs = [...running].filter(([, startedAt]) => startedAt <= begunBefore).map(([job]) => job)
    if (jobs.length === 0) return
    extendLeases(ctx.db, { jobs, leaseSeconds }).catch((error: unknown) => {
      ctx.log.warn({ queue, reason: messageOf(error) }, 'cannot extend leases')
    })
  }
  return {
    running: () => running.size,
    begin(job) {
      running.set(job, performance.now())
      // Not while there is nothing to do: a function that is handed messages must be able to rest.
      timer ??= setInterval(extend, leaseMs / 3)
    },
    end(job) {
      running.delete(job)
      if (running.size > 0) return
      clearInterval(timer)
      timer = undefined
    },
  }
}
