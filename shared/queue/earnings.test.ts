import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createEarnings } from './earnings.ts'

const MOST = 64

/**
 * One tenant with work without end. Each job ends so long after it came as `msOf` says; the window is the share and what was earned.
 * Looks are `lookMs` apart. Returns what was in hand at each.
 */
function simulate(
  msOf: (job: number, nowMs: number) => number,
  options: { share: number; lookMs: number; forMs: number },
) {
  const earnings = createEarnings({ promptMs: 1_000, most: MOST })
  let ends: number[] = []
  let jobs = 0
  const inHand: number[] = []
  for (let now = 0; now < options.forMs; now += options.lookMs) {
    ends = ends.filter((end) => end > now)
    const window = Math.min(options.share + (earnings.earned().get('a') ?? 0), MOST)
    const count = Math.min(ends.length, window)
    const added = Math.max(window - ends.length, 0)
    earnings.saw(now, [{ tenantId: 'a', count, isCut: count === window }], new Map([['a', added]]))
    for (let index = 0; index < added; index++) ends.push(now + msOf(jobs++, now))
    inHand.push(ends.length)
  }
  return inHand
}

test('what ends soon earns as much again each time, up to the most', () => {
  const inHand = simulate(() => 90, { share: 1, lookMs: 10, forMs: 2_000 })
  assert.equal(inHand[0], 1)
  assert.equal(inHand.at(-1), MOST)
})

test('what hangs keeps its share, also when many time out at the same moment', () => {
  for (const timeoutMs of [1_500, 10_000, 60_000]) {
    const inHand = simulate(() => timeoutMs, { share: 5, lookMs: 50, forMs: 300_000 })
    assert.equal(Math.max(...inHand), 5, `${timeoutMs} ms`)
  }
})

test('who was prompt and hangs from one moment to the next has lost what it earned when the time is over', () => {
  const inHand = simulate((_, now) => (now < 3_000 ? 50 : 10_000), { share: 5, lookMs: 25, forMs: 60_000 })
  assert.equal(Math.max(...inHand), MOST)
  assert.ok(Math.max(...inHand.slice(14_000 / 25)) <= 5, 'from the first timeouts on')
})

test('an endpoint that hangs beside a prompt one cannot take all', () => {
  const inHand = simulate((job) => (job % 2 === 0 ? 50 : 60_000), { share: 5, lookMs: 25, forMs: 300_000 })
  const late = inHand.slice(inHand.length / 2)
  assert.ok(late.reduce((sum, each) => sum + each, 0) / late.length < 20)
})

test('who has nothing in hand begins anew', () => {
  const earnings = createEarnings({ promptMs: 1_000, most: MOST })
  earnings.saw(0, [], new Map([[undefined, 8]]))
  earnings.saw(100, [{ tenantId: undefined, count: 4, isCut: false }], new Map())
  assert.equal(earnings.earned().get(undefined), 4)
  earnings.saw(200, [], new Map())
  assert.equal(earnings.earned().size, 0)
})

test('whatever is found, nobody earns less than nothing or more than the most', () => {
  const step = fc.record({ ms: fc.nat(5_000), count: fc.nat(80), isCut: fc.boolean(), added: fc.nat(80) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const earnings = createEarnings({ promptMs: 1_000, most: MOST })
      let now = 0
      for (const { ms, count, isCut, added } of steps) {
        now += ms
        earnings.saw(now, count > 0 ? [{ tenantId: 'a', count, isCut }] : [], new Map([['a', added]]))
        const earned = earnings.earned().get('a') ?? 0
        assert.ok(Number.isInteger(earned) && earned >= 0 && earned <= MOST, `${earned}`)
      }
    }),
  )
})
