import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DateTime, Duration, Interval as LuxonInterval } from 'luxon'
import { GrantLimitsRefusal, intervalAt, parseInterval } from './index.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const check = (property: fc.IRawProperty<unknown>, numRuns: number): void => {
  void fc.assert(property, { seed, numRuns })
}

const STEPS_MAX = 1000
/** In the years before 100 luxon adds months wrongly. */
const LUXON_FROM = Date.UTC(1000, 0)
const utc = { zone: 'utc' } as const

/** Every interval from the first on, one by one, with the calendar of luxon and nothing of the code under test. */
function* walk(text: string): Generator<LuxonInterval> {
  const [repetitions = '', first = '', second = ''] = text.split('/')
  const count = ['R', 'R-1'].includes(repetitions) ? Number.POSITIVE_INFINITY : Number(repetitions.slice(1))
  const isBackward = first.startsWith('P')
  let interval = LuxonInterval.fromISO(`${first}/${second}`, utc)
  const duration = isBackward
    ? Duration.fromISO(first)
    : second.startsWith('P')
      ? Duration.fromISO(second)
      : interval.toDuration()
  for (let index = 0; index <= count; index++) {
    yield interval
    const { start, end } = interval
    assert.ok(start && end)
    interval = isBackward ? LuxonInterval.before(start, duration) : LuxonInterval.after(end, duration)
  }
}

interface Found {
  start: number | undefined
  end: number | undefined
}
/** `'unknown'` when the walk has not come there in so many steps. */
function walkTo(text: string, instant: number): Found | 'outside' | 'unknown' {
  const target = DateTime.fromMillis(instant, utc)
  let steps = 0
  for (const interval of walk(text)) {
    if (interval.contains(target)) return { start: interval.start?.toMillis(), end: interval.end?.toMillis() }
    if (++steps > STEPS_MAX) return 'unknown'
  }
  return 'outside'
}

const pad = (value: number): string => String(value).padStart(2, '0')
const instants = fc
  .record({
    year: fc.integer({ min: 1960, max: 2060 }),
    month: fc.integer({ min: 1, max: 12 }),
    // The ends of months are where calendars disagree.
    day: fc.oneof(fc.integer({ min: 1, max: 31 }), fc.constantFrom(28, 29, 30, 31)),
    time: fc.oneof(
      fc.constant(''),
      fc.constant('T00:00:00Z'),
      fc.constant('T23:59:59.999Z'),
      fc.constant('T12:34:56+05:30'),
    ),
  })
  .filter(({ year, month, day }) => day <= new Date(Date.UTC(year, month, 0)).getUTCDate())
  .map(({ year, month, day, time }) => `${year}-${pad(month)}-${pad(day)}${time}`)
const few = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 60 }))
const rarely = (values: fc.Arbitrary<number>) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: values })
const durations = fc
  .record({
    Y: rarely(few),
    M: few,
    W: rarely(few),
    D: rarely(few),
    h: rarely(few),
    m: rarely(few),
    s: rarely(few),
  })
  .filter((parts) => Object.values(parts).some((part) => part > 0))
  .map(({ Y, M, W, D, h, m, s }) => {
    const time = `${h ? `${h}H` : ''}${m ? `${m}M` : ''}${s ? `${s}S` : ''}`
    return `P${Y ? `${Y}Y` : ''}${M ? `${M}M` : ''}${W ? `${W}W` : ''}${D ? `${D}D` : ''}${time && `T${time}`}`
  })
const repetitions = fc.oneof(
  fc.constantFrom('R', 'R-1', 'R0', 'R1'),
  fc.nat({ max: 1000 }).map((count) => `R${count}`),
)
const texts = fc
  .tuple(repetitions, fc.constantFrom('forward', 'backward', 'between'), instants, durations, instants)
  .map(([count, form, instant, duration, other]) => {
    if (form === 'forward') return `${count}/${instant}/${duration}`
    if (form === 'backward') return `${count}/${duration}/${instant}`
    return `${count}/${[instant, other].sort((a, b) => Date.parse(a) - Date.parse(b)).join('/')}`
  })
  .filter((text) => LuxonInterval.fromISO(text.slice(text.indexOf('/') + 1), utc).length() > 0)

/** Anywhere, and on and beside the boundaries, where mistakes live. */
function instantsOf(text: string, steps: number, offset: number, anywhere: number): number[] {
  let boundary: LuxonInterval | undefined
  let index = 0
  for (const interval of walk(text)) {
    boundary = interval
    if (index++ === steps) break
  }
  const start = boundary?.start?.toMillis() ?? 0
  const end = boundary?.end?.toMillis() ?? 0
  return [anywhere, start - 1, start, start + 1, end - 1, end, end + 1, start + offset].filter(
    (instant) => instant > LUXON_FROM,
  )
}

test('the computed interval is the one that a walk step by step finds', () => {
  const counts = { inside: 0, outside: 0, unknown: 0 }
  check(
    fc.property(
      texts,
      fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: STEPS_MAX })),
      fc.nat({ max: 86_400_000 }),
      fc.integer({ min: Date.UTC(1950, 0), max: Date.UTC(2080, 0) }),
      (text, steps, offset, anywhere) => {
        const interval = parseInterval(text)
        for (const instant of instantsOf(text, steps, offset, anywhere)) {
          const expected = walkTo(text, instant)
          if (expected === 'unknown') {
            counts.unknown += 1
            continue
          }
          const found = intervalAt(interval, new Date(instant))
          const seen = found ? { start: found.start.getTime(), end: found.end.getTime() } : 'outside'
          assert.deepEqual(seen, expected, `${text} at ${new Date(instant).toISOString()}`)
          counts[found ? 'inside' : 'outside'] += 1
        }
      },
    ),
    300,
  )
  console.log(counts)
  assert.ok(counts.inside > 500 && counts.outside > 100, 'both answers were tried')
})

test('an interval holds what is asked about, and the next begins where it ends', () => {
  check(
    fc.property(texts, fc.integer({ min: Date.UTC(1950, 0), max: Date.UTC(2300, 0) }), (text, instant) => {
      const interval = { ...parseInterval(text), repetitions: Number.POSITIVE_INFINITY }
      const found = intervalAt(interval, new Date(instant))
      const isBeyond =
        interval.direction === 'forward' ? instant < interval.anchor : instant >= interval.anchor
      assert.equal(found === undefined, isBeyond)
      if (!found) return
      assert.ok(found.start.getTime() <= instant && instant < found.end.getTime())
      assert.deepEqual(intervalAt(interval, found.start), found)
      assert.deepEqual(intervalAt(interval, new Date(found.end.getTime() - 1)), found)
      const neighbour = intervalAt(interval, found.end)
      if (neighbour) assert.deepEqual(neighbour.start, found.end)
    }),
    3000,
  )
})

const fragments = fc.oneof(
  fc.constantFrom(
    'R',
    'R-1',
    'R5',
    'R-',
    '/',
    '//',
    'P',
    'T',
    'P1M',
    'PT1S',
    'P1Y2M10DT2H30M',
    'P0D',
    '-P1D',
    'PT0.5S',
  ),
  fc.constantFrom(
    '1970-01-01T00:00:00Z',
    '2024-02-30',
    '9999-12-31',
    '2024-01-31',
    '0000-00-00',
    'Z',
    '+14:00',
    '-',
  ),
  fc.constantFrom('99999999999', '0', '１', 'W', 'Infinity', 'NaN', '\u0000', '\n', '.', ',', ':'),
  fc.string({ maxLength: 5, unit: 'binary' }),
)
const hostile = fc.oneof(
  { weight: 3, arbitrary: fc.array(fragments, { maxLength: 8 }).map((parts) => parts.join('')) },
  {
    weight: 3,
    arbitrary: fc.tuple(fragments, fragments, fragments).map((parts) => parts.join('/')),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 200 }) },
  // A valid one with one character changed, dropped or doubled.
  {
    weight: 3,
    arbitrary: fc
      .tuple(texts, fc.nat({ max: 60 }), fc.string({ maxLength: 1 }), fc.nat({ max: 2 }))
      .map(([text, index, change, kept]) => text.slice(0, index) + change + text.slice(index + kept)),
  },
)

test('fuzz: any text is an interval or refused, and asking about it never takes long', () => {
  const now = new Date('2026-06-01T00:00:00Z')
  const counts = { accepted: 0, refused: 0 }
  let spent = 0
  let longest = 0
  check(
    fc.property(hostile, (text) => {
      const started = performance.now()
      try {
        const found = intervalAt(parseInterval(text), now)
        counts.accepted += 1
        assert.ok(!found || (found.start <= now && now < found.end))
      } catch (error) {
        if (!(error instanceof GrantLimitsRefusal)) throw error
        counts.refused += 1
      }
      const took = performance.now() - started
      spent += took
      longest = Math.max(longest, took)
    }),
    100_000,
  )
  const texts = counts.accepted + counts.refused
  console.log({ ...counts, meanMs: spent / texts, longestMs: longest })
  assert.ok(counts.accepted > 1000 && counts.refused > 1000, 'both kinds were tried')
  assert.ok(spent / texts < 1, `${spent / texts} ms on average`)
})
