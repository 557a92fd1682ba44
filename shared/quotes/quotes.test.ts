import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setFee } from '../assets/index.ts'
import { completeIncomingPayment, updateWalletAddress } from '../incoming-payments/index.ts'
import { identityRate, parseRate, rate } from '../money/index.ts'
import { deriveId, uuidv7 } from '../platform/index.ts'
import { createPaymentWorld, type PaymentWorld } from '../testing/payment-world.ts'
import {
  createQuote,
  estimatedExchangeRate,
  findQuote,
  getQuote,
  listQuotes,
  type Quote,
  QuoteRefusal,
  type QuoteRefusalCode,
} from './index.ts'

let world: PaymentWorld
before(async () => {
  world = await createPaymentWorld()
})
beforeEach(async () => {
  const { connector, remote } = world
  connector.pathRate = identityRate
  connector.isDown = false
  connector.prices = { 'USD EUR': '0.91' }
  delete connector.probeRefusal
  delete connector.maxPacketAmount
  remote.answer = undefined
  await fee(0n, 0)
})
after(() => world.close())

const usd = (value: bigint) => ({ value, assetCode: 'USD', assetScale: 2 })
const eur = (value: bigint) => ({ value, assetCode: 'EUR', assetScale: 2 })
const fee = (fixed: bigint, basisPoints: number) =>
  setFee(world.ctx, 'all', { assetId: world.usd.id, type: 'SENDING', fixed, basisPoints })
const refused = async (
  quote: Promise<Quote>,
  code: QuoteRefusalCode,
  message = /./,
): Promise<QuoteRefusal> => {
  let refusal: QuoteRefusal | undefined
  await assert.rejects(quote, (error) => {
    assert.ok(error instanceof QuoteRefusal, String(error))
    refusal = error
    return error.code === code && message.test(error.message)
  })
  assert.ok(refusal)
  return refusal
}
const amounts = (quote: Quote) => [quote.debitAmount.value, quote.sourceAmount, quote.receiveAmount.value]
const remoteUrl = (fields = {}) => world.remote.addPayment(fields).url
const localUrl = async (value?: bigint) => (await world.incoming(world.carol, value)).url

test('local quotes: fixed send and fixed delivery, in one currency and across', async () => {
  const { alice, bob } = world
  assert.deepEqual(amounts(await world.quote(alice, await localUrl(), { debit: 50n })), [50n, 50n, 50n])
  assert.deepEqual(amounts(await world.quote(alice, await localUrl(70n))), [70n, 70n, 70n])
  const { url } = await world.incoming(bob)
  const sent = await world.quote(alice, url, { debit: 500n })
  assert.deepEqual(amounts(sent), [500n, 500n, 455n])
  assert.deepEqual(sent.receiveAmount, eur(455n))
  assert.equal(sent.method, 'LOCAL')
  assert.deepEqual(amounts(await world.quote(alice, url, { receive: eur(500n) })), [550n, 550n, 500n])
  assert.equal(world.connector.probes, 0)
})

test('ILP quotes: the amounts of the contract', async () => {
  const same = await world.quote(world.alice, remoteUrl(), { debit: 50n })
  assert.deepEqual(amounts(same), [50n, 50n, 49n])
  assert.equal(same.method, 'ILP')
  world.connector.pathRate = parseRate('0.91')
  world.connector.maxPacketAmount = 100n
  const cross = await world.quote(world.alice, remoteUrl({ assetCode: 'EUR', incomingAmount: 500n }))
  assert.deepEqual(amounts(cross), [556n, 556n, 500n])
  assert.deepEqual(cross.limits, {
    minRate: rate(9009n, 10000n),
    lowRate: rate(91n, 100n),
    highRate: rate(91n, 100n),
    maxPacketAmount: 100n,
  })
  assert.equal(estimatedExchangeRate(cross), 0.91)
})

test('the fee is part of the debit: taken out of a fixed send, put on top of a fixed delivery', async () => {
  const latest = await fee(3n, 250)
  const sent = await world.quote(world.alice, await localUrl(), { debit: 1000n })
  assert.deepEqual(amounts(sent), [1000n, 972n, 972n])
  assert.equal(sent.feeId, latest.id)
  assert.deepEqual(amounts(await world.quote(world.alice, await localUrl(972n))), [1000n, 972n, 972n]) // 24.3 → 25, + 3
  assert.deepEqual(amounts(await world.quote(world.alice, remoteUrl(), { debit: 1000n })), [
    1000n,
    972n,
    962n,
  ]) // 961.29
})

test('when nothing would arrive, the refusal names the least amount that would do', async () => {
  const least = async (url: string, debit: bigint) =>
    (await refused(world.quote(world.alice, url, { debit }), 'non_positive_receive_amount')).minSendAmount
  assert.deepEqual(await least(remoteUrl(), 1n), usd(2n))
  await fee(3n, 250)
  const url = await localUrl()
  assert.deepEqual(await least(url, 3n), usd(5n)) // (1 + 3) / 0.975 = 4.1
  assert.deepEqual(amounts(await world.quote(world.alice, url, { debit: 5n })), [5n, 1n, 1n])
  assert.deepEqual(await least(remoteUrl(), 4n), usd(6n)) // (2 + 3) / 0.975 = 5.1
  await fee(0n, 10_000)
  assert.equal(await least(url, 1000n), undefined)
})

test('what is read is what was made', async () => {
  world.connector.pathRate = parseRate('0.333333333333333333333')
  world.connector.prices['USD EUR'] = '0.333333333333333333333'
  const made = await createQuote(world.ctx, {
    tenantId: world.tenantId,
    walletAddressId: world.alice.id,
    receiver: remoteUrl({ assetCode: 'EUR' }),
    debitAmount: usd(2n ** 64n - 1n),
    client: 'https://client.example',
  })
  const read = await getQuote(world.ctx, { tenantId: world.tenantId }, made.id)
  const { walletAddress: _made, ...madeFields } = made
  const { walletAddress: readWallet, ...readFields } = read
  assert.deepEqual(readFields, madeFields)
  assert.equal(readWallet.address, world.alice.address)
  // ceil((2^64 − 2) × 0.333333333333333333333 × 0.99), in exact fractions elsewhere
  assert.equal(read.receiveAmount.value, 6087425544324152033n)
})

test('of many that are made at once each is what it would be alone, and one that cannot be made is alone in that', async () => {
  const local = await localUrl()
  const id = deriveId('made twice')
  const make = (value: bigint, more: Partial<Parameters<typeof createQuote>[1]> = {}) =>
    createQuote(world.ctx, {
      tenantId: world.tenantId,
      walletAddressId: world.alice.id,
      receiver: local,
      debitAmount: usd(value),
      ...more,
    })
  const remote = remoteUrl({ assetCode: 'EUR' })
  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 30 }, (_, index) => make(BigInt(index + 1))),
    make(70n, { receiver: remote }),
    make(5n, { id }),
    make(6n, { id }),
  ])
  assert.deepEqual(
    outcomes
      .slice(31)
      .map(({ status }) => status)
      .sort(),
    ['fulfilled', 'rejected'],
  )
  const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  assert.equal(made.length, 32)
  const read = await Promise.all(
    made.map((quote) => getQuote(world.ctx, { tenantId: world.tenantId }, quote.id)),
  )
  assert.deepEqual(read, made)
  const ofStrangers = await Promise.all(
    made.map((quote) => findQuote(world.ctx, { tenantId: deriveId('stranger') }, quote.id)),
  )
  assert.deepEqual(new Set(ofStrangers), new Set([undefined]))
})

test('a quote ends with its lifespan, or with its receiver', async () => {
  const now = world.clock.nowMs()
  const long = await world.quote(world.alice, remoteUrl(), { debit: 50n })
  assert.equal(long.expiresAt.getTime(), now + 300_000)
  const expiresAt = new Date(now + 1_000).toISOString()
  const short = await world.quote(world.alice, remoteUrl({ expiresAt }), { debit: 50n })
  assert.equal(short.expiresAt.getTime(), now + 1_000)
})

test('amounts that cannot be are refused', async () => {
  const { alice } = world
  const open = remoteUrl()
  const wanted = remoteUrl({ incomingAmount: 500n, received: 100n })
  const both = createQuote(world.ctx, {
    tenantId: world.tenantId,
    walletAddressId: alice.id,
    receiver: open,
    debitAmount: usd(1n),
    receiveAmount: usd(1n),
  })
  await refused(both, 'invalid_amount', /only one/)
  await refused(world.quote(alice, open), 'invalid_amount', /asks for no amount/)
  await refused(world.quote(alice, open, { debit: 0n }), 'invalid_amount', /greater than zero/)
  await refused(world.quote(alice, open, { receive: usd(0n) }), 'invalid_amount', /greater than zero/)
  await refused(world.quote(alice, open, { receive: eur(5n) }), 'invalid_amount', /must be in USD/)
  const foreign = {
    tenantId: world.tenantId,
    walletAddressId: alice.id,
    receiver: open,
    debitAmount: eur(5n),
  }
  await refused(createQuote(world.ctx, foreign), 'invalid_amount', /must be in USD/)
  await refused(world.quote(alice, wanted, { receive: usd(401n) }), 'invalid_amount', /still wants/)
  await refused(world.quote(alice, wanted, { debit: 1000n }), 'invalid_amount', /still wants/)
  await refused(world.quote(alice, open, { receive: usd(2n ** 64n - 1n) }), 'invalid_amount', /too large/)
  assert.deepEqual(amounts(await world.quote(alice, wanted)), [405n, 405n, 400n])
})

test('receivers that cannot be paid are refused, in words that say why', async () => {
  const { alice, carol } = world
  const ask = (url: string) => world.quote(alice, url, { debit: 50n })
  await refused(ask(remoteUrl({ completed: true })), 'invalid_receiver', /completed/)
  await refused(ask(remoteUrl({ expiresAt: '2031-01-01T00:00:00.000Z' })), 'invalid_receiver', /expired/)
  await refused(ask(remoteUrl({ incomingAmount: 5n, received: 5n })), 'invalid_receiver', /completed/)
  await refused(ask(`https://remote.example/incoming-payments/${uuidv7()}`), 'invalid_receiver')
  await refused(ask('https://remote.example/somewhere'), 'invalid_receiver', /URL of an incoming payment/)
  const closed = await world.incoming(carol)
  await completeIncomingPayment(world.ctx, 'all', closed.id)
  await refused(ask(closed.url), 'invalid_receiver', /completed/)
  const { url } = world.remote.addPayment()
  world.remote.answer = 'unreachable'
  await refused(ask(url), 'receiver_unreachable', /cannot be reached/)
})

test('the wallet address must be there, active, and of the tenant', async () => {
  const url = remoteUrl()
  const ask = (walletAddressId: string, tenantId = world.tenantId) =>
    createQuote(world.ctx, { tenantId, walletAddressId, receiver: url, debitAmount: usd(50n) })
  await refused(ask(uuidv7()), 'unknown_wallet_address')
  await refused(ask('no id'), 'unknown_wallet_address')
  const other = await world.addTenant()
  await refused(ask(other.wallet.id), 'unknown_wallet_address')
  const ctx = { ...world.ctx, settings: { ...world.ctx.settings, walletAddressDeactivationGraceMs: 0 } }
  await updateWalletAddress(ctx, 'all', { id: other.wallet.id, status: 'INACTIVE' })
  await refused(ask(other.wallet.id, other.tenantId), 'inactive_wallet_address')
})

test('what stands in the way of the path has its own code', async () => {
  const ask = (url = remoteUrl()) => world.quote(world.alice, url, { debit: 50n })
  for (const code of ['no_route', 'probe_failed'] as const) {
    world.connector.probeRefusal = code
    await refused(ask(), code)
  }
  delete world.connector.probeRefusal
  world.connector.prices = {}
  await refused(ask(remoteUrl({ assetCode: 'EUR' })), 'rates_unavailable')
  await refused(ask((await world.incoming(world.bob)).url), 'rates_unavailable')
  world.connector.pathRate = parseRate('0.98')
  await refused(ask(), 'insufficient_exchange_rate')
  // Equal currencies need no rates service.
  world.connector.pathRate = identityRate
  assert.equal((await ask()).receiveAmount.value, 49n)
})

test('quotes are seen by their tenant only, newest first, by page', async () => {
  const tenant = await world.addTenant()
  const made: Quote[] = []
  for (let count = 0; count < 3; count++) {
    world.clock.advance(1000)
    made.push(await world.quote(tenant.wallet, remoteUrl(), { debit: 50n }))
  }
  const scope = { tenantId: tenant.tenantId }
  const ids = made.map(({ id }) => id).reverse()
  const first = await listQuotes(world.ctx, scope, { walletAddressId: [tenant.wallet.id] }, { first: 2 })
  assert.deepEqual(
    first.items.map(({ id }) => id),
    ids.slice(0, 2),
  )
  assert.equal(first.hasNextPage, true)
  const rest = await listQuotes(world.ctx, scope, {}, { first: 2, after: ids[1]! })
  assert.deepEqual(
    rest.items.map(({ id }) => id),
    ids.slice(2),
  )
  assert.equal(await findQuote(world.ctx, { tenantId: world.tenantId }, ids[0]!), undefined)
  assert.equal(await findQuote(world.ctx, scope, 'no id'), undefined)
  await refused(getQuote(world.ctx, { tenantId: world.tenantId }, ids[0]!), 'unknown_quote')
})
