import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { completeIncomingPayment, findForPackets, updateWalletAddress } from '../incoming-payments/index.ts'
import { sql, uuidv7 } from '../platform/index.ts'
import type { Quote } from '../quotes/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  cancelUnfundedPayments,
  createGrantedPayment,
  createOutgoingPayment,
  createOutgoingPaymentFromIncomingPayment,
  findOutgoingPayment,
  getOutgoingPayment,
  listOutgoingPayments,
  type OutgoingPayment,
  OutgoingPaymentRefusal,
  type OutgoingPaymentRefusalCode,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(() => {
  world.remote.answer = undefined
})
after(() => world.close())

const refused = (call: Promise<unknown>, code: OutgoingPaymentRefusalCode, message = /./) =>
  assert.rejects(call, (error) => {
    assert.ok(error instanceof OutgoingPaymentRefusal, String(error))
    return error.code === code && message.test(error.message)
  })
const create = (quote: Pick<Quote, 'id' | 'walletAddressId' | 'tenantId'>) =>
  createOutgoingPayment(world.ctx, {
    tenantId: quote.tenantId,
    walletAddressId: quote.walletAddressId,
    quoteId: quote.id,
    initiatedBy: 'ADMIN',
  })
const remoteQuote = (fields = {}) =>
  world.quote(world.alice, world.remote.addPayment(fields).url, { debit: 50n })
const createdEvents = async (id: string) =>
  (await world.events('outgoing_payment.created')).filter(({ data }) => data.id === id)

test('a payment and its event are created together, in the shape that wallets know', async () => {
  const quote = await remoteQuote()
  const { payment } = await createGrantedPayment(world.ctx, {
    tenantId: world.tenantId,
    walletAddressId: world.alice.id,
    quoteId: quote.id,
    metadata: { description: 'rent' },
    client: 'https://client.example/app',
    grant: { id: 'grant-1' },
    initiatedBy: 'OPEN_PAYMENTS',
  })
  assert.equal(payment.id, quote.id)
  const [event, ...others] = await createdEvents(payment.id)
  assert.equal(others.length, 0)
  assert.equal(event?.withdrawal, null)
  const amount = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
  assert.deepEqual(event?.data, {
    id: payment.id,
    walletAddressId: world.alice.id,
    client: 'https://client.example/app',
    state: 'FUNDING',
    receiver: quote.receiver,
    debitAmount: amount('50'),
    receiveAmount: amount('49'),
    sentAmount: amount('0'),
    stateAttempts: 0,
    createdAt: '2031-05-04T03:02:01.000Z',
    balance: '0',
    metadata: { description: 'rent' },
    grantId: 'grant-1',
  })
  const read = await getOutgoingPayment(world.ctx, 'all', payment.id)
  assert.deepEqual(read, payment)
})

test('a quote is spent once, also by many at once', async () => {
  const quote = await remoteQuote()
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => create(quote)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  await refused(create(quote), 'invalid_quote', /used before/)
  assert.equal((await createdEvents(quote.id)).length, 1)
})

test('quotes that are expired, of another wallet address, or unknown are refused', async () => {
  const quote = await remoteQuote()
  await refused(create({ ...quote, id: uuidv7() }), 'unknown_quote')
  await refused(create({ ...quote, id: 'no id' }), 'unknown_quote')
  await refused(
    create({ ...quote, walletAddressId: world.carol.id }),
    'invalid_quote',
    /another wallet address/,
  )
  await refused(create({ ...quote, walletAddressId: uuidv7() }), 'unknown_wallet_address')
  const other = await world.addTenant()
  await refused(create({ ...quote, tenantId: other.tenantId }), 'unknown_quote')
  world.clock.advance(300_000)
  await refused(create(quote), 'invalid_quote', /expired/)
  assert.equal((await createdEvents(quote.id)).length, 0)
})

test('from its creation on, connectors know that a payment of this node may credit its receiver, under a grant too', async () => {
  const receivers = await Promise.all(Array.from({ length: 4 }, () => world.incoming(world.carol, 50n)))
  const othersMayCredit = async () => {
    const known = await Promise.all(receivers.map(({ id }) => findForPackets(world.ctx, id, world.alice.id)))
    return known.map((payment) => payment?.othersMayCredit)
  }
  const quotes = await Promise.all(receivers.slice(0, 3).map(({ url }) => world.quote(world.alice, url)))
  assert.deepEqual(await othersMayCredit(), [false, false, false, false])
  const [one, two, granted] = quotes as [Quote, Quote, Quote]
  await Promise.all([create(one), create(two), create(await remoteQuote())])
  assert.deepEqual(await othersMayCredit(), [true, true, false, false])
  await createGrantedPayment(world.ctx, {
    tenantId: world.tenantId,
    walletAddressId: world.alice.id,
    quoteId: granted.id,
    grant: { id: 'grant-2' },
    initiatedBy: 'OPEN_PAYMENTS',
  })
  assert.deepEqual(await othersMayCredit(), [true, true, true, false])
})

test('a receiver that closed since the quote is refused', async () => {
  const gone = await remoteQuote()
  const local = await world.incoming(world.carol)
  const closed = await world.quote(world.alice, local.url, { debit: 5n })
  await completeIncomingPayment(world.ctx, 'all', local.id)
  await refused(create(closed), 'invalid_receiver', /completed/)
  // The quote saw it open a moment ago; later it is looked at again.
  world.clock.advance(2_000)
  world.remote.payments.delete(gone.receiver)
  await refused(create(gone), 'invalid_receiver')
  const quote = await remoteQuote()
  world.clock.advance(2_000)
  world.remote.answer = 'unreachable'
  await refused(create(quote), 'receiver_unreachable', /cannot be reached/)
  // It comes back, and the same quote buys the payment.
  world.remote.answer = undefined
  assert.equal((await create(quote)).state, 'FUNDING')
})

test('a deactivated wallet address pays nothing more', async () => {
  const other = await world.addTenant()
  const quote = await world.quote(other.wallet, world.remote.addPayment().url, { debit: 50n })
  const ctx = { ...world.ctx, settings: { ...world.ctx.settings, walletAddressDeactivationGraceMs: 0 } }
  await updateWalletAddress(ctx, 'all', { id: other.wallet.id, status: 'INACTIVE' })
  await refused(create(quote), 'inactive_wallet_address')
})

test('in one step from an incoming payment, with and without an amount to send', async () => {
  const common = { tenantId: world.tenantId, walletAddressId: world.alice.id, initiatedBy: 'ADMIN' } as const
  const wanted = world.remote.addPayment({ incomingAmount: 500n })
  const whole = await createOutgoingPaymentFromIncomingPayment(world.ctx, {
    ...common,
    incomingPayment: wanted.url,
  })
  assert.deepEqual([whole.debitAmount.value, whole.receiveAmount.value, whole.state], [506n, 500n, 'FUNDING'])
  const open = world.remote.addPayment()
  const debitAmount = { value: 50n, assetCode: 'USD', assetScale: 2 }
  const part = await createOutgoingPaymentFromIncomingPayment(world.ctx, {
    ...common,
    incomingPayment: open.url,
    debitAmount,
  })
  assert.deepEqual([part.debitAmount.value, part.receiveAmount.value], [50n, 49n])
})

test('payments are seen by their tenant only, and found by receiver, wallet address, state and client', async () => {
  const other = await world.addTenant()
  const { url } = world.remote.addPayment()
  const payments: OutgoingPayment[] = []
  for (const receiver of [url, url, world.remote.addPayment().url]) {
    world.clock.advance(1000)
    payments.push(await create(await world.quote(other.wallet, receiver, { debit: 50n })))
  }
  const scope = { tenantId: other.tenantId }
  const ids = payments.map(({ id }) => id).reverse()
  const list = async (filter: Parameters<typeof listOutgoingPayments>[2], as = scope) =>
    (await listOutgoingPayments(world.ctx, as, filter, {})).items.map(({ id }) => id)
  assert.deepEqual(await list({}), ids)
  assert.deepEqual(await list({ receiver: [url] }), ids.slice(1))
  assert.deepEqual(await list({ walletAddressId: [other.wallet.id, 'no id'] }), ids)
  assert.deepEqual(await list({ walletAddressId: [world.alice.id] }), [])
  assert.deepEqual(await list({ state: ['FUNDING'] }), ids)
  assert.deepEqual(await list({ state: ['SENDING', 'FAILED'] }), [])
  assert.deepEqual(await list({ client: 'https://client.example' }), [])
  assert.deepEqual(await list({ receiver: [url] }, { tenantId: world.tenantId }), [])
  assert.equal(await findOutgoingPayment(world.ctx, { tenantId: world.tenantId }, ids[0]!), undefined)
  await refused(getOutgoingPayment(world.ctx, { tenantId: world.tenantId }, ids[0]!), 'unknown_payment')
  await refused(getOutgoingPayment(world.ctx, 'all', 'no id'), 'unknown_payment')
})

test('F24: with a time limit, payments that nobody funded are cancelled, oldest first; others are not', async () => {
  const [old, funded, young] = [await remoteQuote(), await remoteQuote(), await remoteQuote()]
  await create(old)
  await world.fund(await create(funded))
  world.clock.advance(60_000)
  await create(young)
  const cancelled = await cancelUnfundedPayments(world.ctx, { timeoutMs: 60_000, limit: 1000 })
  assert.ok(cancelled.includes(old.id))
  assert.ok(!cancelled.includes(funded.id) && !cancelled.includes(young.id))
  const { state, metadata } = await getOutgoingPayment(world.ctx, 'all', old.id)
  assert.deepEqual([state, metadata], ['CANCELLED', { cancellationReason: 'not funded in time' }])
})

test('F3: the database itself keeps a completed payment from having sent nothing', async () => {
  const payment = await create(await remoteQuote())
  await assert.rejects(
    world.db.execute(
      sql`update outgoing_payments set state = 'COMPLETED', sent_amount = 0 where id = ${payment.id}`,
    ),
    /outgoing_payments_completed_sent/,
  )
})
