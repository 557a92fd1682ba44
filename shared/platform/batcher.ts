import { assert, Fault } from './errors.ts'
import type { Turnstile } from './turnstile.ts'

/** Answers single questions by asking many at a time. */
export interface Batcher<Item, Result> {
  /** Throws what the batch threw; a retryable Fault `overloaded` when too many wait already. */
  submit(item: Item): Promise<Result>
}

export interface BatcherOptions<Item, Result> {
  /**
   * One result per item, in order. A retryable Fault is the dependency's and fails all of them; anything else may be one item's
   * doing, so each is then asked alone.
   */
  ask: (items: readonly Item[]) => Promise<readonly Result[]>
  /** Retryable Faults that may be one item's doing too. */
  isOfOne?: (error: unknown) => boolean
  /** Items in a batch. */
  sizeMax: number
  /** Where a batch waits for its turn among others when it could leave. Default: it leaves at the end of the turn of the event loop. */
  turnstile?: Turnstile
  /** While a batch is younger than this, the next one gathers. An older one holds up nobody. */
  patienceMs?: number
  /** Batches that run at the same time at most, all but one of them past their patience. */
  batchesMax?: number
  /** Items that wait at most. */
  waitingMax?: number
}

interface Call<Item, Result> {
  item: Item
  resolve(result: Result): void
  reject(error: unknown): void
}

/** Everybody goes at once. */
const openDoor: Turnstile = {
  pass: ({ go }) => new Promise((resolve) => setImmediate(() => resolve(go()))),
}

/**
 * Asks at the end of this turn of the event loop when nothing is in flight, and gathers while a batch is: under load batches grow by
 * themselves, and when idle nobody waits. Nothing is remembered: an answer goes to those who asked before the batch left.
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { sizeMax, patienceMs = 50, batchesMax = 8, waitingMax = 10_000, turnstile = openDoor } = options
  let waiting: Call<Item, Result>[] = []
  let running = 0
  let young = 0
  let isScheduled = false

  const schedule = () => {
    if (isScheduled || waiting.length === 0 || young > 0 || running >= batchesMax) return
    isScheduled = true
    void turnstile.pass({ size: () => Math.min(waiting.length, sizeMax), go: sendNext })
  }

  const sendNext = () => {
    isScheduled = false
    if (waiting.length > sizeMax) return send(waiting.splice(0, sizeMax))
    const all = waiting
    waiting = []
    return send(all)
  }

  const send = async (calls: Call<Item, Result>[]): Promise<void> => {
    running++
    young++
    let isYoung = true
    const age = () => {
      if (isYoung) young--
      isYoung = false
    }
    const timer = setTimeout(() => {
      age()
      schedule()
    }, patienceMs)
    timer.unref()
    await answer(options, calls)
    clearTimeout(timer)
    age()
    running--
    schedule()
  }

  return {
    submit: (item) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= waitingMax) {
          const message = `${waiting.length} are waiting already`
          reject(new Fault('overloaded', { retryable: true, message }))
          return
        }
        waiting.push({ item, resolve, reject })
        schedule()
      }),
  }
}

/** Never throws: each call gets its own end. */
async function answer<Item, Result>(
  options: Pick<BatcherOptions<Item, Result>, 'ask' | 'isOfOne'>,
  calls: readonly Call<Item, Result>[],
): Promise<void> {
  try {
    const results = await options.ask(calls.map(({ item }) => item))
    assert(results.length === calls.length, 'one result per item')
    for (const [index, call] of calls.entries()) call.resolve(results[index] as Result)
  } catch (error) {
    const concernsAll = error instanceof Fault && error.retryable && !options.isOfOne?.(error)
    if (calls.length === 1 || concernsAll) for (const call of calls) call.reject(error)
    else await Promise.all(calls.map((call) => answer(options, [call])))
  }
}
