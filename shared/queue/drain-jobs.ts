import { silentTelemetry } from '../telemetry/index.ts'
import type { WorkContext, WorkOptions } from './handle-messages.ts'
import { keepLeases } from './leases.ts'
import { observeRuns } from './observe-jobs.ts'
import { runJob } from './run-job.ts'
import { createTenantShares } from './shares.ts'
import { claimJobs, finishJobs } from './store.ts'

/**
 * Works off what is due of a queue and can be had, for where nobody consumes it: in a sandbox, and for a scheduler. Ends when nothing is
 * left, or when `withinMs` have passed, because whoever waits has not more time; what it has begun it finishes. Returns how many jobs it ran; what becomes of each stands in its
 * row, as always.
 */
export async function drainJobs(ctx: WorkContext, options: WorkOptions, withinMs: number): Promise<number> {
  const { queue, leaseSeconds, concurrency } = options
  const { telemetry = silentTelemetry } = ctx
  const handler = observeRuns({ telemetry, log: ctx.log }, queue, options.handler, options.paymentOf)
  const leases = keepLeases(ctx, options)
  const until = performance.now() + withinMs
  let ran = 0
  try {
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
      const results = await Promise.all(
        jobs.map(async (job) => {
          leases.begin(job)
          const { result } = await runJob(ctx, handler, job)
          leases.end(job)
          return result
        }),
      )
      ran += jobs.length
      const finished = results.filter((result) => result !== undefined)
      if (finished.length > 0) await finishJobs(ctx.db, queue, finished)
    }
    return ran
  } finally {
    leases.close()
  }
}
