import {
  type Batcher,
  type Clock,
  createBatcher,
  type Db,
  type Logger,
  messageOf,
} from '../platform/index.ts'
import type { Telemetry } from '../telemetry/index.ts'
import type { ConsumeTerms } from './consume-jobs.ts'
import type { IncomingMessage, MessageHandler, Verdict } from './drivers/model.ts'
import { type JobMessage, parseMessage } from './message.ts'
import type { Job, JobResult } from './model.ts'
import { createPlaces } from './places.ts'
import { claimKeys, postponePublication } from './published-store.ts'
import { createJobRunner, type QueueWork, type Ran } from './run-job.ts'
import { createTenantShares } from './shares.ts'
import { finishJobs } from './store.ts'

export interface WorkContext {
  db: Db
  clock: Clock
  log: Logger
  telemetry?: Telemetry
}

export type WorkOptions = QueueWork & Omit<ConsumeTerms, 'idleMs'>

export interface MessageWorker {
  /** Verdicts never reject. */
  handle: MessageHandler
  /** How many jobs more could be begun now. */
  room(): number
  /** Begins nothing any more; what runs goes on. */
  close(): void
}

/** Messages of tenants that have used up their places wait for one, up to so many; others go back to the table for a while. */
const WAITING_MAX = 10_000
const NO_ROOM_SECONDS = 5
/** A job that is due again so soon is announced to the relay, which looks by itself less often. */
const ANNOUNCE_WITHIN_MS = 1_000
const BATCH_MAX = 256
/** The database may be back in a moment, and what was done should not be done again. */
const RECORD = { attempts: 5, firstMs: 50 }

const DONE: Verdict = { status: 'done' }
const FAILED: Verdict = { status: 'failed' }

/**
 * Works on jobs that messages name: claims exactly those, runs them side by side under their leases, and records what they brought. A
 * message has failed when its job could not be claimed or recorded, so that it comes again; that a handler threw stands in the job's
 * row, and is no failure of the message. One about a job that is gone, not due or another's says nothing new.
 */
export function createMessageWorker(ctx: WorkContext, queues: readonly WorkOptions[]): MessageWorker {
  const lanes = new Map<string, Lane>(queues.map((options) => [options.queue, createLane(ctx, options)]))

  const handleOne = async ({ body }: IncomingMessage): Promise<Verdict> => {
    const message = parseMessage(body)
    if ('reason' in message) return { status: 'dead', reason: message.reason }
    const lane = lanes.get(message.queue)
    return lane ? await lane.work(message) : { status: 'dead', reason: 'nobody works on its queue here' }
  }

  return {
    handle(messages) {
      const groups = new Map<string, Promise<Verdict>>()
      return messages.map((message) => {
        const { orderedGroup: group } = message
        if (group === undefined) return handleOne(message)
        const former = groups.get(group)
        // After one that comes again, the rest of its group must come after it.
        const verdict = former
          ? former.then(({ status }) => (status === 'failed' ? FAILED : handleOne(message)))
          : handleOne(message)
        groups.set(group, verdict)
        return verdict
      })
    },
    room: () => Math.max(...[...lanes.values()].map((lane) => lane.room())),
    close() {
      for (const lane of lanes.values()) lane.close()
    },
  }
}

interface Lane {
  work(message: JobMessage): Promise<Verdict>
  room(): number
  close(): void
}

function createLane(ctx: WorkContext, options: WorkOptions): Lane {
  const { queue, leaseSeconds, concurrency } = options
  const runner = createJobRunner(ctx, options)
  const places = createPlaces({ shares: createTenantShares(options), concurrency, waitingMax: WAITING_MAX })
  let closing = false

  /** Messages that came together are claimed together, and jobs that end together are recorded together. */
  const claims: Batcher<string, Job | undefined> = createBatcher({
    sizeMax: BATCH_MAX,
    ask: (keys) =>
      claimKeys(ctx.db, {
        queue,
        keys,
        now: ctx.clock.now(),
        leaseSeconds,
        ...(options.load && { load: options.load }),
      }),
  })
  const records: Batcher<JobResult, undefined> = createBatcher({
    sizeMax: BATCH_MAX,
    async ask(results) {
      await finishJobs(ctx.db, queue, results, { announceWithinMs: ANNOUNCE_WITHIN_MS })
      return results.map(() => undefined)
    },
  })
  const leftAlone: Batcher<string, undefined> = createBatcher({
    sizeMax: BATCH_MAX,
    async ask(keys) {
      // When this worker ends, another has room.
      await postponePublication(ctx.db, { queue, keys, seconds: closing ? 0 : NO_ROOM_SECONDS })
      return keys.map(() => undefined)
    },
  })

  const record = async (result: JobResult): Promise<void> => {
    for (let attempt = 1; ; attempt++)
      try {
        return await records.submit(result)
      } catch (error) {
        if (attempt >= RECORD.attempts) throw error
        await new Promise((resolve) => setTimeout(resolve, RECORD.firstMs * 2 ** attempt))
      }
  }

  const run = async (message: JobMessage): Promise<JobResult | undefined> => {
    let ran: Ran & { ms: number } = { ms: 0 }
    try {
      const job = await claims.submit(message.key)
      if (job) ran = await runner.run(job)
      return ran.result
    } finally {
      places.giveBack(message.tenantId, ran)
    }
  }

  /** Of those that wait for a place. Another message about such a job says nothing new, and takes no room. */
  const waiting = new Set<string>()
  const takePlace = async ({ key, tenantId }: JobMessage): Promise<boolean> => {
    waiting.add(key)
    try {
      return await places.take(tenantId)
    } finally {
      waiting.delete(key)
    }
  }

  return {
    async work(message) {
      if (waiting.has(message.key)) return DONE
      try {
        if (!(await takePlace(message))) {
          await leftAlone.submit(message.key)
          return DONE
        }
        const result = await run(message)
        if (result) await record(result)
        return DONE
      } catch (error) {
        ctx.log.warn({ queue, key: message.key, reason: messageOf(error) }, 'a message has failed')
        return FAILED
      }
    },
    room: () => places.free(),
    close() {
      closing = true
      places.close()
    },
  }
}

/** The contract of functions that are handed messages: back come the ids of those that must be delivered again. */
export async function handleMessages(
  worker: Pick<MessageWorker, 'handle'>,
  messages: readonly IncomingMessage[],
  bury: (message: IncomingMessage, reason: string) => Promise<void>,
): Promise<{ failures: string[] }> {
  const verdicts = await Promise.all(worker.handle(messages))
  /** What cannot be buried is delivered until the queue's own rule buries it. */
  const hasEnded = async (message: IncomingMessage, verdict: Verdict): Promise<boolean> => {
    if (verdict.status !== 'dead') return verdict.status === 'done'
    return await bury(message, verdict.reason).then(
      () => true,
      () => false,
    )
  }
  const failures: string[] = []
  const failedGroups = new Set<string>()
  for (const [index, message] of messages.entries()) {
    const { id, orderedGroup: group } = message
    const isAfterFailure = group !== undefined && failedGroups.has(group)
    if (!isAfterFailure && (await hasEnded(message, verdicts[index] ?? FAILED))) continue
    failures.push(id)
    if (group !== undefined) failedGroups.add(group)
  }
  return { failures }
}
