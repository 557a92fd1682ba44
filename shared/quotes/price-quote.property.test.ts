import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AMOUNT_MAX } from '../money/index.ts'
import { feeOn, minDebit, sourceOfDebit } from './price-quote.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const options = { seed, numRuns: 1000 }

const amounts = fc.oneof(fc.bigInt(1n, 10_000n), fc.bigInt(1n, AMOUNT_MAX))
const fees = fc.record({
  id: fc.constant('fee'),
  fixed: fc.oneof(fc.bigInt(0n, 1000n), fc.bigInt(0n, AMOUNT_MAX)),
  basisPoints: fc.integer({ min: 0, max: 10_000 }),
})

test('fee and source make up the debit, and the node never collects less than its share', () => {
  fc.assert(
    fc.property(amounts, fees, (debit, fee) => {
      const collected = feeOn(debit, fee)
      assert.ok((collected - fee.fixed) * 10_000n >= debit * BigInt(fee.basisPoints))
      assert.ok((collected - fee.fixed - 1n) * 10_000n < debit * BigInt(fee.basisPoints))
      const source = sourceOfDebit(debit, fee)
      assert.ok(source >= 0n && source <= debit)
      if (source > 0n) assert.equal(source + collected, debit)
    }),
    options,
  )
})

test('the least debit leaves at least the least source, and one unit less does not', () => {
  fc.assert(
    fc.property(amounts, fees, (minSource, fee) => {
      const least = minDebit(minSource, fee)
      if (least === undefined) {
        assert.equal(fee.basisPoints, 10_000)
        return
      }
      assert.ok(sourceOfDebit(least, fee) >= minSource)
      assert.ok(sourceOfDebit(least - 1n, fee) < minSource)
    }),
    options,
  )
})
