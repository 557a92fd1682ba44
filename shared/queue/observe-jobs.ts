import { type Db, Fault, type Logger, sql, withLogContext } from '../platform/index.ts'
import type { PaymentRef, Telemetry } from '../telemetry/index.ts'
import { LeaseLost } from './errors.ts'
import type { Job, JobHandler, QueueName } from './model.ts'

/** The payment that a job is about, where it is about one. */
export type PaymentOfJob = (job: Job) => PaymentRef | undefined

const outcomeOf = (error: unknown): string => {
  if (error instanceof LeaseLost) return 'lease_lost'
  return error instanceof Fault && error.retryable ? 'postponed' : 'threw'
}

/**
 * Times each run and puts it into a span. A job carries no trace: it belongs to that of its payment, also when a sweep has found it
 * or another process has died over it.
 */
export function observeRuns(
  { telemetry, log }: { telemetry: Telemetry; log: Logger },
  queue: QueueName,
  handler: JobHandler,
  paymentOf: PaymentOfJob = () => undefined,
): JobHandler {
  const { instruments, tracing } = telemetry
  const times = instruments.histogram('upesi_queue_run_ms')
  const attempts = instruments.histogram('upesi_queue_attempts')

  const run: JobHandler = async (job) => {
    attempts.record(job.attempts, { queue })
    const startedAt = performance.now()
    let outcome = 'done'
    try {
      const result = await handler(job)
      if (result.status === 'retry') outcome = 'retry'
      return result
    } catch (error) {
      outcome = outcomeOf(error)
      throw error
    } finally {
      const ms = performance.now() - startedAt
      times.record(ms, { queue, outcome })
      log.debug({ outcome, ms }, 'ran')
    }
  }
  const traced: JobHandler = (job) => {
    const payment = paymentOf(job)
    return tracing.span(
      `${queue} job`,
      {
        kind: 'consumer',
        isEntry: true,
        attributes: { 'upesi.job.key': job.key, 'upesi.job.attempts': job.attempts },
        ...(payment && { payment }),
      },
      () => run(job),
    )
  }
  const observed = telemetry.traces ? traced : run
  return (job) => {
    const { requestId } = job
    const context = { queue, job: job.key, ...paymentOf(job), ...(requestId !== undefined && { requestId }) }
    return withLogContext(context, () => observed(job))
  }
}

/** Backlogs beyond this are shown as this: counting on would cost more than it says. */
const COUNTED_MAX = 100_000
/** However many look, the table is asked this often at most. */
const KEPT_MS = 5_000

interface Depth {
  due: number
  running: number
  later: number
  retrying: number
  oldestSeconds: number
}

/** In the order of the index by queue, so that it is read along that one and other queues are not. */
const readDepth = (db: Db, queue: QueueName): Promise<Depth> =>
  db.one(
    (row) => ({
      due: Number(row.due),
      running: Number(row.running),
      later: Number(row.later),
      retrying: Number(row.retrying),
      oldestSeconds: Number(row.oldest ?? 0),
    }),
    sql`
    with counted as (
      select run_at, lease_until is not null and lease_until > now() as is_running, attempts > 1 as is_retrying
      from jobs where queue = ${queue} order by tenant_id limit ${COUNTED_MAX}
    )
    select count(*) filter (where is_running) as running, count(*) filter (where not is_running and run_at <= now()) as due,
      count(*) filter (where not is_running and run_at > now()) as later, count(*) filter (where is_retrying) as retrying,
      extract(epoch from now() - min(run_at) filter (where not is_running and run_at <= now()))::float8 as oldest
    from counted`,
  )

/** Shows a queue's depth and age: its workers do, so that each queue is shown wherever somebody works on it. */
export function observeQueue(telemetry: Telemetry, db: Db, queue: QueueName): void {
  let read: { depth: Promise<Depth>; atMs: number } | undefined
  const depth = (): Promise<Depth> => {
    const nowMs = performance.now()
    if (!read || nowMs - read.atMs > KEPT_MS) {
      const fresh = readDepth(db, queue)
      read = { depth: fresh, atMs: nowMs }
      fresh.catch(() => {
        read = undefined
      })
    }
    return read.depth
  }
  const { instruments } = telemetry
  instruments.observe('upesi_queue_jobs', async () => {
    const { due, running, later } = await depth()
    return Object.entries({ due, running, later }).map(([state, value]) => ({
      value,
      labels: { queue, state },
    }))
  })
  instruments.observe('upesi_queue_oldest_due_seconds', async () => [
    { value: (await depth()).oldestSeconds, labels: { queue } },
  ])
  instruments.observe('upesi_queue_retrying_jobs', async () => [
    { value: (await depth()).retrying, labels: { queue } },
  ])
}
