import type { WorkContext, WorkOptions } from './handle-messages.ts'
import { createJobRunner } from './run-job.ts'
import { createTenantShares } from './shares.ts'
import { claimJobs, finishJobs } from './store.ts'

/**
 * Works off what is due of a queue and can be had, for where nobody consumes it: in a sandbox, and for a scheduler. Ends when nothing is
 * left, or when `withinMs` have passed, because whoever waits has not more time; what it has begun it finishes. Returns how many jobs it ran; what becomes of each stands in its
 * row, as always.
 */
export async function drainJobs(ctx: WorkContext, options: WorkOptions, withinMs: number): Promise<number> {
  const { queue, leaseSeconds, concurrency } = options
  const runner = createJobRunner(ctx, options)
  const until = performance.now() + withinMs
  let ran = 0
  while (performance.now() < until) {
    const { jobs } = await claimJobs(ctx.db, {
      queue,
      now: ctx.clock.now(),
      limit: concurrency,
      leaseSeconds,
      free: createTenantShares(options).free(),
      ...(options.load && { load: options.load }),
    })
    if (jobs.length === 0) return ran
    const results = await Promise.all(jobs.map((job) => runner.run(job)))
    ran += jobs.length
    const finished = results.flatMap(({ result }) => result ?? [])
    if (finished.length > 0) await finishJobs(ctx.db, queue, finished)
  }
  return ran
}
