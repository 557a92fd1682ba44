import { GrantLimitsRefusal } from './errors.ts'
import type { RepeatingInterval } from './model.ts'

/** The longest sensible text has about 70 characters. */
const TEXT_LENGTH_MAX = 100
const YEAR_MIN = 1900
const YEAR_MAX = 9999
/** Months and days together are counted step by step from the anchor, so it must be within a few centuries. */
const YEAR_MAX_MIXED = 2399
const MONTHS_MAX = 1000 * 12

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const MILLISECONDS_MAX = 1000 * 366 * DAY

const REPETITIONS = /^R(-1|\d{0,15})$/
const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/
const DURATION =
  /^P(?=[\dT])(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:[.,](\d{1,3}))?S)?)?$/

const refuse = (message: string): never => {
  throw new GrantLimitsRefusal('interval_invalid', message)
}

/** ms since 1970. Without a zone it is UTC; digits below the millisecond are dropped. */
function parseInstant(text: string): number {
  const match = INSTANT.exec(text) ?? refuse('an instant of the interval cannot be read')
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] = match
  const local = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
    Number(fraction.slice(0, 3).padEnd(3, '0')),
  )
  // Date carries what does not exist (30 February, 25 o'clock) into something else: then the text differs.
  const isReal =
    new Date(local).toISOString().slice(0, 19) === `${year}-${month}-${day}T${hour}:${minute}:${second}`
  if (!isReal || Number(year) < YEAR_MIN)
    refuse('an instant of the interval does not exist, or is too long ago')
  const at = local - offsetOf(zone)
  if (at >= Date.UTC(YEAR_MAX + 1, 0)) refuse('an instant of the interval is too far away')
  return at
}

function offsetOf(zone: string): number {
  if (zone === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', ''))
  if (hours > 23 || minutes > 59) refuse('an offset of the interval does not exist')
  return (zone.startsWith('-') ? -1 : 1) * (hours * HOUR + minutes * MINUTE)
}

type Length = Pick<RepeatingInterval, 'months' | 'milliseconds'>

function parseDuration(text: string): Length {
  const match = DURATION.exec(text) ?? refuse('the duration of the interval cannot be read')
  const fraction = Number((match[8] ?? '').padEnd(3, '0'))
  const [years, months, weeks, days, hours, minutes, seconds] = [1, 2, 3, 4, 5, 6, 7].map((group) =>
    Number(match[group] ?? 0),
  ) as [number, number, number, number, number, number, number]
  return {
    months: years * 12 + months,
    milliseconds: (weeks * 7 + days) * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction,
  }
}

function checkLength({ months, milliseconds }: Length): void {
  if (months === 0 && milliseconds <= 0) refuse('the interval has no length')
  if (months > MONTHS_MAX || milliseconds > MILLISECONDS_MAX) refuse('the interval is too long')
}

/** From start to end nothing is left to the calendar: it repeats after the same time. */
function parseBetween(first: string, second: string): Length & Pick<RepeatingInterval, 'anchor'> {
  const anchor = parseInstant(first)
  return { anchor, months: 0, milliseconds: parseInstant(second) - anchor }
}

function parsePair(first: string, second: string): Omit<RepeatingInterval, 'repetitions'> {
  if (first.startsWith('P'))
    return { anchor: parseInstant(second), direction: 'backward', ...parseDuration(first) }
  if (second.startsWith('P'))
    return { anchor: parseInstant(first), direction: 'forward', ...parseDuration(second) }
  return { direction: 'forward', ...parseBetween(first, second) }
}

/**
 * Parses an ISO 8601 repeating interval: `R[n]/start/end`, `R[n]/start/duration` or `R[n]/duration/end`, exactly three parts. `R` and
 * `R-1` are unbounded; `Rn` is the first interval and n repetitions. Signs, fractions other than of seconds, lengths of zero and
 * absurd ones are refused. Throws {@link GrantLimitsRefusal} `interval_invalid`.
 */
export function parseInterval(text: string): RepeatingInterval {
  if (text.length > TEXT_LENGTH_MAX) refuse('the interval is too long a text')
  const parts = text.split('/')
  const [repetitions, first, second] = parts
  if (parts.length !== 3 || repetitions === undefined || first === undefined || second === undefined)
    return refuse('an interval has three parts')
  const [, count = ''] =
    REPETITIONS.exec(repetitions) ?? refuse('an interval begins with R, R-1 or R and a number')
  const pair = parsePair(first, second)
  checkLength(pair)
  const isMixed = pair.months > 0 && pair.milliseconds > 0
  if (isMixed && new Date(pair.anchor).getUTCFullYear() > YEAR_MAX_MIXED)
    refuse('an interval of months and days is too far away')
  return { ...pair, repetitions: count === '' || count === '-1' ? Number.POSITIVE_INFINITY : Number(count) }
}
