import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AMOUNT_MAX, identityRate, parseRate, rate, scaleRate } from '../../money/index.ts'
import { PaymentMethodRefusal } from '../errors.ts'
import { priceLocal } from './price-local.ts'

const refusal = (call: () => unknown): PaymentMethodRefusal => {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof PaymentMethodRefusal)
    return error
  }
  assert.fail('must refuse')
}

// Expected values by hand: contracts/ilp/payments.md §2, LOCAL quote maths.
test('a given debit delivers its value, rounded down', () => {
  const cases: [bigint, string, bigint][] = [
    [550n, '0.91', 500n], // 500.5
    [500n, '0.91', 455n],
    [1n, '1', 1n],
    [3n, '0.5', 1n],
    [100n, '1.239', 123n],
  ]
  for (const [debit, price, expected] of cases)
    assert.deepEqual(priceLocal({ side: 'debit', value: debit }, parseRate(price)), {
      sourceAmount: debit,
      receiveAmount: expected,
    })
})

test('a given delivery costs its value, rounded up', () => {
  const cases: [bigint, string, bigint][] = [
    [500n, '0.91', 550n], // 549.45…
    [455n, '0.91', 500n],
    [1n, '3', 1n],
    [10n, '0.3', 34n], // 33.3…
  ]
  for (const [receive, price, expected] of cases)
    assert.deepEqual(priceLocal({ side: 'receive', value: receive }, parseRate(price)), {
      sourceAmount: expected,
      receiveAmount: receive,
    })
})

test('scales are part of the rate', () => {
  const usd = { assetCode: 'USD', assetScale: 2 }
  const yen = { assetCode: 'JPY', assetScale: 0 }
  const toYen = scaleRate(parseRate('150'), { source: usd, destination: yen })
  assert.equal(priceLocal({ side: 'debit', value: 100n }, toYen).receiveAmount, 150n)
  assert.equal(priceLocal({ side: 'debit', value: 99n }, toYen).receiveAmount, 148n) // 148.5
  const fine = scaleRate(identityRate, { source: usd, destination: { assetCode: 'USD', assetScale: 9 } })
  assert.equal(priceLocal({ side: 'debit', value: 1n }, fine).receiveAmount, 10_000_000n)
})

test('nothing arriving is refused with the least amount that is enough', () => {
  const hundredth = rate(1n, 100n)
  const error = refusal(() => priceLocal({ side: 'debit', value: 99n }, hundredth))
  assert.equal(error.code, 'non_positive_receive_amount')
  assert.equal(error.minSourceAmount, 100n)
  assert.equal(priceLocal({ side: 'debit', value: 100n }, hundredth).receiveAmount, 1n)
  assert.equal(refusal(() => priceLocal({ side: 'debit', value: 0n }, identityRate)).minSourceAmount, 1n)
})

test('what an amount cannot hold is refused', () => {
  assert.equal(
    refusal(() => priceLocal({ side: 'debit', value: AMOUNT_MAX }, rate(2n, 1n))).code,
    'amount_too_large',
  )
  assert.equal(
    refusal(() => priceLocal({ side: 'receive', value: AMOUNT_MAX }, rate(1n, 2n))).code,
    'amount_too_large',
  )
  assert.equal(priceLocal({ side: 'debit', value: AMOUNT_MAX }, identityRate).receiveAmount, AMOUNT_MAX)
})
