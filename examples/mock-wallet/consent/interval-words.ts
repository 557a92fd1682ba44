import { intervalAt, type RepeatingInterval } from '../../../shared/grant-limits/index.ts'

const UNITS: readonly (readonly [string, number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
  ['millisecond', 1],
]

const counted = (count: number, unit: string): string => (count === 1 ? unit : `${count} ${unit}s`)

/** `month`, `2 years`, `week`, `30 days and 12 hours` */
function lengthInWords({ months, milliseconds }: Pick<RepeatingInterval, 'months' | 'milliseconds'>): string {
  if (months === 0 && milliseconds === 7 * 86_400_000) return 'week'
  const parts: [number, string][] = []
  if (months > 0) parts.push(months % 12 === 0 ? [months / 12, 'year'] : [months, 'month'])
  let rest = milliseconds
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push([count, unit])
  }
  const alone = parts.length === 1
  return parts
    .map(([count, unit]) => (alone ? counted(count, unit) : `${count} ${unit}${count === 1 ? '' : 's'}`))
    .join(' and ')
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' })

/** `1 January 2027`, with the time where it is not midnight; always UTC, and says so. */
function instantInWords(at: Date): string {
  const time = at.toISOString().slice(11, at.getUTCSeconds() === 0 && at.getUTCMilliseconds() === 0 ? 16 : 19)
  return `${dayFormat.format(at)}${time === '00:00' ? '' : `, ${time}`} (UTC)`
}

/** When amounts count anew (`often`), and when payments may be made at all (`when`). */
export interface IntervalWords {
  often: string
  when: string
}

export function intervalInWords(interval: RepeatingInterval): IntervalWords {
  const { direction, repetitions } = interval
  const anchor = new Date(interval.anchor)
  const forward = direction === 'forward'
  if (repetitions === 0) {
    // Its own end is no part of an interval, so a backward one is found a moment before.
    const only = intervalAt(interval, forward ? anchor : new Date(interval.anchor - 1))
    const { start = anchor, end = anchor } = only ?? {}
    return { often: 'in total', when: `from ${instantInWords(start)} to ${instantInWords(end)}` }
  }
  const often = `every ${lengthInWords(interval)}`
  const times = Number.isFinite(repetitions) ? `${repetitions + 1} times, ` : ''
  return { often, when: `${times}${forward ? 'beginning' : 'until'} ${instantInWords(anchor)}` }
}
