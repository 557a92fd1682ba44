import { type Clock, type Db, Fault, type Logger, messageOf } from '../platform/index.ts'
import { silentTelemetry, type Telemetry } from '../telemetry/index.ts'
import { LeaseLost } from './errors.ts'
import { keepLeases } from './leases.ts'
import {
  backOffMs,
  type Job,
  type JobHandler,
  type JobResult,
  type LoadWithClaim,
  type QueueName,
} from './model.ts'
import { observeRuns, type PaymentOfJob } from './observe-jobs.ts'
import type { OtherSide } from './shares.ts'

/** What is done with the jobs of a queue. */
export interface QueueWork {
  queue: QueueName
  handler: JobHandler
  /** For traces. */
  paymentOf?: PaymentOfJob
  /** Saves the handler a query of its own. */
  load?: LoadWithClaim
}

export interface Ran {
  /** Absent: there is nothing to record. */
  result?: JobResult
  otherSide?: OtherSide
}

export interface JobRunner {
  /** Runs a claimed job, keeps its lease meanwhile, and says what is to be recorded. Never rejects. */
  run(job: Job): Promise<Ran & { ms: number }>
  /** How many run now. */
  running(): number
}

/** What everybody does with a job who has claimed it, however it came to him. */
export function createJobRunner(
  ctx: { db: Db; clock: Clock; log: Logger; telemetry?: Telemetry },
  work: QueueWork & { leaseSeconds: number },
): JobRunner {
  const { telemetry = silentTelemetry } = ctx
  const handler = observeRuns({ telemetry, log: ctx.log }, work.queue, work.handler, work.paymentOf)
  const leases = keepLeases(ctx, work)
  return {
    running: () => leases.running(),
    async run(job) {
      const startedAt = performance.now()
      leases.begin(job)
      const ran = await runJob(ctx, handler, job)
      leases.end(job)
      return { ...ran, ms: performance.now() - startedAt }
    },
  }
}

/**
 * Runs a handler. A throw becomes a later attempt; a lost lease becomes nothing, because the job is another worker's now, and so
 * does a job that its handler has finished.
 */
async function runJob(ctx: { clock: Clock; log: Logger }, handler: JobHandler, job: Job): Promise<Ran> {
  try {
    const { otherSide, ...outcome } = await handler(job)
    const said = otherSide === undefined ? {} : { otherSide }
    if (outcome.status === 'finished') return said
    const retryAt = outcome.status === 'retry' ? { retryAt: outcome.at } : {}
    return { ...said, result: { job, threw: false, ...retryAt } }
  } catch (error) {
    const context = { queue: job.queue, key: job.key, tenantId: job.tenantId, attempts: job.attempts }
    if (error instanceof LeaseLost) {
      ctx.log.info(context, 'another worker has taken over a job')
      return {}
    }
    const delayMs = backOffMs(job.attempts, Math.random())
    if (error instanceof Fault && error.retryable)
      ctx.log.warn({ ...context, delayMs, code: error.code, reason: messageOf(error) }, 'job postponed')
    else ctx.log.error({ ...context, delayMs, err: error }, 'job failed')
    return { result: { job, retryAt: ctx.clock.fromNow(delayMs), threw: true } }
  }
}
