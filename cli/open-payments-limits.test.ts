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
const refused = { status: 403 }
const HOUR_MS = 3_600_000

/** What a person agreed to is what is paid, and no more: between two banks, with consent by the real page. */
describe('limits of a grant', () => {
  let banks: TestBanks
  let consent: Consent
  let shop: AuthenticatedClient
  let alice: WalletAddress
  let amara: WalletAddress
  let bob: WalletAddress
  let forReceivers: string
  before(async () => {
    const environment = { WAIT_SECONDS: '0' }
    banks = await startTestBanks({ environments: { a: environment, b: environment } })
    consent = await startConsent()
    shop = (await openShop(banks)).client
    alice = await shop.walletAddress.get({ url: banks.side('a', 'alice').walletAddress.address })
    amara = await shop.walletAddress.get({ url: banks.side('a', 'amara').walletAddress.address })
    bob = await shop.walletAddress.get({ url: banks.side('b', 'bob').walletAddress.address })
    const incoming: Access = { type: 'incoming-payment', actions: ['create', 'read'] }
    forReceivers = tokenOf(await grantFor(shop, bob.authServer, incoming)).value
  })
  after(async () => {
    await consent.close()
    try {
      await waitFor(async () => {
        await banks.audit()
        return true
      })
    } finally {
      await banks.close()
    }
  })

  const receiver = async (value?: string): Promise<string> => {
    const { id } = await shop.incomingPayment.create(
      { url: bob.resourceServer, accessToken: forReceivers },
      { walletAddress: bob.id, ...(value !== undefined && { incomingAmount: eur(value) }) },
    )
    return id
  }
  const granted = async (limits?: object, identifier = alice.id) => {
    const access = {
      type: 'outgoing-payment',
      actions: ['create', 'read'],
      identifier,
      ...(limits && { limits }),
    }
    return (await consent.token(shop, alice.authServer, access as Access)).value
  }
  const url = () => alice.resourceServer
  /** Two cents are the least of which something arrives. */
  const pay = async (accessToken: string, value: string, to?: string, walletAddress = alice.id) =>
    shop.outgoingPayment.create(
      { url: url(), accessToken },
      { walletAddress, incomingPayment: to ?? (await receiver()), debitAmount: usd(value) },
    )
  const spentBy = (accessToken: string) =>
    shop.outgoingPayment.getGrantSpentAmounts({ url: url(), accessToken })
  const debitSpent = async (accessToken: string) => (await spentBy(accessToken)).spentDebitAmount
  const ended = (id: string, type = 'outgoing_payment.completed') =>
    banks.journals.a.wait(type, idIn(id), timeoutMs)
  /** Starts so long ago, in hours, and lasts one. */
  const hour = (hoursAgo: number) =>
    `${new Date(Date.now() - hoursAgo * HOUR_MS).toISOString().replace(/\.\d+Z$/, 'Z')}/PT1H`

  it('in total: all of it, and not a cent more', async () => {
    const token = await granted({ debitAmount: usd('300') })
    await assert.rejects(pay(token, '301'), refused)
    assert.equal((await spentBy(token)).spentDebitAmount, null, 'what was refused is not spent')
    await pay(token, '200')
    await assert.rejects(pay(token, '102'), refused)
    const last = await pay(token, '100')
    assert.deepEqual(last.grantSpentDebitAmount, usd('200'))
    await assert.rejects(pay(token, '2'), refused)
    assert.deepEqual(await debitSpent(token), usd('300'))
    await ended(last.id)
    assert.deepEqual(await debitSpent(token), usd('300'))
  })

  it('at the same time: eight ask for all of it, one has it', async () => {
    const token = await granted({ debitAmount: usd('300') })
    const receivers = await Promise.all(Array.from({ length: 8 }, () => receiver()))
    const results = await Promise.allSettled(receivers.map((to) => pay(token, '300', to)))
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.status] : []))
    assert.deepEqual(reasons, Array(7).fill(403))
    assert.deepEqual(await debitSpent(token), usd('300'))
  })

  it('by what arrives', async () => {
    const token = await granted({ receiveAmount: eur('500') })
    const forQuotes = tokenOf(
      await grantFor(shop, alice.authServer, { type: 'quote', actions: ['create'] }),
    ).value
    const quoted = async (value: string) =>
      shop.quote.create(
        { url: url(), accessToken: forQuotes },
        { walletAddress: alice.id, receiver: await receiver(value), method: 'ilp' },
      )
    const payQuote = (quoteId: string) =>
      shop.outgoingPayment.create({ url: url(), accessToken: token }, { walletAddress: alice.id, quoteId })
    await assert.rejects(payQuote((await quoted('501')).id), refused)
    const { id } = await payQuote((await quoted('400')).id)
    await assert.rejects(payQuote((await quoted('101')).id), refused)
    await payQuote((await quoted('100')).id)
    assert.deepEqual((await spentBy(token)).spentReceiveAmount, eur('500'))
    await ended(id)
  })

  it('to one receiver, from one account, in its currency', async () => {
    const to = await receiver()
    const token = await granted({ receiver: to, debitAmount: usd('300') })
    await assert.rejects(pay(token, '100'), refused)
    // The token says nothing about other accounts of this bank.
    await assert.rejects(pay(token, '100', to, amara.id), refused)
    await ended((await pay(token, '100', to)).id)
    const inEuros = await granted({ debitAmount: eur('300') })
    await assert.rejects(pay(inEuros, '100'), refused)
  })

  it('in each interval anew, and never outside of one', async () => {
    const within = await granted({ debitAmount: usd('300'), interval: `R5/${hour(2.5)}` })
    await pay(within, '300')
    await assert.rejects(pay(within, '2'), refused)
    assert.deepEqual(await debitSpent(within), usd('300'))
    for (const interval of [`R1/${hour(2.5)}`, `R/${hour(-1)}`, `R0/${hour(1.5)}`]) {
      const outside = await granted({ debitAmount: usd('300'), interval })
      await assert.rejects(pay(outside, '2'), refused, interval)
      assert.deepEqual(await spentBy(outside), { spentDebitAmount: null, spentReceiveAmount: null })
    }
  })

  it('what was not sent can be spent again', async () => {
    const token = await granted({ debitAmount: usd('300') })
    const resume = banks.a.wallet.holdDeposits()
    try {
      const { id } = await pay(token, '300')
      await assert.rejects(pay(token, '2'), refused)
      await banks.a.admin.graphql(
        'mutation Cancel($input: CancelOutgoingPaymentInput!) { cancelOutgoingPayment(input: $input) { payment { state } } }',
        { input: { id: idIn(id), reason: 'changed my mind' } },
      )
    } finally {
      resume()
    }
    await ended((await pay(token, '300')).id)
    assert.deepEqual(await debitSpent(token), usd('300'))
    await assert.rejects(pay(token, '2'), refused)
  })

  it('without limits there are none, and what is spent is counted all the same', async () => {
    const token = await granted()
    await pay(token, '500')
    await pay(token, '600')
    assert.deepEqual(await debitSpent(token), usd('1100'))
  })

  it('limits that nobody could enforce are refused at once', async () => {
    for (const limits of [
      { debitAmount: usd('1'), receiveAmount: eur('1') },
      { debitAmount: usd('1'), interval: 'R/2026-02-30T00:00:00Z/P1M' },
      { debitAmount: usd('1'), interval: 'every month' },
      { weekly: usd('1') },
    ]) {
      const access = { type: 'outgoing-payment', actions: ['create'], identifier: alice.id, limits } as Access
      await assert.rejects(consent.ask(shop, alice.authServer, { access: [access] }), JSON.stringify(limits))
    }
  })
})
