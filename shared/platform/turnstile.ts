/** What gathers until it may pass. */
export interface Group {
  /** How many would go along now. */
  size(): number
  /** Goes, with whoever is there. Never rejects. */
  go(): Promise<void>
}

/** Lets groups through one after the other: see {@link createTurnstile}. */
export interface Turnstile {
  /** The group goes when it is its turn. Resolves when it is over. */
  pass(group: Group): Promise<void>
}

export interface TurnstileOptions {
  /** Of those on their way for a shorter time than this, there is one; who takes longer holds up nobody. */
  patienceMs?: number
  /** Who has waited for so long goes before larger ones. */
  waitMsMax?: number
}

interface Waiting {
  group: Group
  since: number
  resolve(): void
}

/**
 * Groups of different kinds pass one at a time, the largest first. So under load they grow by themselves while one is on its way, and those
 * who passed together meet those who wait at the next turnstile, or before the same one again: the busier the other side is, the more go
 * together. Alone, a group passes at the end of the turn of the event loop.
 */
export function createTurnstile({ patienceMs = 3, waitMsMax = 100 }: TurnstileOptions = {}): Turnstile {
  /** The longest first. */
  const waiting: Waiting[] = []
  let isBusy = false
  let isScheduled = false

  const schedule = () => {
    if (isBusy || isScheduled || waiting.length === 0) return
    isScheduled = true
    setImmediate(admit)
  }

  const admit = () => {
    isScheduled = false
    const next = waiting.splice(nextOf(waiting, performance.now() - waitMsMax), 1)[0]
    if (next) void letThrough(next)
  }

  const letThrough = async ({ group, resolve }: Waiting): Promise<void> => {
    isBusy = true
    let isInFront = true
    const stepAside = () => {
      if (!isInFront) return
      isInFront = false
      isBusy = false
      schedule()
    }
    const timer = setTimeout(stepAside, patienceMs)
    timer.unref()
    await group.go()
    clearTimeout(timer)
    stepAside()
    resolve()
  }

  return {
    pass: (group) =>
      new Promise((resolve) => {
        waiting.push({ group, since: performance.now(), resolve })
        schedule()
      }),
  }
}

/** The one that has waited too long, or else the largest; of equal ones the first. */
function nextOf(waiting: readonly Waiting[], tooLongSince: number): number {
  const [first] = waiting
  if (first === undefined || first.since <= tooLongSince) return 0
  let largest = 0
  let sizeMax = first.group.size()
  for (const [index, { group }] of waiting.entries()) {
    const size = group.size()
    if (size > sizeMax) [largest, sizeMax] = [index, size]
  }
  return largest
}
