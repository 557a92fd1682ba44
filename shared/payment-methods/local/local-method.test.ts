import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { depositAssetLiquidity } from '../../assets/index.ts'
import {
  completeIncomingPayment,
  getIncomingPayment,
  type IncomingPayment,
  incomingPaymentAccount,
} from '../../incoming-payments/index.ts'
import { formerTransferId, isChosenId } from '../../ledger/index.ts'
import { parseRate } from '../../money/index.ts'
import { type Db, Fault } from '../../platform/index.ts'
import { getReceiver } from '../../receivers/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../../testing/payment-world.ts'
import { createPaymentMethods, type PayInput } from '../index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
  world.connector.prices['USD EUR'] = '0.91'
})
after(async () => {
  for (const { difference } of await world.audit()) assert.equal(difference, 0n)
  await world.close()
})

/** A funded payment and what its worker would ask the method for. */
async function asked(isCross: boolean): Promise<PayInput> {
  const receiver = await world.incoming(isCross ? world.bob : world.carol)
  const { id, quote } = await world.fund(await world.outgoing(world.alice, receiver.url, { debit: 550n }))
  return {
    outgoingPaymentId: id,
    tenantId: world.tenantId,
    sourceAsset: { id: world.usd.id, ledger: world.usd.ledger, assetCode: 'USD', assetScale: 2 },
    receiver: await getReceiver(world.ctx, { tenantId: world.tenantId, url: receiver.url }),
    sourceAmount: quote.sourceAmount,
    quotedReceiveAmount: quote.receiveAmount.value,
    receiveAmount: quote.receiveAmount.value,
    sentAmount: 0n,
    deliveredAmount: 0n,
    transferAttempt: 0,
    budgetMs: 1000,
  }
}
const pay = (input: PayInput) => world.ctx.methods.LOCAL.pay(input)
const packets = { sent: 0, fulfilled: 0, rejected: 0 }
const received = async ({ receiver }: PayInput) =>
  (await getIncomingPayment(world.ctx, 'all', receiver.local?.id ?? '')).receivedAmount.value

for (const isCross of [false, true]) {
  const name = isCross ? 'across currencies' : 'in one currency'
  const delivered = isCross ? 500n : 550n

  test(`F6: ${name}: paying again, and asking for less, finds what was paid`, async () => {
    const input = await asked(isCross)
    const done = { status: 'done', sentAmount: 550n, deliveredAmount: delivered, packets }
    assert.deepEqual(await pay(input), done)
    assert.deepEqual(await pay(input), done)
    // Another worker saw a receiver that wants less by now.
    assert.deepEqual(await pay({ ...input, receiveAmount: 7n }), done)
    assert.equal(await received(input), delivered)
  })

  test(`F6: ${name}: many at once pay once`, async () => {
    const input = await asked(isCross)
    const results = await Promise.all(Array.from({ length: 10 }, () => pay(input)))
    for (const result of results)
      assert.deepEqual([result.status, result.sentAmount, result.deliveredAmount], ['done', 550n, delivered])
    assert.equal(await received(input), delivered)
  })
}

test('less wanted is less taken, at the rate of the quote and rounded up', async () => {
  const input = await asked(true)
  const result = await pay({ ...input, receiveAmount: 101n })
  assert.deepEqual([result.sentAmount, result.deliveredAmount], [112n, 101n]) // 101 × 550 / 500 = 111.1
})

test('what another tenant’s liquidity pays out has that tenant’s price, whatever the payer’s own rates say', async () => {
  const payer = await world.addTenant()
  const { url } = await world.incoming(world.bob)
  const prices: Record<string, string> = { [payer.tenantId]: '1000000', [world.tenantId]: '0.91' }
  const connector = {
    ...world.connector,
    getPrice: async ({ tenantId }: { tenantId: string }) => parseRate(prices[tenantId] ?? ''),
  }
  const { id, ledger, code, scale } = payer.asset
  const quote = await createPaymentMethods({ ...world.ctx, connector }).LOCAL.quote({
    tenantId: payer.tenantId,
    sourceAsset: { id, ledger, assetCode: code, assetScale: scale },
    receiver: await getReceiver(world.ctx, { tenantId: payer.tenantId, url }),
    amount: { side: 'debit', value: 100n },
  })
  assert.deepEqual(quote, { sourceAmount: 100n, receiveAmount: 91n })
})

test('what an earlier attempt sent is found whatever its number', async () => {
  const input = await asked(true)
  await pay({ ...input, transferAttempt: 1 })
  const progress = await world.ctx.methods.LOCAL.progress({
    outgoingPaymentId: input.outgoingPaymentId,
    sentAmount: 550n,
    deliveredAmount: 0n,
    transferAttempt: 3,
    budgetMs: 0,
  })
  assert.deepEqual(progress, { sentAmount: 550n, deliveredAmount: 500n, pending: false, paid: true })
})

test('what an earlier version sent, under an id that a wallet could have chosen, is found; what others put there is not', async () => {
  const formerId = (input: PayInput) =>
    formerTransferId('local-payment', input.outgoingPaymentId, 'delivery', 0)
  const next = async () => {
    let input = await asked(false)
    while (!isChosenId(formerId(input))) input = await asked(false)
    return input
  }
  const [input, taken] = [await next(), await next()]
  const receiverId = input.receiver.local?.id ?? ''
  const delivery = {
    kind: 'posted',
    id: formerId(input),
    debitAccountId: input.outgoingPaymentId,
    creditAccountId: receiverId,
    ledger: world.usd.ledger,
    code: 1,
    amount: 550n,
    userData128: input.outgoingPaymentId,
    needs: [incomingPaymentAccount(input.receiver.local as IncomingPayment)],
  } as const
  assert.deepEqual(await world.ctx.ledger.createTransfers([delivery]), ['created'])
  const asking = { sentAmount: 550n, deliveredAmount: 0n, transferAttempt: 0, budgetMs: 0 }
  const { outgoingPaymentId } = input
  const progress = await world.ctx.methods.LOCAL.progress({ ...asking, outgoingPaymentId })
  assert.deepEqual([progress.deliveredAmount, progress.paid], [550n, true])

  await depositAssetLiquidity(world.ctx, 'all', {
    assetId: world.usd.id,
    transferId: formerId(taken),
    amount: 1n,
  })
  // The first attempt was refused.
  const second = { ...taken, transferAttempt: 1 }
  const result = await pay(second)
  assert.deepEqual([result.status, result.deliveredAmount], ['done', 550n])
  assert.deepEqual(await pay(second), result)
})

test('too little of one or the other kind of money is told apart, and nothing moves', async () => {
  const poor = await asked(false)
  const tooMuch = await pay({ ...poor, sourceAmount: 551n, quotedReceiveAmount: 551n, receiveAmount: 551n })
  assert.ok(tooMuch.status === 'failed')
  assert.deepEqual(
    [tooMuch.failure.code, tooMuch.failure.retryable, tooMuch.failure.transferRefused],
    ['insufficient_balance', false, true],
  )
  const dry = await asked(true)
  const noLiquidity = await pay({ ...dry, receiveAmount: 2_000_000n, quotedReceiveAmount: 2_000_000n })
  assert.ok(noLiquidity.status === 'failed')
  assert.deepEqual(
    [noLiquidity.failure.code, noLiquidity.failure.retryable],
    ['insufficient_liquidity', true],
  )
  assert.deepEqual([await received(poor), await received(dry)], [0n, 0n])
})

test('a receiver that was read a while ago is looked at again before it is credited', async () => {
  const open = await asked(false)
  world.clock.advance(1_000)
  assert.equal((await pay(open)).status, 'done')
  const closed = await asked(false)
  await completeIncomingPayment(world.ctx, 'all', closed.receiver.local?.id ?? '')
  world.clock.advance(1_000)
  const result = await pay(closed)
  assert.ok(result.status === 'failed')
  assert.deepEqual([result.failure.code, result.failure.retryable], ['receiver_completed', false])
  assert.equal(await received(closed), 0n)
})

test('money that arrived stays arrived when its receiver cannot be told: a fault is tried again, the rest is logged', async () => {
  const failing = (error: unknown) => {
    const db: Db = {
      ...world.db,
      batched(statement, item) {
        const isTelling = typeof item === 'object' && item !== null && 'received' in item
        return isTelling ? Promise.reject(error) : world.db.batched(statement, item)
      },
    }
    return createPaymentMethods({ ...world.ctx, db }).LOCAL
  }
  const input = await asked(false)
  const away = new Fault('database_unavailable', { retryable: true })
  await assert.rejects(failing(away).pay(input), away)
  assert.equal((await failing(new TypeError('a bug')).pay(input)).status, 'done')
  assert.equal(await received(input), 550n)
})
