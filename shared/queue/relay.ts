import { assert, type Clock, type Db, type Listener, type Logger, messageOf } from '../platform/index.ts'
import { silentTelemetry, type Telemetry } from '../telemetry/index.ts'
import type { Broker } from './drivers/model.ts'
import { repeatThroughOutages } from './drivers/outage.ts'
import { createGate } from './gate.ts'
import { toMessage } from './message.ts'
import type { QueueName } from './model.ts'
import { type PublishWindow, postponePublication, takeForPublication } from './published-store.ts'
import { JOBS_CHANNEL } from './store.ts'

export interface RelayContext {
  db: Db
  /** Absent behind a proxy that shares sessions: the relay looks by itself then. */
  listener?: Listener
  clock: Clock
  log: Logger
  telemetry?: Telemetry
}

export interface RelayOptions {
  /** Which broker's queue carries which jobs. */
  routes: readonly { queue: QueueName; broker: Pick<Broker, 'send' | 'depth'> }[]
  /** How often to look although nobody asked. */
  idleMs: number
  /** A message that led to nothing within this time counts as lost, and another is sent. */
  republishSeconds?: number
  window?: PublishWindow
}

export interface Relay {
  /** Publishes no more, and resolves when what is under way has been sent. */
  close(): Promise<void>
}

export const REPUBLISH_SECONDS = 30
const WINDOW: PublishWindow = { own: 16, most: 256, common: 4_096 }
/** Messages sent after one look. */
const BATCH_MAX = 512
/** While jobs wait for messages to be taken: from the first, doubling while nothing changes. */
const FULL_MS_FIRST = 2

/**
 * While nobody takes messages, theirs is not the time to send more about the same jobs: not while so many wait at the broker, for each
 * job that is on its way and beyond.
 */
const WAITING_MAX = { perJob: 2, beyond: 1_000 }
/** The broker is asked how many wait at most so often. */
const DEPTH_MS = 500

/** Knows when there are more messages at a broker than jobs explain. */
interface Backlog {
  onTheirWay: Map<QueueName, number>
  isTooLong(): Promise<boolean>
}

function watchBacklog(broker: Pick<Broker, 'depth'>, log: Logger): Backlog {
  const onTheirWay = new Map<QueueName, number>()
  let waiting = 0
  let askedAt = Number.NEGATIVE_INFINITY
  return {
    onTheirWay,
    async isTooLong() {
      if (performance.now() - askedAt > DEPTH_MS) {
        askedAt = performance.now()
        // Without an answer messages go on.
        waiting = await broker.depth().then(
          (depth) => depth.waiting,
          (error: unknown) => {
            log.debug({ reason: messageOf(error) }, 'the broker does not say how many messages wait')
            return 0
          },
        )
      }
      const explained = [...onTheirWay.values()].reduce((sum, count) => sum + count, 0)
      return waiting > WAITING_MAX.perJob * explained + WAITING_MAX.beyond
    },
  }
}

/** How one look went. */
interface Look {
  sent: number
  failed: number
  /** Until the next look; 0: there is more. */
  restMs: number
  full: boolean
}

/** Sends messages about the jobs of one queue that are due and not on their way. */
async function publish(
  ctx: RelayContext,
  { queue, broker }: RelayOptions['routes'][number],
  options: RelayOptions,
  backlog: Backlog,
): Promise<Look> {
  const { republishSeconds = REPUBLISH_SECONDS, window = WINDOW, idleMs } = options
  if (await backlog.isTooLong())
    return { sent: 0, failed: 0, restMs: Math.min(DEPTH_MS, idleMs), full: false }
  const { jobs, more, full, onTheirWay, nextMs } = await takeForPublication(ctx.db, {
    queue,
    now: ctx.clock.now(),
    limit: BATCH_MAX,
    republishSeconds,
    window,
  })
  backlog.onTheirWay.set(queue, onTheirWay)
  const outcomes = jobs.length === 0 ? [] : await broker.send(jobs.map((job) => toMessage(queue, job)))
  const refused = jobs.filter((_, index) => outcomes[index] !== undefined)
  if (refused.length > 0) {
    const reason = messageOf(outcomes.find((outcome) => outcome !== undefined))
    ctx.log.warn({ queue, count: refused.length, reason }, 'messages were not accepted')
    // If this fails too, their time runs out by itself.
    const keys = refused.map(({ key }) => key)
    await postponePublication(ctx.db, { queue, keys, seconds: 0 }).catch((error: unknown) => {
      ctx.log.warn({ queue, reason: messageOf(error) }, 'cannot say that messages were not sent')
    })
  }
  const restMs = more ? 0 : Math.min(Math.max(nextMs ?? idleMs, 1), idleMs)
  return { sent: jobs.length - refused.length, failed: refused.length, restMs, full }
}

/** Queues that share a broker's share its backlog. */
function watchBacklogs({ log }: RelayContext, options: RelayOptions) {
  const backlogs = new Map<Pick<Broker, 'depth'>, Backlog>()
  for (const { broker } of options.routes)
    if (!backlogs.has(broker)) backlogs.set(broker, watchBacklog(broker, log))
  return ({ broker }: RelayOptions['routes'][number]): Backlog => {
    const backlog = backlogs.get(broker)
    assert(backlog, 'of every route')
    return backlog
  }
}

/** Once through everything that is due; for whoever looks from time to time. Throws at the end when a queue could not be published. */
export async function publishDueJobs(ctx: RelayContext, options: RelayOptions): Promise<{ sent: number }> {
  let sent = 0
  const failures: unknown[] = []
  const backlogs = watchBacklogs(ctx, options)
  for (const route of options.routes)
    try {
      for (let look: Look | undefined; look === undefined || (look.restMs === 0 && look.sent > 0); ) {
        look = await publish(ctx, route, options, backlogs(route))
        sent += look.sent
        if (look.failed > 0 && look.sent === 0)
          throw new Error(`no message about ${route.queue} was accepted`)
      }
    } catch (error) {
      // The others have brokers' queues of their own.
      failures.push(error)
    }
  if (failures.length > 0) throw new Error(failures.map(messageOf).join('; '), { cause: failures[0] })
  return { sent }
}

/**
 * Carries due jobs to a broker until closed. The rows stay the truth: a message that is lost, with its broker or without, is sent
 * again after a while, and one that is sent twice says nothing new. Several relays may run.
 */
export function relayJobs(ctx: RelayContext, options: RelayOptions): Relay {
  const { telemetry = silentTelemetry } = ctx
  const published = telemetry.instruments.counter('upesi_queue_messages_sent')
  const gates = new Map<string, ReturnType<typeof createGate>>()
  const backlogs = watchBacklogs(ctx, options)
  let closing = false

  const loops = options.routes.map((route) => {
    const { queue } = route
    const gate = createGate()
    gates.set(queue, gate)
    let fullMs = FULL_MS_FIRST
    return repeatThroughOutages(
      ctx.log,
      `publish ${queue}`,
      () => closing,
      async () => {
        const look = await publish(ctx, route, options, backlogs(route))
        if (look.sent > 0) published.add(look.sent, { queue, outcome: 'sent' })
        if (look.failed > 0) published.add(look.failed, { queue, outcome: 'failed' })
        if (look.failed > 0 && look.sent === 0) throw new Error('no message was accepted')
        if (closing || look.restMs === 0) return
        fullMs = look.sent > 0 || !look.full ? FULL_MS_FIRST : Math.min(fullMs * 2, options.idleMs)
        if (look.full) await gate.wait(Math.min(fullMs, look.restMs))
        else await gate.wait(look.restMs)
      },
    )
  })
  ctx.listener?.listen(JOBS_CHANNEL, (payload) => {
    for (const [queue, gate] of gates) if (payload === undefined || payload === queue) gate.wake()
  })
  return {
    async close() {
      closing = true
      for (const gate of gates.values()) gate.wake()
      await Promise.all(loops)
    },
  }
}
