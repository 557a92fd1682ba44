import { type Clock, Fault, type Logger, messageOf } from '../platform/index.ts'
import { LeaseLost } from './errors.ts'
import { backOffMs, type Job, type JobHandler, type JobResult } from './model.ts'
import type { OtherSide } from './shares.ts'

export interface Ran {
  /** Absent: there is nothing to record. */
  result?: JobResult
  otherSide?: OtherSide
}

/**
 * Runs a handler. A throw becomes a later attempt; a lost lease becomes nothing, because the job is another worker's now, and so
 * does a job that its handler has finished.
 */
export async function runJob(
  ctx: { clock: Clock; log: Logger },
  handler: JobHandler,
  job: Job,
): Promise<Ran> {
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
