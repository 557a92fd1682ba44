import assert from 'node:assert/strict'
import { test } from 'node:test'
import { feeOn, minDebit, sourceOfDebit } from './price-quote.ts'

const fee = (fixed: bigint, basisPoints: number) => ({ id: 'fee', fixed, basisPoints })

test('the fee is the share of the principal, rounded up, and the fixed part', () => {
  const cases: [bigint, bigint, number, bigint][] = [
    [1000n, 0n, 100, 10n],
    [1001n, 0n, 100, 11n], // 10.01
    [1n, 0n, 1, 1n], // 0.0001
    [1000n, 7n, 250, 32n], // 25 + 7
    [500n, 3n, 0, 3n],
    [2n ** 63n, 0n, 1, 922337203685478n], // 922337203685477.58…
    [10n, 0n, 10_000, 10n],
  ]
  for (const [principal, fixed, basisPoints, expected] of cases)
    assert.equal(feeOn(principal, fee(fixed, basisPoints)), expected)
  assert.equal(feeOn(1000n, undefined), 0n)
})

test('a given debit enters the network less its fee, never below zero', () => {
  assert.equal(sourceOfDebit(1000n, fee(5n, 100)), 985n)
  assert.equal(sourceOfDebit(10n, fee(5n, 5000)), 0n)
  assert.equal(sourceOfDebit(10n, fee(50n, 0)), 0n)
  assert.equal(sourceOfDebit(10n, undefined), 10n)
})

test('the least debit is exactly enough', () => {
  assert.equal(minDebit(2n, undefined), 2n)
  assert.equal(minDebit(2n, fee(5n, 100)), 8n) // 7 / 0.99 = 7.07
  assert.equal(sourceOfDebit(8n, fee(5n, 100)), 2n)
  assert.equal(sourceOfDebit(7n, fee(5n, 100)), 1n)
  assert.equal(minDebit(2n, fee(0n, 10_000)), undefined)
})
