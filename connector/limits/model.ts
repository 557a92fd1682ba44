/** What may pass within a period. As much may pass at once after a rest. */
export interface Limit {
  /** Whole, at most 2^53 − 1. */
  capacity: number
  periodMs: number
}

/** What was let pass. */
export interface Taken {
  /** It did not happen after all. */
  giveBack(): void
}

export interface Limits {
  /** `undefined`: not now. Never throws, and never waits for longer than {@link WAIT_MS}. `quantity` is at most the capacity. */
  take(key: string, limit: Limit, quantity: number): Taken | undefined | Promise<Taken | undefined>
  close(): Promise<void>
}

/** How long a packet waits for the others' word about a limit: a moment of its life. */
export const WAIT_MS = 100
