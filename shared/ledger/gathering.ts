/**
 * Callers whose batch has come back are there again soon after, with what they want next or others in their place. Who comes first
 * waits for the rest, or two halves would take turns for ever, each in batches of its own and each behind the other's.
 */
export interface Gathering {
  /** Carries out a batch of so many calls: they, and those that wait when it comes back, are expected together in the next one. */
  measure<T>(calls: number, batch: () => Promise<T>): Promise<T>
  /** Resolves when all who are expected wait, or as much time has passed since the last batch as that took. */
  gather(): Promise<void>
  /** One more waits. */
  joined(): void
}

/** `waiting`: how many calls wait. Nobody waits for others for longer than `msMax`, and who is alone waits for nobody. */
export function createGathering(options: { waiting: () => number; msMax: number }): Gathering {
  const { waiting, msMax } = options
  let expected = 0
  let untilMs = 0
  let complete: (() => void) | undefined

  return {
    async measure(calls, batch) {
      const startedMs = performance.now()
      try {
        return await batch()
      } finally {
        const endedMs = performance.now()
        // Before those in it have their answers and come again.
        expected = calls + waiting()
        untilMs = endedMs + Math.min(msMax, endedMs - startedMs)
      }
    },
    async gather() {
      const leftMs = Math.round(untilMs - performance.now())
      if (leftMs <= 0 || waiting() >= expected) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        complete = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      complete = undefined
    },
    joined() {
      if (waiting() >= expected) complete?.()
    },
  }
}
