import { createGate } from './gate.ts'

/** The more there is to do, the more goes into one claim: so long for each job that is in flight, up to a maximum. */
const GATHER_MS = { perJob: 2, max: 20 }

export interface ClaimPace {
  /** A claim begins. */
  claimed(): void
  /** A job has ended. */
  ended(): void
  /** Resolves when the next claim may begin: at once when nothing is in flight. `isUrgent` is asked again whenever jobs end. */
  gather(isUrgent: () => boolean): Promise<void>
}

/** Keeps claims apart while jobs are in flight, of which `inFlight` says how many. */
export function createClaimPace(
  inFlight: () => number,
  nowMs: () => number = () => performance.now(),
): ClaimPace {
  const gate = createGate()
  let claimedAtMs = Number.NEGATIVE_INFINITY
  const waitMs = () => Math.min(inFlight() * GATHER_MS.perJob, GATHER_MS.max)
  return {
    claimed() {
      claimedAtMs = nowMs()
    },
    ended() {
      if (waitMs() < GATHER_MS.max) gate.wake()
    },
    async gather(isUrgent) {
      while (!isUrgent()) {
        const restMs = claimedAtMs + waitMs() - nowMs()
        if (restMs <= 0) return
        await gate.wait(restMs)
      }
    },
  }
}
