import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProbeResult } from '../../connector-client/index.ts'
import { AMOUNT_MAX, identityRate, parseRate, type Rate, rate } from '../../money/index.ts'
import { PaymentMethodRefusal } from '../errors.ts'
import { leastRate, priceIlp } from './price-ilp.ts'

const onePercent = rate(1n, 100n)
const path = (price: Rate, probe: ProbeResult = { lowRate: price, highRate: price }) => ({
  probe,
  minRate: leastRate(price, onePercent),
})

const refusal = (call: () => unknown): PaymentMethodRefusal => {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof PaymentMethodRefusal)
    return error
  }
  assert.fail('must refuse')
}

// Expected values by hand: contracts/ilp/payments.md §2, ILP quote maths.
test('a fixed send of 50 at one to one promises 49', () => {
  const { sourceAmount, receiveAmount } = priceIlp({ side: 'debit', value: 50n }, path(identityRate))
  assert.equal(sourceAmount, 50n)
  assert.equal(receiveAmount, 49n) // 49 × 0.99 = 48.51
})

test('500 euro cents from dollars at 0.91 may cost up to 556', () => {
  const quote = priceIlp({ side: 'receive', value: 500n }, path(parseRate('0.91')))
  assert.equal(quote.sourceAmount, 556n) // 500 / 0.9009 = 555.0006
  assert.equal(quote.receiveAmount, 500n)
  assert.deepEqual(quote.limits, {
    minRate: { numerator: 9009n, denominator: 10000n },
    lowRate: { numerator: 91n, denominator: 100n },
    highRate: { numerator: 91n, denominator: 100n },
  })
})

test('rates stay exact where floats do not', () => {
  // 2^63 × (0.1 × 0.99), far beyond 2^53.
  const quote = priceIlp({ side: 'debit', value: 2n ** 63n + 1n }, path(parseRate('0.1')))
  assert.equal(quote.receiveAmount, 913113831648622805n) // ceil(2^63 × 99 / 1000)
})

test('a path below the least acceptable rate is refused', () => {
  const price = parseRate('0.91')
  const probe = { lowRate: parseRate('0.9008'), highRate: price }
  assert.equal(
    refusal(() => priceIlp({ side: 'debit', value: 500n }, path(price, probe))).code,
    'insufficient_exchange_rate',
  )
  const exactly = { lowRate: parseRate('0.9009'), highRate: price }
  assert.equal(priceIlp({ side: 'receive', value: 500n }, path(price, exactly)).sourceAmount, 556n)
})

test('a slippage of the whole price leaves no rate to promise', () => {
  const minRate = leastRate(identityRate, identityRate)
  const probe = { lowRate: identityRate, highRate: identityRate }
  for (const side of ['debit', 'receive'] as const)
    assert.equal(
      refusal(() => priceIlp({ side, value: 5n }, { probe, minRate })).code,
      'insufficient_exchange_rate',
    )
})

test('nothing arriving is refused with the least amount that is enough', () => {
  for (const value of [0n, 1n]) {
    const error = refusal(() => priceIlp({ side: 'debit', value }, path(identityRate)))
    assert.equal(error.code, 'non_positive_receive_amount')
    assert.equal(error.minSourceAmount, 2n)
  }
  const hundredth = path(rate(1n, 100n))
  assert.equal(refusal(() => priceIlp({ side: 'debit', value: 99n }, hundredth)).minSourceAmount, 100n)
})

test('what an amount cannot hold is refused', () => {
  assert.equal(
    refusal(() => priceIlp({ side: 'receive', value: AMOUNT_MAX }, path(identityRate))).code,
    'amount_too_large',
  )
})

test('the largest packet of the path is kept', () => {
  const probe = { lowRate: identityRate, highRate: identityRate, maxPacketAmount: 7n }
  assert.equal(priceIlp({ side: 'debit', value: 50n }, path(identityRate, probe)).limits?.maxPacketAmount, 7n)
})
