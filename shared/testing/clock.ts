import type { Clock } from '../platform/index.ts'

export interface TestClock extends Clock {
  advance(milliseconds: number): void
  set(date: Date): void
}

/** A clock that stands still until told. Default start: a moment that is nobody's now, so that real time cannot slip in. */
export function testClock(start: Date = new Date('2031-05-04T03:02:01.000Z')): TestClock {
  let nowMs = start.getTime()
  return {
    now: () => new Date(nowMs),
    nowMs: () => nowMs,
    fromNow: (milliseconds) => new Date(nowMs + milliseconds),
    advance(milliseconds) {
      nowMs += milliseconds
    },
    set(date) {
      nowMs = date.getTime()
    },
  }
}
