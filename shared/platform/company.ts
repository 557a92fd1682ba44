/** When a statement of many waits for company, and how long: see {@link createCompany}. */
export interface Company {
  /** Does `work`, and counts it as an item under way from its beginning to its end. */
  attend<T>(work: () => Promise<T>): Promise<T>
  /** Notes how long a statement takes. */
  measure<T>(statement: Promise<T>): Promise<T>
  /** For how long the next statement gathers, in whole milliseconds. */
  pauseMs(): number
}

/** With fewer items under way, whatever their kinds, nobody waits: a request alone has one, now and then two. */
const ITEMS_MIN = 3
/** A statement waits for as long as so many take, and no longer than the maximum. */
const PAUSE = { statements: 2, msMax: 8 }
/** Of how many statements the time is averaged. */
const STATEMENTS_REMEMBERED = 16

/**
 * Requests that go through dozens of statements of different kinds meet few of their like at each: of fifty payments in flight three or
 * four. Who waits a little for those behind stays together with them from there on. What that costs is bounded by what it may save:
 * where statements are quick, because neither side is busy, the wait is short, and below a millisecond there is none.
 */
export function createCompany(): Company {
  let underWay = 0
  let averageMs = 0
  return {
    async attend(work) {
      underWay++
      try {
        return await work()
      } finally {
        underWay--
      }
    },
    async measure(statement) {
      const startedAt = performance.now()
      try {
        return await statement
      } finally {
        averageMs += (performance.now() - startedAt - averageMs) / STATEMENTS_REMEMBERED
      }
    },
    pauseMs: () =>
      underWay < ITEMS_MIN ? 0 : Math.floor(Math.min(averageMs * PAUSE.statements, PAUSE.msMax)),
  }
}
