import { type Clock, type Db, type Listener, type Logger, messageOf } from '../platform/index.ts'
import { silentTelemetry, type Telemetry } from '../telemetry/index.ts'
import { type Backlog, DEPTH_MS, watchBacklog } from './backlog.ts'
import type { Broker } from './drivers/model.ts'
import { repeatThroughOutages } from './drivers/outage.ts'
import { createEarnings } from './earnings.ts'
import { createGate } from './gate.ts'
import { toMessage } from './message.ts'
import type { QueueName } from './model.ts'
import {
  type PublishedJob,
  type PublishWindow,
  postponePublication,
  takeForPublication,
} from './published-store.ts'
import { JOBS_CHANNEL } from './store.ts'

export interface RelayContext {
  db: Db
  /** Absent behind a proxy that shares sessions: the relay looks by itself then. */
  listener?: Listener
  clock: Clock
  log: Logger
  telemetry?: Telemetry
}

export interface RelayRoute {
  queue: QueueName
  broker: Pick<Broker, 'send' | 'depth'>
  /** Default: of consumers that keep places for tenants themselves. */
  window?: RelayWindow
}

export interface RelayWindow extends PublishWindow {
  /** Present: a tenant earns more, up to the most, by jobs that end within this time. Absent: it has its share and no more. */
  promptMs?: number
}

export interface RelayOptions {
  /** Which broker's queue carries which jobs. */
  routes: readonly RelayRoute[]
  /** How often to look although nobody asked. */
  idleMs: number
  /** A message that led to nothing within this time counts as lost, and another is sent. */
  republishSeconds?: number
}

export interface Relay {
  /** Publishes no more, and resolves when what is under way has been sent. */
  close(): Promise<void>
}

export const REPUBLISH_SECONDS = 30
const WINDOW: RelayWindow = { own: 16, most: 256, common: 2_048 }
/** Messages sent after one look. */
const BATCH_MAX = 512
/** While jobs wait for messages to be taken: from the first, doubling while nothing changes. */
const FULL_MS_FIRST = 2

/** How one look went. */
interface Look {
  sent: number
  failed: number
  /** Until the next look; 0: there is more. */
  restMs: number
  full: boolean
}

/** A queue's way to its broker. */
interface Way {
  /** Sends messages about the jobs that are due and not on their way. */
  publish(): Promise<Look>
}

function createWay(ctx: RelayContext, route: RelayRoute, options: RelayOptions, backlog: Backlog): Way {
  const { queue, broker, window = WINDOW } = route
  const { republishSeconds = REPUBLISH_SECONDS, idleMs } = options
  const { promptMs, most } = window
  const earnings = promptMs === undefined ? undefined : createEarnings({ promptMs, most })

  const send = async (jobs: readonly PublishedJob[]): Promise<number> => {
    const outcomes = jobs.length === 0 ? [] : await broker.send(jobs.map((job) => toMessage(queue, job)))
    const refused = jobs.filter((_, index) => outcomes[index] !== undefined)
    if (refused.length === 0) return jobs.length
    const reason = messageOf(outcomes.find((outcome) => outcome !== undefined))
    ctx.log.warn({ queue, count: refused.length, reason }, 'messages were not accepted')
    // If this fails too, their time runs out by itself.
    const keys = refused.map(({ key }) => key)
    await postponePublication(ctx.db, { queue, keys, seconds: 0 }).catch((error: unknown) => {
      ctx.log.warn({ queue, reason: messageOf(error) }, 'cannot say that messages were not sent')
    })
    return jobs.length - refused.length
  }

  return {
    async publish() {
      // A tenant that the broker has nothing of does not wait for what it has too much of.
      const onlyNewcomers = await backlog.isTooLong()
      const { jobs, more, full, onTheirWay, inHand, nextMs } = await takeForPublication(ctx.db, {
        queue,
        now: ctx.clock.now(),
        limit: BATCH_MAX,
        republishSeconds,
        window,
        onlyNewcomers,
        ...(earnings && { earned: earnings.earned() }),
      })
      backlog.onTheirWay.set(queue, onTheirWay)
      earnings?.saw(performance.now(), inHand, countByTenant(jobs))
      const sent = await send(jobs)
      const restMs = more ? 0 : Math.min(Math.max(nextMs ?? idleMs, 1), idleMs)
      return {
        sent,
        failed: jobs.length - sent,
        restMs: onlyNewcomers ? Math.min(restMs, DEPTH_MS) : restMs,
        full: full && !onlyNewcomers,
      }
    },
  }
}

function countByTenant(jobs: readonly PublishedJob[]): Map<string | undefined, number> {
  const counts = new Map<string | undefined, number>()
  for (const { tenantId } of jobs) counts.set(tenantId, (counts.get(tenantId) ?? 0) + 1)
  return counts
}

/** Queues that share a broker's share its backlog. */
function createWays(ctx: RelayContext, options: RelayOptions): (Way & { queue: QueueName })[] {
  const backlogs = new Map<RelayRoute['broker'], Backlog>()
  return options.routes.map((route) => {
    const { queue, broker } = route
    const backlog = backlogs.get(broker) ?? watchBacklog(broker, ctx.log)
    backlogs.set(broker, backlog)
    return { queue, ...createWay(ctx, route, options, backlog) }
  })
}

/** How long {@link publishDueJobs} waits for room that others make, and goes on for as long as they do. */
const ROOM_MS = { first: 50, max: 1_000, total: 40_000 }

/**
 * Through everything that is due, as long as jobs leave the window to make room for more; for whoever looks from time to time. Throws at
 * the end when a queue could not be published.
 */
export async function publishDueJobs(ctx: RelayContext, options: RelayOptions): Promise<{ sent: number }> {
  const until = performance.now() + ROOM_MS.total
  const outcomes = await Promise.allSettled(createWays(ctx, options).map((way) => publishOnce(way, until)))
  // Those that failed keep nothing from the others, which have brokers' queues of their own.
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  if (failures.length > 0) throw new Error(failures.map(messageOf).join('; '), { cause: failures[0] })
  return {
    sent: outcomes.reduce((sum, outcome) => sum + (outcome.status === 'fulfilled' ? outcome.value : 0), 0),
  }
}

async function publishOnce(way: Way & { queue: QueueName }, untilMs: number): Promise<number> {
  let sent = 0
  let roomMs = ROOM_MS.first
  for (;;) {
    const look = await way.publish()
    sent += look.sent
    if (look.failed > 0 && look.sent === 0) throw new Error(`no message about ${way.queue} was accepted`)
    const isMore = look.restMs === 0 && look.sent > 0
    if (look.sent > 0) roomMs = ROOM_MS.first
    if (isMore) continue
    if (!look.full || sent === 0 || roomMs > ROOM_MS.max || performance.now() > untilMs) return sent
    await new Promise((resolve) => setTimeout(resolve, roomMs))
    roomMs *= 2
  }
}

/**
 * Carries due jobs to a broker until closed. The rows stay the truth: a message that is lost, with its broker or without, is sent
 * again after a while, and one that is sent twice says nothing new. Several relays may run.
 */
export function relayJobs(ctx: RelayContext, options: RelayOptions): Relay {
  const { telemetry = silentTelemetry } = ctx
  const published = telemetry.instruments.counter('upesi_queue_messages_sent')
  const gates = new Map<string, ReturnType<typeof createGate>>()
  let closing = false

  const loops = createWays(ctx, options).map(({ queue, publish }) => {
    const gate = createGate()
    gates.set(queue, gate)
    let fullMs = FULL_MS_FIRST
    return repeatThroughOutages(
      ctx.log,
      `publish ${queue}`,
      () => closing,
      async () => {
        const look = await publish()
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
