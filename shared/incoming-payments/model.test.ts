import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveId } from '../platform/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import {
  ANNOUNCE_GRACE_MS,
  CREDIT_DECISION_AGE_MAX_MS,
  canReceive,
  checkIncomingAmount,
  expiryOf,
  type IncomingPayment,
  incomingPaymentUrl,
  mayBeCredited,
  nextStep,
  type OpenOrClosed,
  toWebhookData,
} from './model.ts'

const asset = { id: deriveId('asset'), code: 'USD', scale: 2, ledger: 1 }
const usd = (value: bigint) => ({ value, assetCode: 'USD', assetScale: 2 })
const at = (ms: number) => new Date(Date.UTC(2031, 0, 1) + ms)
const refusal = (code: string) => (error: unknown) =>
  error instanceof IncomingPaymentRefusal && error.code === code

test('the grace is longer than any decision may be old', () => {
  assert.ok(ANNOUNCE_GRACE_MS >= CREDIT_DECISION_AGE_MAX_MS + 500)
})

test('amounts must be positive and in the asset of the wallet address', () => {
  checkIncomingAmount(undefined, asset)
  checkIncomingAmount(usd(1n), asset)
  for (const bad of [usd(0n), { ...usd(1n), assetCode: 'EUR' }, { ...usd(1n), assetScale: 3 }])
    assert.throws(() => checkIncomingAmount(bad, asset), refusal('invalid_amount'))
})

test('the expiry lies between now and the limit', () => {
  const limits = { now: at(0), maxMs: 1000 }
  assert.deepEqual(expiryOf(undefined, limits), at(1000))
  assert.deepEqual(expiryOf(at(1), limits), at(1))
  assert.deepEqual(expiryOf(at(1000), limits), at(1000))
  for (const bad of [at(0), at(-1), at(1001), new Date(Number.NaN)])
    assert.throws(() => expiryOf(bad, limits), refusal('invalid_expiry'))
})

test('money is taken while the payment is open and not expired, closed by the worker or not', () => {
  assert.ok(canReceive({ state: 'PENDING', expiresAt: at(1) }, at(0)))
  assert.ok(canReceive({ state: 'PROCESSING', expiresAt: at(1) }, at(0)))
  assert.ok(!canReceive({ state: 'PROCESSING', expiresAt: at(0) }, at(0)))
  assert.ok(!canReceive({ state: 'COMPLETED', expiresAt: at(1) }, at(0)))
  assert.ok(!canReceive({ state: 'EXPIRED', expiresAt: at(1) }, at(0)))
})

const open: OpenOrClosed = {
  state: 'PENDING',
  incomingAmount: usd(100n),
  expiresAt: at(1000),
  processAt: at(1000),
  hasCreditors: true,
  hasOneCreditor: true,
  isFull: false,
}
const closed: OpenOrClosed = { ...open, state: 'COMPLETED', processAt: at(500) }

test('the next step follows from row, ledger and time', () => {
  const cases: [string, OpenOrClosed, bigint, number, unknown][] = [
    ['open waits for its expiry', open, 0n, 0, { kind: 'wait', until: at(1000) }],
    [
      'open with part of it waits',
      { ...open, state: 'PROCESSING' },
      99n,
      0,
      { kind: 'wait', until: at(1000) },
    ],
    ['a lost record is made good', open, 100n, 0, { kind: 'close', state: 'COMPLETED' }],
    ['more than asked completes too', open, 101n, 0, { kind: 'close', state: 'COMPLETED' }],
    ['expiry closes', open, 99n, 1000, { kind: 'close', state: 'EXPIRED' }],
    ['expiry with nothing closes first', open, 0n, 1000, { kind: 'close', state: 'EXPIRED' }],
    ['the full amount beats expiry', open, 100n, 5000, { kind: 'close', state: 'COMPLETED' }],
    ['closed waits for the grace', closed, 100n, 499, { kind: 'wait', until: at(500) }],
    ['completed is announced', closed, 1n, 500, { kind: 'announce', type: 'incoming_payment.completed' }],
    ['completed with nothing stays', closed, 0n, 500, { kind: 'finish', hide: false }],
    [
      'expired is announced',
      { ...closed, state: 'EXPIRED' },
      1n,
      500,
      { kind: 'announce', type: 'incoming_payment.expired' },
    ],
    [
      'expired with nothing disappears',
      { ...closed, state: 'EXPIRED' },
      0n,
      500,
      { kind: 'finish', hide: true },
    ],
    ['announced is looked at again', { ...closed, announcedAt: at(500) }, 100n, 600, { kind: 'look_again' }],
    ['gone is looked at again', { ...open, deletedAt: at(500) }, 100n, 5000, { kind: 'look_again' }],
  ]
  for (const [name, payment, received, now, step] of cases)
    assert.deepEqual(nextStep(payment, received, at(now)), step, name)
  const { incomingAmount: _none, ...anyAmount } = open
  assert.deepEqual(nextStep(anyAmount, 10n ** 30n, at(0)), { kind: 'wait', until: at(1000) })
})

test('only an end that the only creditor brought about is certain to have all its money', () => {
  const { incomingAmount: _none, ...anyAmount } = closed
  const several = { ...closed, hasOneCreditor: false }
  const cases: [string, OpenOrClosed, bigint, boolean][] = [
    ['the only creditor reached the amount', closed, 100n, false],
    ['and passed it', closed, 130n, false],
    ['somebody else may be at it', several, 100n, true],
    ['closed by order before the amount was reached', closed, 99n, true],
    ['it had no amount', anyAmount, 100n, true],
    ['nothing has come yet', closed, 0n, true],
    ['nobody ever tried', { ...several, hasCreditors: false }, 0n, false],
  ]
  for (const [name, payment, received, expected] of cases)
    assert.equal(mayBeCredited(payment, received), expected, name)
})

const id = deriveId('payment')
const payment: IncomingPayment = {
  id,
  tenantId: deriveId('tenant'),
  walletAddressId: deriveId('wallet'),
  walletAddress: {
    id: deriveId('wallet'),
    tenantId: deriveId('tenant'),
    assetId: asset.id,
    asset,
    address: 'https://w.example/alice',
    additionalProperties: [],
    createdAt: at(0),
  },
  asset,
  state: 'PENDING',
  receivedAmount: usd(0n),
  initiatedBy: 'ADMIN',
  expiresAt: at(1000),
  createdAt: at(0),
}

test('webhook data omits what is absent', () => {
  assert.deepEqual(toWebhookData(payment), {
    id,
    walletAddressId: payment.walletAddressId,
    createdAt: '2031-01-01T00:00:00.000Z',
    expiresAt: '2031-01-01T00:00:01.000Z',
    receivedAmount: { value: '0', assetCode: 'USD', assetScale: 2 },
    completed: false,
  })
  assert.deepEqual(
    toWebhookData({
      ...payment,
      state: 'COMPLETED',
      client: 'https://c.example/bob',
      incomingAmount: usd(5n),
      receivedAmount: usd(2n ** 64n - 1n),
      metadata: { ref: 'INV-7' },
      approvedAt: at(1),
    }),
    {
      id,
      walletAddressId: payment.walletAddressId,
      createdAt: '2031-01-01T00:00:00.000Z',
      expiresAt: '2031-01-01T00:00:01.000Z',
      receivedAmount: { value: '18446744073709551615', assetCode: 'USD', assetScale: 2 },
      completed: true,
      client: 'https://c.example/bob',
      incomingAmount: { value: '5', assetCode: 'USD', assetScale: 2 },
      metadata: { ref: 'INV-7' },
      approvedAt: '2031-01-01T00:00:00.001Z',
    },
  )
})

test('the public id is a URL that names the tenant', () => {
  const url = `https://op.example/${payment.tenantId}/incoming-payments/${id}`
  assert.equal(incomingPaymentUrl('https://op.example/', payment), url)
  assert.equal(incomingPaymentUrl('https://op.example', payment), url)
})
