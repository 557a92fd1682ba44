import { assert, Fault } from '../platform/index.ts'
import { createGathering } from './gathering.ts'

/** Groups concurrent calls into batches. A call's events stay together and in order. */
export interface Batcher<Event, Result> {
  /** Throws a retryable Fault `ledger_overloaded` when too much waits: nothing of this call was or will be applied. */
  submit(events: readonly Event[]): Promise<Result[]>
  /** Refuses new calls and resolves when all earlier ones have their answers. */
  close(): Promise<void>
}

export interface BatcherOptions<Event, Result> {
  /** Applies events as one batch; one result per event, in order. A Fault concerns all of them; any other error is one call's bug. */
  apply: (events: readonly Event[], isApart: boolean) => Promise<Result[]>
  /** Calls that are better kept out of the others' batches: they get their own, in turn with those. */
  isApart?: (events: readonly Event[]) => boolean
  batchSizeMax: number
  /** Events that wait at most; more is refused, so that a store that hangs does not fill the memory. */
  queueSizeMax: number
  /** A call that waited so long without being sent is refused. */
  waitMsMax: number
  /** For so long at most a batch waits for those whose last one has just come back. Default: for nobody. */
  gatherMsMax?: number
}

interface Call<Event, Result> {
  events: readonly Event[]
  since: number
  resolve(results: Result[]): void
  reject(error: unknown): void
}

/** Calls that end in a linked event have an open chain; alone in their batch it cannot reach into another call's events. */
const isOpenChain = (events: readonly unknown[]): boolean =>
  (events.at(-1) as { linked?: boolean } | undefined)?.linked === true

const overloaded = (message: string) => new Fault('ledger_overloaded', { retryable: true, message })

/**
 * Sends at once when nothing is in flight, and gathers while a batch is: under load batches grow by themselves, when idle
 * nobody waits for company.
 */
export function createBatcher<Event, Result>(options: BatcherOptions<Event, Result>): Batcher<Event, Result> {
  const lanes = [createLane<Event, Result>(options), createLane<Event, Result>(options)] as const
  const waiting = () => lanes[0].size() + lanes[1].size()
  const gathering = createGathering({
    waiting: () => lanes[0].calls() + lanes[1].calls(),
    msMax: options.gatherMsMax ?? 0,
  })
  let running: Promise<void> | undefined
  let closed = false

  const run = async () => {
    // What becomes ready in this turn of the event loop goes with the same batch.
    await nextTurn()
    while (waiting() > 0) {
      await gathering.gather()
      for (const [index, lane] of lanes.entries()) {
        const calls = lane.take()
        const apply = (events: readonly Event[]) =>
          gathering.measure(calls.length, () => options.apply(events, index === 1))
        await applyCalls(apply, calls)
      }
      // Callers that were just answered come back at once, most of them.
      await nextTurn()
    }
    running = undefined
  }

  return {
    submit(events) {
      if (closed)
        return Promise.reject(
          new Fault('ledger_closed', { retryable: false, message: 'the ledger is closed' }),
        )
      if (events.length === 0) return Promise.resolve([])
      assert(events.length <= options.batchSizeMax, 'a call fits into a batch', events.length)
      const before = waiting()
      if (before + events.length > options.queueSizeMax)
        return Promise.reject(overloaded(`${before} events are waiting already`))
      return new Promise<Result[]>((resolve, reject) => {
        const lane = lanes[options.isApart?.(events) ? 1 : 0]
        lane.add({ events, since: performance.now(), resolve, reject })
        running ??= run()
        gathering.joined()
      })
    },
    async close() {
      closed = true
      await running
    },
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Calls that wait, oldest first. */
function createLane<Event, Result>(options: { batchSizeMax: number; waitMsMax: number }) {
  let queue: Call<Event, Result>[] = []
  let size = 0

  const refuseStale = () => {
    const before = performance.now() - options.waitMsMax
    const fresh = queue.findIndex((call) => call.since >= before)
    const stale = fresh < 0 ? queue : queue.slice(0, fresh)
    if (stale.length === 0) return
    queue = queue.slice(stale.length)
    for (const call of stale) {
      size -= call.events.length
      call.reject(overloaded(`not sent within ${options.waitMsMax} ms`))
    }
  }

  return {
    /** Events that wait. */
    size: () => size,
    calls: () => queue.length,
    add(call: Call<Event, Result>): void {
      queue.push(call)
      size += call.events.length
    },
    /** The calls of the next batch. */
    take(): Call<Event, Result>[] {
      refuseStale()
      let events = 0
      let count = 0
      for (const call of queue) {
        const alone = isOpenChain(call.events)
        if (count > 0 && (alone || events + call.events.length > options.batchSizeMax)) break
        events += call.events.length
        count++
        if (alone) break
      }
      const calls = queue.slice(0, count)
      queue = queue.slice(count)
      size -= events
      return calls
    },
  }
}

async function applyCalls<Event, Result>(
  apply: (events: readonly Event[]) => Promise<Result[]>,
  calls: Call<Event, Result>[],
): Promise<void> {
  if (calls.length === 0) return
  const only = calls.length === 1 ? calls[0] : undefined
  try {
    const results = await apply(only ? only.events : eventsOf(calls))
    const size = calls.reduce((sum, call) => sum + call.events.length, 0)
    assert(size === results.length, 'one result per event', { events: size, results: results.length })
    let at = 0
    for (const call of calls) {
      const end = at + call.events.length
      call.resolve(only ? results : results.slice(at, end))
      at = end
    }
  } catch (error) {
    // A bug in one caller's events must not fail the others: nothing was applied, so each tries alone.
    if (error instanceof Fault || only) for (const call of calls) call.reject(error)
    else for (const call of calls) await applyCalls(apply, [call])
  }
}

function eventsOf<Event>(calls: readonly Call<Event, unknown>[]): Event[] {
  const events: Event[] = []
  for (const call of calls) for (const event of call.events) events.push(event)
  return events
}
