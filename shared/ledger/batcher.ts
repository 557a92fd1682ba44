import { assert, Fault } from '../platform/index.ts'

/** Groups concurrent calls into batches. A call's events stay together and in order. */
export interface Batcher<Event, Result> {
  /** Throws a retryable Fault `ledger_overloaded` when too much waits: nothing of this call was or will be applied. */
  submit(events: readonly Event[]): Promise<Result[]>
  /** Refuses new calls and resolves when all earlier ones have their answers. */
  close(): Promise<void>
}

export interface BatcherOptions<Event, Result> {
  /** Applies events as one batch; one result per event, in order. A Fault concerns all of them; any other error is one call's bug. */
  apply: (events: readonly Event[]) => Promise<Result[]>
  batchSizeMax: number
  /** Events that wait at most; more is refused, so that a store that hangs does not fill the memory. */
  queueSizeMax: number
  /** A call that waited so long without being sent is refused. */
  waitMsMax: number
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
 * nobody waits for company. No timer lingers.
 */
export function createBatcher<Event, Result>(options: BatcherOptions<Event, Result>): Batcher<Event, Result> {
  let queue: Call<Event, Result>[] = []
  let queued = 0
  let running: Promise<void> | undefined
  let closed = false

  /** The calls of the next batch, oldest first. */
  const take = (): Call<Event, Result>[] => {
    let size = 0
    let count = 0
    for (const call of queue) {
      const alone = isOpenChain(call.events)
      if (count > 0 && (alone || size + call.events.length > options.batchSizeMax)) break
      size += call.events.length
      count++
      if (alone) break
    }
    const calls = queue.slice(0, count)
    queue = queue.slice(count)
    queued -= size
    return calls
  }

  const refuseStale = () => {
    const before = performance.now() - options.waitMsMax
    while (queue[0] && queue[0].since < before) {
      const call = queue.shift()
      if (!call) return
      queued -= call.events.length
      call.reject(overloaded(`not sent within ${options.waitMsMax} ms`))
    }
  }

  const run = async () => {
    // What becomes ready in this turn of the event loop goes with the same batch.
    await new Promise((resolve) => setImmediate(resolve))
    for (refuseStale(); queue.length > 0; refuseStale()) {
      await applyCalls(options.apply, take())
      // Callers that were just answered come back at once, most of them.
      await new Promise((resolve) => setImmediate(resolve))
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
      if (queued + events.length > options.queueSizeMax)
        return Promise.reject(overloaded(`${queued} events are waiting already`))
      queued += events.length
      return new Promise((resolve, reject) => {
        queue.push({ events, since: performance.now(), resolve, reject })
        running ??= run()
      })
    },
    async close() {
      closed = true
      await running
    },
  }
}

async function applyCalls<Event, Result>(
  apply: (events: readonly Event[]) => Promise<Result[]>,
  calls: Call<Event, Result>[],
): Promise<void> {
  const only = calls.length === 1 ? calls[0] : undefined
  try {
    const results = await apply(only ? only.events : calls.flatMap((call) => call.events))
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
