import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createIncomingPayment,
  incomingPaymentUrl,
  processIncomingPayment,
} from '../incoming-payments/index.ts'
import { createCache, type Logger, sql } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import { cancelOutgoingPayment } from './cancel-outgoing-payment.ts'
import { createOutgoingPayment } from './create-outgoing-payment.ts'
import { fundOutgoingPayment } from './fund-outgoing-payment.ts'
import { cancelUnfundedPayments } from './sweep.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
after(() => world.close())

const ofSides = ['outgoing_payment.funded', 'outgoing_payment.cancelled']
const told = (paymentId: string) =>
  world.db.many(
    (row) => ({ type: row.type, state: row.data.state, balance: row.data.balance, to: row.recipients }),
    sql`select e.type, e.data, (
          select coalesce(array_agg(d.endpoint || ':' || d.recipient_tenant_id order by d.endpoint), '{}')
          from webhook_deliveries d where d.event_id = e.id
        ) as recipients
        from webhook_events e where e.outgoing_payment_id = ${paymentId} and e.type = any(${ofSides}::text[])`,
  )

const create = async (initiatedBy: 'CARD' | 'ADMIN', payer = world.alice) => {
  const { url } = await world.incoming(world.carol)
  const { id: quoteId, tenantId } = await world.quote(payer, url, { debit: 500n })
  return createOutgoingPayment(world.ctx, { tenantId, walletAddressId: payer.id, quoteId, initiatedBy })
}
const scope = () => ({ tenantId: world.tenantId })
const card = { cardWebhookUrl: 'http://card.example/webhook' }
/** With a memory of its own: a tenant's settings are remembered as these make them. */
const withSettings = (settings: object) => ({
  ...world.ctx,
  cache: createCache({ clock: world.ctx.clock, lifeMs: 0 }),
  settings: { ...world.ctx.settings, ...settings },
})

test('funding and cancelling of card payments go to the card service alone', async () => {
  const ctx = withSettings(card)
  const [paid, dropped] = [await create('CARD'), await create('CARD')]
  await fundOutgoingPayment(ctx, scope(), { outgoingPaymentId: paid.id })
  await fundOutgoingPayment(ctx, scope(), { outgoingPaymentId: paid.id })
  await cancelOutgoingPayment(ctx, scope(), {
    id: dropped.id,
    cardPaymentFailureReason: 'invalid_signature',
  })
  const to = [`card:${world.tenantId}`]
  assert.deepEqual(await told(paid.id), [{ type: ofSides[0], state: 'SENDING', balance: '500', to }])
  assert.deepEqual(await told(dropped.id), [{ type: ofSides[1], state: 'CANCELLED', balance: '0', to }])
})

test('without a card service there is the event, a warning, and no delivery', async () => {
  const warnings: string[] = []
  const log: Logger = {
    ...world.ctx.log,
    warn: (...args: unknown[]) => void warnings.push(JSON.stringify(args)),
  }
  const payment = await create('CARD')
  await fundOutgoingPayment({ ...world.ctx, log }, scope(), { outgoingPaymentId: payment.id })
  assert.deepEqual((await told(payment.id))[0]?.to, [])
  assert.match(warnings.join(), /CARD_WEBHOOK_SERVICE_URL/)
})

test('trap 3: event types that wallets do not know reach those tenants alone that opted in', async () => {
  const quiet = await create('ADMIN')
  await fundOutgoingPayment(withSettings(card), scope(), { outgoingPaymentId: quiet.id })
  assert.deepEqual(await told(quiet.id), [])
  const optedIn = withSettings({ webhookExtraEvents: ['outgoing_payment.cancelled'] })
  const [funded, cancelled, expired] = [await create('ADMIN'), await create('ADMIN'), await create('ADMIN')]
  await fundOutgoingPayment(optedIn, scope(), { outgoingPaymentId: funded.id })
  assert.deepEqual(await told(funded.id), [])
  await cancelOutgoingPayment(optedIn, scope(), { id: cancelled.id, reason: 'changed my mind' })
  assert.deepEqual((await told(cancelled.id))[0]?.to, [`wallet:${world.tenantId}`])
  world.clock.advance(60_000)
  const ended = await cancelUnfundedPayments(optedIn, { timeoutMs: 60_000, limit: 10 })
  assert.deepEqual(ended, [expired.id])
  assert.deepEqual((await told(expired.id))[0]?.to, [`wallet:${world.tenantId}`])
  await assert.rejects(cancelOutgoingPayment(optedIn, scope(), { id: cancelled.id }), { code: 'wrong_state' })
  assert.equal((await told(cancelled.id)).length, 1)
})

test('a tenant opts in by its own setting', async () => {
  const tenant = await world.addTenant()
  await world.db.execute(
    sql`insert into tenant_settings (tenant_id, key, value) values (${tenant.tenantId}, 'WEBHOOK_EXTRA_EVENTS', 'outgoing_payment.cancelled')`,
  )
  world.clock.advance(60_000)
  const payment = await create('ADMIN', tenant.wallet)
  await cancelOutgoingPayment(world.ctx, { tenantId: tenant.tenantId }, { id: payment.id })
  assert.deepEqual((await told(payment.id))[0]?.to, [`wallet:${tenant.tenantId}`])
})

test('the end of a card receiver also goes to the POS service', async () => {
  const settings = { posWebhookUrl: 'http://pos.example/webhook' }
  const { assetCode, assetScale } = { assetCode: 'USD', assetScale: 2 }
  const receiver = await createIncomingPayment(world.ctx, {
    tenantId: world.tenantId,
    walletAddress: world.carol,
    initiatedBy: 'CARD',
    incomingAmount: { value: 300n, assetCode, assetScale },
  })
  const payment = await world.outgoing(world.alice, incomingPaymentUrl('https://bank.example', receiver))
  await world.fund(payment)
  await world.runJobs()
  for (let round = 0; round < 5; round++) {
    for (const job of await world.claim('incoming-payments'))
      await world.finish(job, await processIncomingPayment(withSettings(settings), job))
    world.clock.advance(60_000)
  }
  const recipients = await world.db.many(
    (row) => `${row.type} ${row.endpoint}:${row.recipient_tenant_id}`,
    sql`select e.type, d.endpoint, d.recipient_tenant_id from webhook_events e join webhook_deliveries d on d.event_id = e.id
        where e.incoming_payment_id = ${receiver.id} order by e.created_at, d.endpoint`,
  )
  assert.deepEqual(recipients, [
    `incoming_payment.created wallet:${world.tenantId}`,
    `incoming_payment.completed pos:${world.tenantId}`,
    `incoming_payment.completed wallet:${world.tenantId}`,
  ])
})

test('F16: a deposit that is asked for again, after its answer was lost, is success and moves nothing', async () => {
  const payment = await create('ADMIN')
  const first = await fundOutgoingPayment(world.ctx, scope(), { outgoingPaymentId: payment.id })
  const again = await fundOutgoingPayment(world.ctx, scope(), { outgoingPaymentId: payment.id })
  assert.deepEqual([first.state, again.state], ['SENDING', 'SENDING'])
  const [account] = await world.ledger.lookupAccounts([payment.id])
  assert.equal(account?.creditsPosted, 500n)
  await world.runJobs()
  const late = await fundOutgoingPayment(world.ctx, scope(), { outgoingPaymentId: payment.id })
  assert.equal(late.state, 'COMPLETED')
})
