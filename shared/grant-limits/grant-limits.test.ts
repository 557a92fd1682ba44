import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GrantLimitsRefusal, intervalAt, parseGrantLimits, parseInterval } from './index.ts'

const at = (interval: string, instant: string): string | undefined => {
  const found = intervalAt(parseInterval(interval), new Date(instant))
  return found && `${found.start.toISOString()}/${found.end.toISOString()}`.replaceAll(':00.000Z', 'Z')
}
const refusedWith = (code: string) => (error: unknown) => {
  assert.ok(error instanceof GrantLimitsRefusal, String(error))
  assert.equal(error.code, code)
  return true
}

const members: [interval: string, instant: string, expected: string | undefined][] = [
  // From start to start, half-open.
  ['R/2024-01-01/P1D', '2024-01-01T00:00:00.000Z', '2024-01-01T00:00Z/2024-01-02T00:00Z'],
  ['R/2024-01-01/P1D', '2024-01-01T23:59:59.999Z', '2024-01-01T00:00Z/2024-01-02T00:00Z'],
  ['R/2024-01-01/P1D', '2024-01-02T00:00:00.000Z', '2024-01-02T00:00Z/2024-01-03T00:00Z'],
  ['R/2024-01-01/P1D', '2023-12-31T23:59:59.999Z', undefined],
  // R and R-1 have no end; R0 is once, Rn once and n times more.
  ['R-1/2024-01-01/P1W', '2124-01-01T00:00Z', '2123-12-27T00:00Z/2124-01-03T00:00Z'],
  ['R0/2024-01-01/P1M', '2024-01-31T23:59:59.999Z', '2024-01-01T00:00Z/2024-02-01T00:00Z'],
  ['R0/2024-01-01/P1M', '2024-02-01T00:00Z', undefined],
  ['R1/2024-01-01/P1M', '2024-02-29T23:59:59.999Z', '2024-02-01T00:00Z/2024-03-01T00:00Z'],
  ['R1/2024-01-01/P1M', '2024-03-01T00:00Z', undefined],
  ['R12/2019-08-24T14:15:00Z/P1M', '2020-09-24T14:14:59.999Z', '2020-08-24T14:15Z/2020-09-24T14:15Z'],
  ['R12/2019-08-24T14:15:00Z/P1M', '2020-09-24T14:15:00.000Z', undefined],
  // Month ends: each repetition starts where the one before ended, so what February took is gone.
  ['R/2023-01-31/P1M', '2023-02-27T23:59Z', '2023-01-31T00:00Z/2023-02-28T00:00Z'],
  ['R/2023-01-31/P1M', '2023-03-28T00:00Z', '2023-03-28T00:00Z/2023-04-28T00:00Z'],
  ['R/2024-01-31/P1M', '2024-03-28T23:59Z', '2024-02-29T00:00Z/2024-03-29T00:00Z'],
  ['R/2024-01-31/P1M', '2025-03-28T00:00Z', '2025-03-28T00:00Z/2025-04-28T00:00Z'],
  ['R/2024-01-31/P2M', '2030-12-01T00:00Z', '2030-11-30T00:00Z/2031-01-30T00:00Z'],
  // Leap days.
  ['R/2024-02-29/P1Y', '2028-02-29T00:00Z', '2028-02-28T00:00Z/2029-02-28T00:00Z'],
  ['R/2024-02-29/P4Y', '2096-03-01T00:00Z', '2096-02-29T00:00Z/2100-02-28T00:00Z'],
  ['R/2024-02-29/P4Y', '2104-02-29T00:00Z', '2104-02-28T00:00Z/2108-02-28T00:00Z'],
  // From start to end: the same time again, whatever the calendar says.
  ['R/2024-01-01/2024-02-01', '2024-03-03T00:00Z', '2024-03-03T00:00Z/2024-04-03T00:00Z'],
  ['R/2024-01-01T08:00Z/2024-01-01T20:00Z', '2024-01-01T20:00Z', '2024-01-01T20:00Z/2024-01-02T08:00Z'],
  // Backward from the end.
  ['R/P1M/2024-03-31', '2024-03-30T23:59Z', '2024-02-29T00:00Z/2024-03-31T00:00Z'],
  ['R/P1M/2024-03-31', '2024-02-29T00:00Z', '2024-02-29T00:00Z/2024-03-31T00:00Z'],
  ['R/P1M/2024-03-31', '2024-02-28T23:59Z', '2024-01-29T00:00Z/2024-02-29T00:00Z'],
  ['R/P1M/2024-03-31', '2024-03-31T00:00Z', undefined],
  ['R1/P1D/2024-03-31', '2024-03-29T00:00Z', '2024-03-29T00:00Z/2024-03-30T00:00Z'],
  ['R1/P1D/2024-03-31', '2024-03-28T23:59Z', undefined],
  ['R-1/P1Y2M10DT2H30M/2022-05-11T15:30:00Z', '2022-05-11T15:29Z', '2021-03-01T13:00Z/2022-05-11T15:30Z'],
  // Clocks go forward somewhere; not here. Offsets name an instant, then all is UTC.
  ['R/2024-03-31T00:00+01:00/P1D', '2024-03-31T23:30Z', '2024-03-31T23:00Z/2024-04-01T23:00Z'],
  ['R/2024-03-31T00:00+0100/P1D', '2024-03-31T22:30Z', '2024-03-30T23:00Z/2024-03-31T23:00Z'],
  ['R/2024-03-31T00:00-03/P1D', '2024-03-31T03:00Z', '2024-03-31T03:00Z/2024-04-01T03:00Z'],
  ['R/2024-03-31T00:00/P1D', '2024-03-31T00:00Z', '2024-03-31T00:00Z/2024-04-01T00:00Z'],
]
for (const [interval, instant, expected] of members)
  test(`${interval} at ${instant}: ${expected ?? 'outside'}`, () =>
    assert.equal(at(interval, instant), expected))

test('seconds may have a fraction', () => {
  const interval = parseInterval('R/2024-01-01T00:00:00.5Z/PT0.25S')
  const found = intervalAt(interval, new Date('2024-01-01T00:00:00.760Z'))
  assert.deepEqual(found, {
    start: new Date('2024-01-01T00:00:00.750Z'),
    end: new Date('2024-01-01T00:00:01.000Z'),
  })
})

const refused = [
  ['', 'R', 'R/', 'R//', 'R/P1D', 'R/2024-01-01', 'R/2024-01-01/', 'R//P1D', '/2024-01-01/P1D'],
  ['R/2024-01-01/P1D/', 'R/2024-01-01/P1D/P1D', '2024-01-01/P1D', 'P1D/2024-01-01/P1D', 'R/P1D/P1D'],
  [
    'R-2/2024-01-01/P1D',
    'R-/2024-01-01/P1D',
    'R+1/2024-01-01/P1D',
    'R1.5/2024-01-01/P1D',
    'r/2024-01-01/P1D',
  ],
  [
    'R 1/2024-01-01/P1D',
    'R1e3/2024-01-01/P1D',
    'R9999999999999999/2024-01-01/P1D',
    'RInfinity/2024-01-01/P1D',
  ],
  ['R/2024-01-01/P0D', 'R/2024-01-01/PT0S', 'R/2024-01-01/PT0.000S', 'R/2024-01-01/P', 'R/2024-01-01/PT'],
  ['R/2024-01-01/P-1D', 'R/2024-01-01/-P1D', 'R/2024-01-01/P1DT', 'R/2024-01-01/P1H', 'R/2024-01-01/P1D1W'],
  ['R/2024-01-01/P0.5M', 'R/2024-01-01/P1.5D', 'R/2024-01-01/PT1.5H', 'R/2024-01-01/p1d', 'R/2024-01-01/P٣D'],
  ['R/2024-01-01/P1001Y', 'R/2024-01-01/P999999999Y', 'R/2024-01-01/P9999999D', 'R/2024-01-01/P9999999999D'],
  [
    'R/2024-01-01/2024-01-01',
    'R/2024-01-02/2024-01-01',
    'R/P1D/2024-02-30',
    'R/2024-13-01/P1D',
    'R/2024-00-01/P1D',
  ],
  ['R/2023-02-29/P1D', 'R/2024-01-01T24:00Z/P1D', 'R/2024-01-01T23:60Z/P1D', 'R/2024-01-01T00:00:60Z/P1D'],
  ['R/2024-01-01T00:00+24:00/P1D', 'R/2024-01-01T00:00+01:60/P1D', 'R/2024-01-01T00Z/P1D', 'R/20240101/P1D'],
  ['R/0001-01-01/P1D', 'R/1899-12-31/P1D', 'R/+12024-01-01/P1D', 'R/9999-12-31T23:59-01:00/P1D', 'R/now/P1D'],
  [
    'R/2400-01-01/P1M1D',
    'R/P1M1D/9999-12-31',
    'R/2024-01-01Z/P1D',
    ' R/2024-01-01/P1D',
    'R/2024-01-01/P1D\n',
  ],
].flat()
for (const text of refused)
  test(`refused: ${JSON.stringify(text)}`, () =>
    assert.throws(() => parseInterval(text), refusedWith('interval_invalid')))

test('a long text is refused unread', () => {
  assert.throws(
    () => parseInterval(`R/2024-01-01/P${'0'.repeat(1_000_000)}1D`),
    refusedWith('interval_invalid'),
  )
})

test('what lies millions of repetitions away is found at once', () => {
  const started = performance.now()
  for (let run = 0; run < 1000; run++) {
    assert.equal(
      at('R/1970-01-01T00:00:00Z/PT1S', '2026-06-01T00:00Z'),
      '2026-06-01T00:00Z/2026-06-01T00:00:01.000Z',
    )
    assert.ok(at('R999999999999999/1900-01-01/PT0.001S', '9999-12-31T00:00Z'))
    assert.ok(at('R/P1M/9999-12-31T23:59:59Z', '2026-06-01T00:00Z'))
    assert.ok(at('R/1900-12-31/P1M', '9999-06-01T00:00Z'))
    assert.ok(at('R/1904-02-29/P4Y', '9999-06-01T00:00Z'))
  }
  // A guard against walking, not a measurement: walking would take hours.
  assert.ok(performance.now() - started < 10_000)
})

test('limits: everything that the specification knows', () => {
  const amount = { value: '500', assetCode: 'USD', assetScale: 2 }
  const receiver = 'https://bank.example/incoming-payments/1'
  assert.deepEqual(parseGrantLimits({}), {})
  assert.deepEqual(parseGrantLimits({ receiver, debitAmount: amount }), {
    receiver,
    debitAmount: { ...amount, value: 500n },
  })
  assert.deepEqual(
    parseGrantLimits({ receiveAmount: { ...amount, extra: 1 }, interval: 'R2/2024-01-01/P1M' }),
    {
      receiveAmount: { ...amount, value: 500n },
      interval: {
        anchor: Date.UTC(2024, 0, 1),
        direction: 'forward',
        months: 1,
        milliseconds: 0,
        repetitions: 2,
      },
    },
  )
  assert.deepEqual(parseGrantLimits({ receiver: undefined, debitAmount: undefined }), {})
})

const amount = { value: '1', assetCode: 'USD', assetScale: 2 }
const unreadable: [unknown, string][] = [
  [null, 'limits_malformed'],
  [undefined, 'limits_malformed'],
  ['{}', 'limits_malformed'],
  [[], 'limits_malformed'],
  [{ receiver: null }, 'limits_malformed'],
  [{ receiver: 'https://bank.example/quotes/1' }, 'limits_malformed'],
  [{ receiver: `https://bank.example/incoming-payments/${'1'.repeat(2048)}` }, 'limits_malformed'],
  // What looks like a limit and is none.
  [{ debitamount: amount }, 'limits_malformed'],
  [{ sendAmount: amount }, 'limits_malformed'],
  [JSON.parse('{"__proto__": {"debitAmount": 1}}'), 'limits_malformed'],
  [{ debitAmount: null }, 'limits_malformed'],
  [{ debitAmount: '500' }, 'limits_malformed'],
  [{ debitAmount: { ...amount, value: 500 } }, 'limits_malformed'],
  [{ debitAmount: { ...amount, value: '-1' } }, 'limits_malformed'],
  [{ debitAmount: { ...amount, value: '1e3' } }, 'limits_malformed'],
  [{ debitAmount: { ...amount, value: '18446744073709551616' } }, 'limits_malformed'],
  [{ debitAmount: { ...amount, assetScale: 256 } }, 'limits_malformed'],
  [{ receiveAmount: { value: '1', assetScale: 2 } }, 'limits_malformed'],
  [{ debitAmount: amount, receiveAmount: amount }, 'both_amounts'],
  [{ interval: null }, 'interval_invalid'],
  [{ interval: 5 }, 'interval_invalid'],
  [{ interval: 'R/2024-01-01' }, 'interval_invalid'],
]
for (const [value, code] of unreadable)
  test(`limits that cannot be read: ${JSON.stringify(value)?.slice(0, 80)}`, () =>
    assert.throws(() => parseGrantLimits(value), refusedWith(code)))
