import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AMOUNT_MAX, type Rate, rate } from '../money/index.ts'
import { PaymentMethodRefusal } from './errors.ts'
import { leastRate, priceIlp } from './ilp/price-ilp.ts'
import { priceLocal } from './local/price-local.ts'
import type { MethodQuote } from './port.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)
const check = (property: fc.IProperty<never> | fc.IRawProperty<unknown>) =>
  fc.assert(property as fc.IProperty<unknown>, { seed, numRuns: 500 })

const amounts = fc.oneof(fc.bigInt(1n, 10_000n), fc.bigInt(1n, AMOUNT_MAX))
const parts = fc.oneof(fc.bigInt(1n, 1000n), fc.bigInt(1n, 10n ** 18n))
const rates = fc.tuple(parts, parts).map(([numerator, denominator]) => rate(numerator, denominator))
const sides = fc.constantFrom('debit' as const, 'receive' as const)

/** The quote, or `undefined` where it was refused. Anything but a refusal fails the property. */
function priced(price: () => MethodQuote): MethodQuote | undefined {
  try {
    return price()
  } catch (error) {
    if (error instanceof PaymentMethodRefusal) return undefined
    throw error
  }
}

/** `source × rate >= received`, without the code under test. */
const paysFor = (source: bigint, by: Rate, received: bigint) =>
  source * by.numerator >= received * by.denominator

test('local: never more is delivered than was paid for, and the loss is less than one unit', () => {
  check(
    fc.property(sides, amounts, rates, (side, value, by) => {
      const quote = priced(() => priceLocal({ side, value }, by))
      if (!quote) return
      const { sourceAmount, receiveAmount } = quote
      assert.ok(sourceAmount > 0n && receiveAmount > 0n)
      assert.ok(sourceAmount <= AMOUNT_MAX && receiveAmount <= AMOUNT_MAX)
      assert.ok(paysFor(sourceAmount, by, receiveAmount))
      if (side === 'debit') assert.ok(!paysFor(sourceAmount, by, receiveAmount + 1n))
      else assert.ok(!paysFor(sourceAmount - 1n, by, receiveAmount))
    }),
  )
})

test('local: the least amount named in a refusal is the least that is accepted', () => {
  check(
    fc.property(rates, (by) => {
      try {
        priceLocal({ side: 'debit', value: 0n }, by)
        assert.fail('must refuse')
      } catch (error) {
        assert.ok(error instanceof PaymentMethodRefusal)
        const least = error.minSourceAmount
        assert.ok(least !== undefined)
        assert.ok(paysFor(least, by, 1n))
        assert.ok(!paysFor(least - 1n, by, 1n))
      }
    }),
  )
})

test('ilp: what is promised can be delivered by packets at the least rate', () => {
  check(
    fc.property(
      sides,
      amounts,
      rates,
      fc.bigInt(0n, 99n),
      fc.bigInt(0n, 5n),
      (side, value, price, slip, above) => {
        const minRate = leastRate(price, rate(slip, 100n))
        // Any rate of the path between the least acceptable and a little above the price.
        const pathRate = rate(price.numerator * (100n + above), price.denominator * 100n)
        const quote = priced(() =>
          priceIlp({ side, value }, { probe: { lowRate: pathRate, highRate: pathRate }, minRate }),
        )
        if (!quote) return
        const { sourceAmount, receiveAmount } = quote
        assert.ok(sourceAmount > 0n && receiveAmount > 0n)
        assert.ok(sourceAmount <= AMOUNT_MAX && receiveAmount <= AMOUNT_MAX)
        // One packet of the whole at exactly the least rate, its least delivery rounded up as the sender asks for.
        assert.ok(paysFor(sourceAmount, minRate, receiveAmount - 1n))
        if (side === 'debit') {
          assert.equal(sourceAmount, value)
          assert.ok(
            paysFor(sourceAmount, minRate, receiveAmount) ||
              paysFor(sourceAmount - 1n, minRate, receiveAmount - 1n),
          )
        } else {
          assert.equal(receiveAmount, value)
          assert.ok(paysFor(sourceAmount, minRate, receiveAmount))
        }
      },
    ),
  )
})

test('ilp: slippage never raises a rate', () => {
  check(
    fc.property(rates, fc.bigInt(0n, 100n), (price, slip) => {
      const least = leastRate(price, rate(slip, 100n))
      assert.ok(least.numerator * price.denominator <= price.numerator * least.denominator)
    }),
  )
})
