import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyPrivacy } from './privacy.ts'

/** No noise. */
const MIDDLE = 0.5

test('amounts are rounded to buckets that grow with them', () => {
  for (const [amount, expected] of [
    [0, 2_500],
    [1, 2_500],
    [3_700, 5_000],
    [7_400, 5_000],
    [7_600, 10_000],
    [19_000, 20_000],
    [19_999, 20_000],
    [20_001, 40_000],
    [39_000, 40_000],
    [41_000, 80_000],
    [1_000_000, 1_280_000],
    [10_000_000_000, 10_000_000],
  ] as const)
    assert.equal(applyPrivacy(amount, MIDDLE), expected, String(amount))
})

test('noise is around the bucket and in proportion to it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (amount) => {
      const plain = applyPrivacy(amount, MIDDLE)
      const scale = Math.max(plain / 10, 10_000_000) * 0.1
      for (const random of [0.01, 0.25, 0.75, 0.99])
        assert.ok(Math.abs(applyPrivacy(amount, random) - plain) <= scale * 5)
      assert.ok(applyPrivacy(amount, 0.75) > plain)
      assert.ok(Number.isFinite(applyPrivacy(amount, 0)))
    }),
  )
})

test('amounts of one bucket cannot be told apart', () => {
  for (const random of [0.1, 0.5, 0.9])
    assert.equal(applyPrivacy(8_000, random), applyPrivacy(12_000, random))
})
