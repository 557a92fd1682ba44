import {
  type Clock,
  type Db,
  isWorthALine,
  type Listener,
  type Logger,
  messageOf,
} from '../platform/index.ts'
import { silentTelemetry, type Telemetry } from '../telemetry/index.ts'
import { createClaimPace } from './claim-pace.ts'
import { createGate } from './gate.ts'
import type { Job, JobResult } from './model.ts'
import { observeQueue } from './observe-jobs.ts'
import { createJobRunner, type QueueWork } from './run-job.ts'
import { createTenantShares, type Shares } from './shares.ts'
import { claimJobs, finishJobs, JOBS_CHANNEL } from './store.ts'

export interface ConsumeContext {
  db: Db
  listener: Listener
  clock: Clock
  log: Logger
  telemetry?: Telemetry
}

/** How many of them at once, and how often to look. */
export interface ConsumeTerms {
  /** Jobs in flight at most. */
  concurrency: number
  /** How tenants share them. Default: first come, first served. */
  shares?: Shares
  /** How often to look although nobody asked: notifications can be lost. */
  idleMs: number
  /** How long a job stays ours after a sign of life; a dead worker's jobs run elsewhere after that. */
  leaseSeconds: number
}

export type ConsumeOptions = QueueWork & ConsumeTerms

export interface Consumer {
  /** Takes no more jobs, and resolves when those in flight have ended and are recorded. */
  close(): Promise<void>
}

/** In one statement. With 100 a worker drained half as much: what a statement costs by itself was most of it. */
const BATCH_SIZE_MAX = 500
/** After a failed query: doubling from the first to the last, so that a lost database costs little and its return is soon seen. */
const OUTAGE_MS = { first: 50, max: 2_000 }
/** Other workers hold all rows that were due; they are done with them in a moment. */
const CONTENTION_MS = 5
/** When closing without a database: the leases run out, and the jobs run again elsewhere. */
const FINISH_ATTEMPTS_AT_CLOSE = 3

/** Works on a queue until closed: one loop claims, handlers run side by side, one loop records what they brought. */
export function consumeJobs(ctx: ConsumeContext, options: ConsumeOptions): Consumer {
  const { queue, leaseSeconds } = options
  const { telemetry = silentTelemetry } = ctx
  observeQueue(telemetry, ctx.db, queue)
  const shares = createTenantShares(options)
  const runner = createJobRunner(ctx, options)
  const finished: JobResult[] = []
  const claimGate = createGate()
  const pace = createClaimPace(shares.total)
  const finishGate = createGate()
  /** What the last claim left: due work beyond its limit or the common places, and tenants that may have more than they had places for. */
  let moreIsDue = false
  let cutShort = new Set<string | undefined>()
  let closing = false

  const start = async (job: Job): Promise<void> => {
    shares.start(job.tenantId)
    const ran = await runner.run(job)
    shares.end(job.tenantId, ran)
    if (moreIsDue || cutShort.has(job.tenantId)) claimGate.wake()
    pace.ended()
    if (ran.result) finished.push(ran.result)
    finishGate.wake()
  }

  /** Claims once; says how long to sleep. */
  const claimOnce = async (): Promise<number> => {
    const limit = Math.min(options.concurrency - shares.total(), BATCH_SIZE_MAX)
    if (limit <= 0) return options.idleMs
    const free = shares.free()
    pace.claimed()
    const claim = await claimJobs(ctx.db, {
      queue,
      now: ctx.clock.now(),
      limit,
      leaseSeconds,
      free,
      ...(options.load && { load: options.load }),
    })
    const left = new Map([...free.tenants].map(([tenantId, { places }]) => [tenantId, places]))
    for (const { tenantId } of claim.jobs) left.set(tenantId, (left.get(tenantId) ?? free.idle.places) - 1)
    cutShort = new Set([...left].filter(([, places]) => places <= 0).map(([tenantId]) => tenantId))
    moreIsDue = claim.more || claim.wantsCommon
    for (const job of claim.jobs) void start(job)
    if (claim.more && shares.total() < options.concurrency) return claim.jobs.length > 0 ? 0 : CONTENTION_MS
    // Places that came free during the query: nobody was told then.
    const now = shares.free()
    const hasPlace = (tenantId: string | undefined) => (now.tenants.get(tenantId) ?? now.idle).places > 0
    if ([...cutShort].some(hasPlace) || (claim.wantsCommon && now.common > 0)) return 0
    return Math.min(options.idleMs, Math.max(claim.nextMs ?? options.idleMs, 1))
  }

  const claimLoop = async (): Promise<void> => {
    let failures = 0
    while (!closing) {
      try {
        const sleepMs = await claimOnce()
        failures = 0
        if (sleepMs > 0) await claimGate.wait(sleepMs)
        await pace.gather(isUrgent)
      } catch (error) {
        failures++
        if (isWorthALine(failures))
          ctx.log.warn({ queue, failures, reason: messageOf(error) }, 'cannot claim jobs')
        await outage(failures)
      }
    }
  }

  /** Backlogs are not gathered: what limits them is places, and each that comes free is to be used at once. */
  const isUrgent = () => closing || moreIsDue || cutShort.size > 0

  /** Not cut short by notifications: those must not turn an outage into a hot loop. */
  const outage = async (failures: number): Promise<void> => {
    const full = Math.min(OUTAGE_MS.first * 2 ** failures, OUTAGE_MS.max)
    const until = performance.now() + full * (0.5 + Math.random() / 2)
    for (let left = 1; left > 0 && !closing; left = until - performance.now())
      await claimGate.wait(Math.max(until - performance.now(), 1))
  }

  const finishLoop = async (): Promise<void> => {
    let failures = 0
    while (!closing || runner.running() > 0 || finished.length > 0) {
      if (finished.length === 0) {
        await finishGate.wait()
        // Handlers that end in the same turn of the event loop are recorded together.
        await new Promise(setImmediate)
        continue
      }
      const batch = finished.splice(0, BATCH_SIZE_MAX)
      try {
        const { again } = await finishJobs(ctx.db, queue, batch)
        failures = 0
        const soon = ctx.clock.fromNow(options.idleMs)
        if (again || batch.some(({ retryAt }) => retryAt && retryAt < soon)) claimGate.wake()
      } catch (error) {
        failures++
        if (isWorthALine(failures))
          ctx.log.warn({ queue, failures, reason: messageOf(error) }, 'cannot record jobs')
        if (closing && failures >= FINISH_ATTEMPTS_AT_CLOSE) return
        finished.unshift(...batch)
        await new Promise((resolve) =>
          setTimeout(resolve, Math.min(OUTAGE_MS.first * 2 ** failures, OUTAGE_MS.max)),
        )
      }
    }
  }

  ctx.listener.listen(JOBS_CHANNEL, (payload) => {
    if (payload === undefined || payload === queue) claimGate.wake()
  })
  const loops = Promise.all([claimLoop(), finishLoop()])
  return {
    async close() {
      closing = true
      claimGate.wake()
      finishGate.wake()
      await loops
    },
  }
}
