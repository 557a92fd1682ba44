/** Time comes from the context, so that tests and the simulator own it. */
export interface Clock {
  now(): Date
  /** Milliseconds since the epoch. */
  nowMs(): number
  /** `now + milliseconds`. */
  fromNow(milliseconds: number): Date
}

export const systemClock: Clock = {
  now: () => new Date(),
  nowMs: () => Date.now(),
  fromNow: (milliseconds) => new Date(Date.now() + milliseconds),
}
