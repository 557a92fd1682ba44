import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { getIncomingPayment } from '../../incoming-payments/index.ts'
import { formatRate, rate } from '../../money/index.ts'
import { getOutgoingPayment, getOutgoingPaymentLiquidity } from '../../outgoing-payments/index.ts'
import { QuoteRefusal } from '../../quotes/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../../testing/payment-world.ts'

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31))
console.log(`seed ${seed} (repeat with FC_SEED=${seed})`)

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
  await world.deposit(world.eur, 2n ** 63n)
})
after(() => world.close())

const plans = fc.record({
  isCross: fc.boolean(),
  price: fc.tuple(fc.bigInt(1n, 2000n), fc.bigInt(1n, 2000n)),
  wanted: fc.option(fc.bigInt(1n, 500n), { nil: undefined }),
  payments: fc.array(fc.record({ side: fc.constantFrom('debit', 'receive'), value: fc.bigInt(1n, 400n) }), {
    minLength: 1,
    maxLength: 6,
  }),
})

test('F6: whatever is paid into one receiver at once: every unit is accounted for and nobody is paid twice', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async ({ isCross, price: [numerator, denominator], wanted, payments }) => {
      const { ctx, alice, bob, carol } = world
      world.connector.prices['USD EUR'] = formatRate(rate(numerator, denominator), 30)
      const payee = isCross ? bob : carol
      const receiver = await world.incoming(payee, wanted)
      const { code: assetCode, scale: assetScale } = payee.asset
      const opened = []
      for (const { side, value } of payments) {
        const amounts = side === 'debit' ? { debit: value } : { receive: { value, assetCode, assetScale } }
        try {
          opened.push(await world.outgoing(alice, receiver.url, amounts))
        } catch (error) {
          assert.ok(error instanceof QuoteRefusal, String(error))
        }
      }
      await Promise.all(opened.map((payment) => world.fund(payment)))
      await world.runJobs()

      let delivered = 0n
      for (const { id, debitAmount, receiveAmount } of opened) {
        const paid = await getOutgoingPayment(ctx, 'all', id)
        const [balance] = await getOutgoingPaymentLiquidity(ctx, [id])
        assert.equal(debitAmount.value, paid.sentAmount.value + (balance ?? -1n))
        assert.ok(paid.deliveredAmount.value <= receiveAmount.value)
        assert.equal(paid.state, paid.sentAmount.value > 0n ? 'COMPLETED' : 'FAILED')
        if (paid.state === 'FAILED') assert.equal(paid.errorCode, 'receiver_completed')
        // Never better than the quoted rate for the payer.
        assert.ok(
          paid.sentAmount.value * receiveAmount.value >= paid.deliveredAmount.value * paid.quote.sourceAmount,
        )
        delivered += paid.deliveredAmount.value
      }
      const { receivedAmount, state } = await getIncomingPayment(ctx, 'all', receiver.id)
      assert.equal(receivedAmount.value, delivered)
      if (wanted !== undefined && delivered >= wanted) assert.equal(state, 'COMPLETED')

      // All that arrived is announced, once.
      world.clock.advance(2_001)
      await world.runJobs('incoming-payments')
      const announced = (await world.events('incoming_payment.completed')).filter(
        ({ data }) => data.id === receiver.id,
      )
      assert.deepEqual(
        announced.map(({ withdrawal }) => withdrawal),
        state === 'COMPLETED' ? [delivered] : [],
      )
      for (const { difference } of await world.audit()) assert.equal(difference, 0n)
    }),
    { seed, numRuns: 25 },
  )
})
