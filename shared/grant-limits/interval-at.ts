import type { Interval, RepeatingInterval } from './model.ts'

const FEBRUARY = 1

/** One step from an end of an interval to its other end, the calendar first: 31 January plus a month is the last of February. */
function addLength(from: number, { months, milliseconds }: { months: number; milliseconds: number }): number {
  if (months === 0) return from + milliseconds
  const date = new Date(from)
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth() + months
  const year = Math.floor(month / 12)
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  const lastDay = new Date(new Date(0).setUTCFullYear(year, (month % 12) + 1, 0)).getUTCDate()
  date.setUTCFullYear(year, month % 12, Math.min(date.getUTCDate(), lastDay))
  return date.getTime() + milliseconds
}

interface Walk {
  /** The end of the current interval from which time is counted: its start going forward, its end going backward. */
  edge: number
  /** Which one it is; 0 is the first. */
  index: number
}

/** Whether stepping by `months` from this month ever comes to a February. */
const meetsFebruary = (edge: number, months: number): boolean => {
  const month = new Date(edge).getUTCMonth()
  return Array.from({ length: 12 }, (_, step) => (((month + step * months) % 12) + 12) % 12).includes(
    FEBRUARY,
  )
}

/** Whether every later step by months keeps the day: then many steps are one. */
const keepsDay = ({ edge, index }: Walk, months: number): boolean =>
  new Date(edge).getUTCDate() <= 28 || (index >= 12 && !meetsFebruary(edge, months))

const monthOf = (instant: number): number => {
  const date = new Date(instant)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

/**
 * The interval that holds `at`; `undefined` outside of all of them. The end of one step is the beginning of the next, as upstream chains
 * them (contracts/ilp/payments.md §3): from 31 January by months it is 28 February and then 28 March. The cost does not depend on
 * how many repetitions lie between: lengths in fixed units are divided; months jump as soon as the day of the month cannot change
 * any more (at the latest at the first February with 28 days); months and days together have no such shortcut and go step by step,
 * at least 28 days each, from an anchor that the parser keeps within five centuries.
 */
export function intervalAt(interval: RepeatingInterval, at: Date): Interval | undefined {
  const sign = interval.direction === 'forward' ? 1 : -1
  const step = { months: sign * interval.months, milliseconds: sign * interval.milliseconds }
  const target = at.getTime()
  // Half-open: an interval that runs backward from `edge` holds what is before it.
  const isReached = (edge: number): boolean => (sign === 1 ? edge <= target : edge > target)
  if (!isReached(interval.anchor)) return undefined

  let walk: Walk = { edge: interval.anchor, index: 0 }
  if (interval.months === 0) walk = jumpTime(walk, { step: step.milliseconds, target })
  for (;;) {
    if (walk.index > interval.repetitions) return undefined
    const next = addLength(walk.edge, step)
    if (!isReached(next)) return toInterval(walk.edge, next)
    walk = { edge: next, index: walk.index + 1 }
    if (interval.milliseconds === 0 && keepsDay(walk, step.months))
      walk = jumpMonths(walk, { step: step.months, isReached, target })
  }
}

const toInterval = (a: number, b: number): Interval => ({
  start: new Date(Math.min(a, b)),
  end: new Date(Math.max(a, b)),
})

/** To the interval that holds the target, in one division. */
function jumpTime({ edge, index }: Walk, { step, target }: { step: number; target: number }): Walk {
  // Backward, the edge itself belongs to the neighbour.
  const distance = step > 0 ? target - edge : edge - target - 1
  const count = (distance - (distance % Math.abs(step))) / Math.abs(step)
  return { edge: edge + count * step, index: index + count }
}

/** To the interval that holds the target, or the one before: the day of the month stays, so months are counted. */
function jumpMonths(
  { edge, index }: Walk,
  { step, isReached, target }: { step: number; target: number; isReached: (edge: number) => boolean },
): Walk {
  const estimate = Math.max(0, Math.floor((monthOf(target) - monthOf(edge)) / step))
  const count = [estimate, estimate - 1].find(
    (steps) => steps > 0 && isReached(addLength(edge, { months: steps * step, milliseconds: 0 })),
  )
  if (count === undefined) return { edge, index }
  return { edge: addLength(edge, { months: count * step, milliseconds: 0 }), index: index + count }
}
