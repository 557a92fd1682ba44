import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AuthenticatedClient, WalletAddress } from '@interledger/open-payments'
import { waitFor } from '../shared/testing/index.ts'
import {
  type Access,
  type Consent,
  eur,
  grantFor,
  idIn,
  openShop,
  startConsent,
  tokenOf,
  usd,
} from './testing/open-payments.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000
const inactive = { status: 403, description: 'Inactive Token' }

/** A shop at bank B with a key of its own, Alice at bank A, real authorization servers, and consent by the real page. */
describe('Open Payments between two banks', () => {
  let banks: TestBanks
  let consent: Consent
  let shop: AuthenticatedClient
  let alice: WalletAddress
  let bob: WalletAddress
  before(async () => {
    const environment = { WAIT_SECONDS: '0' }
    banks = await startTestBanks({ environments: { a: environment, b: environment } })
    consent = await startConsent()
    shop = (await openShop(banks)).client
    alice = await shop.walletAddress.get({ url: banks.side('a', 'alice').walletAddress.address })
    bob = await shop.walletAddress.get({ url: banks.side('b', 'bob').walletAddress.address })
  })
  after(async () => {
    await consent.close()
    try {
      // The wallets still withdraw what the last payments left.
      await waitFor(async () => {
        await banks.audit()
        return true
      })
    } finally {
      await banks.close()
    }
  })

  const incoming: Access = { type: 'incoming-payment', actions: ['create', 'read', 'list', 'complete'] }
  const outgoing = (limits?: object): Access => ({
    type: 'outgoing-payment',
    actions: ['create', 'read', 'list'],
    identifier: alice.id,
    ...(limits && { limits }),
  })
  const incomingToken = async ({ authServer }: WalletAddress) =>
    tokenOf(await grantFor(shop, authServer, incoming))
  const isPaid = (outgoingPayment: string) =>
    banks.journals.a.wait('outgoing_payment.completed', idIn(outgoingPayment), timeoutMs)

  it('creates, reads, lists and completes an incoming payment', async () => {
    const { authServer, resourceServer } = bob
    const accessToken = (await incomingToken(bob)).value
    const created = await shop.incomingPayment.create(
      { url: resourceServer, accessToken },
      { walletAddress: bob.id, incomingAmount: eur('500'), metadata: { order: 7 } },
    )
    const url = created.id
    assert.deepEqual(await shop.incomingPayment.getPublic({ url }), { receivedAmount: eur('0'), authServer })
    const read = await shop.incomingPayment.get({ url, accessToken })
    assert.ok('methods' in read && read.methods[0]?.ilpAddress.startsWith('test.bank-b.'))
    assert.deepEqual(read.metadata, { order: 7 })
    const list = await shop.incomingPayment.list({ url: resourceServer, walletAddress: bob.id, accessToken })
    assert.deepEqual(
      list.result.map(({ id }) => id),
      [url],
    )
    assert.equal((await shop.incomingPayment.complete({ url, accessToken })).completed, true)
    await assert.rejects(shop.incomingPayment.complete({ url, accessToken }), { status: 409 })
  })

  it('pays what was quoted, with consent; the grant knows what it has spent, until it is gone', async () => {
    const forReceiver = (await incomingToken(bob)).value
    const receiver = await shop.incomingPayment.create(
      { url: bob.resourceServer, accessToken: forReceiver },
      { walletAddress: bob.id, incomingAmount: eur('500') },
    )
    const url = alice.resourceServer
    const quoting: Access = { type: 'quote', actions: ['create', 'read'] }
    const forQuotes = tokenOf(await grantFor(shop, alice.authServer, quoting)).value
    const quote = await shop.quote.create(
      { url, accessToken: forQuotes },
      { walletAddress: alice.id, receiver: receiver.id, method: 'ilp' },
    )
    assert.deepEqual([quote.debitAmount, quote.receiveAmount], [usd('556'), eur('500')])
    assert.deepEqual(await shop.quote.get({ url: quote.id, accessToken: forQuotes }), quote)

    const limits = { debitAmount: usd('1000'), interval: 'R/2026-01-01T00:00:00Z/P1M' }
    const granted = await consent.token(shop, alice.authServer, outgoing(limits))
    assert.deepEqual(granted.access, [outgoing(limits)])
    const accessToken = granted.value
    const spent = (token = accessToken) =>
      shop.outgoingPayment.getGrantSpentAmounts({ url, accessToken: token })
    assert.deepEqual(await spent(), { spentDebitAmount: null, spentReceiveAmount: null })
    const payment = await shop.outgoingPayment.create(
      { url, accessToken },
      { walletAddress: alice.id, quoteId: quote.id, metadata: { note: 'thanks' } },
    )
    assert.deepEqual(
      [payment.grantSpentDebitAmount, payment.grantSpentReceiveAmount],
      [usd('0'), eur('0')],
      'before this payment',
    )
    await isPaid(payment.id)
    await banks.journals.b.wait('incoming_payment.completed', idIn(receiver.id), timeoutMs)
    const paid = await shop.outgoingPayment.get({ url: payment.id, accessToken })
    assert.deepEqual([paid.failed, paid.sentAmount, paid.metadata], [false, usd('550'), { note: 'thanks' }])
    const list = await shop.outgoingPayment.list({ url, walletAddress: alice.id, accessToken })
    assert.deepEqual(list.result, [paid])
    const received = await shop.incomingPayment.get({ url: receiver.id, accessToken: forReceiver })
    assert.ok('completed' in received && received.completed)
    assert.deepEqual(received.receivedAmount, eur('500'))

    const afterwards = { spentDebitAmount: usd('556'), spentReceiveAmount: eur('500') }
    assert.deepEqual(await spent(), afterwards)
    const { access_token: rotated } = await shop.token.rotate({ url: granted.manage, accessToken })
    assert.deepEqual(rotated.access, granted.access)
    await assert.rejects(spent(), inactive)
    assert.deepEqual(await spent(rotated.value), afterwards, 'rotation keeps what was spent')
    await shop.token.revoke({ url: rotated.manage, accessToken: rotated.value })
    await assert.rejects(spent(rotated.value), inactive)
    const cancelling = { url: granted.continue.uri, accessToken: granted.continue.access_token.value }
    await shop.grant.cancel(cancelling)
    await assert.rejects(shop.grant.cancel(cancelling), { status: 401, code: 'invalid_continuation' })
  })

  it('pays without a quote: an amount, to an incoming payment', async () => {
    const receiver = await shop.incomingPayment.create(
      { url: bob.resourceServer, accessToken: (await incomingToken(bob)).value },
      { walletAddress: bob.id },
    )
    const url = alice.resourceServer
    const { value: accessToken } = await consent.token(
      shop,
      alice.authServer,
      outgoing({ receiver: receiver.id }),
    )
    const payment = await shop.outgoingPayment.create(
      { url, accessToken },
      { walletAddress: alice.id, incomingPayment: receiver.id, debitAmount: usd('100') },
    )
    assert.deepEqual([payment.debitAmount, payment.receiver], [usd('100'), receiver.id])
    await isPaid(payment.id)
    const paid = await shop.outgoingPayment.get({ url: payment.id, accessToken })
    const received = await shop.incomingPayment.getPublic({ url: receiver.id })
    assert.equal(paid.failed, false)
    assert.deepEqual(received.receivedAmount, paid.receiveAmount)
  })

  it('a cancelled grant takes its token along', async () => {
    const granted = await consent.token(shop, alice.authServer, outgoing({ debitAmount: usd('100') }))
    await shop.grant.cancel({
      url: granted.continue.uri,
      accessToken: granted.continue.access_token.value,
    })
    const url = alice.resourceServer
    await assert.rejects(
      shop.outgoingPayment.getGrantSpentAmounts({ url, accessToken: granted.value }),
      inactive,
    )
    await assert.rejects(
      shop.token.rotate({ url: granted.manage, accessToken: granted.value }),
      { status: 401 },
      'and there is no way back',
    )
  })

  it('refuses tokens that were rotated, revoked, or are of the other bank', async () => {
    const create = (accessToken: string) =>
      shop.incomingPayment.create({ url: bob.resourceServer, accessToken }, { walletAddress: bob.id })
    const first = await incomingToken(bob)
    await create(first.value)
    const rotated = (await shop.token.rotate({ url: first.manage, accessToken: first.value })).access_token
    await assert.rejects(create(first.value), inactive)
    await create(rotated.value)
    await shop.token.revoke({ url: rotated.manage, accessToken: rotated.value })
    await assert.rejects(create(rotated.value), inactive)
    await assert.rejects(create((await incomingToken(alice)).value), inactive)
  })
})
