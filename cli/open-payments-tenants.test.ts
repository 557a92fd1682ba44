import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AuthenticatedClient, WalletAddress } from '@interledger/open-payments'
import { createFormBrowser, titleOf } from '../examples/form-browser.ts'
import {
  type Access,
  type Consent,
  continued,
  grantFor,
  idIn,
  openShop,
  referenceIn,
  startConsent,
  tokenOf,
  usd,
} from './testing/open-payments.ts'
import { startTestTenant, type TestTenant } from './testing/tenants.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 15_000
const incoming: Access = { type: 'incoming-payment', actions: ['create', 'read', 'list', 'complete'] }

/** Two account servicing entities on one node: each has its customers, its consent page and its tokens. */
describe('two tenants of one bank', () => {
  let banks: TestBanks
  let consent: Consent
  let shop: AuthenticatedClient
  let tenant: TestTenant
  /** Of the operator, and of the other tenant. */
  let alice: WalletAddress
  let tariq: WalletAddress
  let tumaini: WalletAddress
  before(async () => {
    const environment = { WAIT_SECONDS: '0' }
    banks = await startTestBanks({ environments: { a: environment, b: environment } })
    consent = await startConsent()
    tenant = await startTestTenant(banks.a, {
      name: 'credit-union',
      customers: ['tariq', 'tumaini'],
    })
    shop = (await openShop(banks)).client
    const get = (url = '') => shop.walletAddress.get({ url })
    alice = await get(banks.side('a', 'alice').walletAddress.address)
    tariq = await get(tenant.addresses.tariq)
    tumaini = await get(tenant.addresses.tumaini)
  })
  after(async () => {
    await consent.close()
    await tenant.close()
    await banks.close()
  })

  const outgoing = (identifier: string): Access => ({
    type: 'outgoing-payment',
    actions: ['create', 'read', 'list'],
    identifier,
    limits: { debitAmount: usd('1000') },
  })
  const incomingToken = async ({ authServer }: WalletAddress) =>
    tokenOf(await grantFor(shop, authServer, incoming)).value
  const createAt = ({ resourceServer, id }: WalletAddress, accessToken: string) =>
    shop.incomingPayment.create({ url: resourceServer, accessToken }, { walletAddress: id })

  it('each has servers of its own', () => {
    assert.ok(tariq.authServer.endsWith(`/${tenant.id}`) && tariq.resourceServer.endsWith(`/${tenant.id}`))
    assert.notEqual(tariq.authServer, alice.authServer)
  })

  it('pays between customers of one tenant, with consent on that tenant’s own page', async () => {
    const forReceiver = await incomingToken(tumaini)
    const receiver = await createAt(tumaini, forReceiver)
    const asked = await consent.ask(shop, tariq.authServer, { access: [outgoing(tariq.id)] })
    const page = await createFormBrowser().visit(asked.grant.interact.redirect)
    assert.equal(new URL(page.url).port, String(tenant.wallet.port))
    assert.match(page.text, /<p class="bank">credit-union<\/p>/)
    // The hash is made with the tenant's own grant endpoint.
    const { value: accessToken } = await continued(shop, asked, await consent.decide(asked, 'accept'))
    const payment = await shop.outgoingPayment.create(
      { url: tariq.resourceServer, accessToken },
      { walletAddress: tariq.id, incomingPayment: receiver.id, debitAmount: usd('500') },
    )
    await tenant.journal.wait('outgoing_payment.completed', idIn(payment.id), timeoutMs)
    const { receivedAmount } = await shop.incomingPayment.getPublic({ url: receiver.id })
    assert.deepEqual(receivedAmount, usd('500'))
    assert.deepEqual(
      await shop.outgoingPayment.getGrantSpentAmounts({ url: tariq.resourceServer, accessToken }),
      { spentDebitAmount: usd('500'), spentReceiveAmount: usd('500') },
    )
  })

  it('a token of one is refused at the other, in both directions and on every route', async () => {
    const tokens = {
      operator: { incoming: await incomingToken(alice), outgoing: '' },
      tenant: { incoming: await incomingToken(tariq), outgoing: '' },
    }
    tokens.operator.outgoing = (await consent.token(shop, alice.authServer, outgoing(alice.id))).value
    tokens.tenant.outgoing = (await consent.token(shop, tariq.authServer, outgoing(tariq.id))).value
    const payments = {
      operator: (await createAt(alice, tokens.operator.incoming)).id,
      tenant: (await createAt(tariq, tokens.tenant.incoming)).id,
    }
    const refused = { status: 403, description: 'Insufficient Grant' }
    for (const [own, foreign, address, others] of [
      [tokens.operator, tokens.tenant, alice, payments.operator],
      [tokens.tenant, tokens.operator, tariq, payments.tenant],
    ] as const) {
      const url = address.resourceServer
      const calls = (token: { incoming: string; outgoing: string }) => [
        () => createAt(address, token.incoming),
        () => shop.incomingPayment.get({ url: others, accessToken: token.incoming }),
        () => shop.incomingPayment.list({ url, walletAddress: address.id, accessToken: token.incoming }),
        () => shop.outgoingPayment.list({ url, walletAddress: address.id, accessToken: token.outgoing }),
        () => shop.outgoingPayment.getGrantSpentAmounts({ url, accessToken: token.outgoing }),
        () => shop.incomingPayment.complete({ url: others, accessToken: token.incoming }),
      ]
      for (const call of calls(foreign)) await assert.rejects(call, refused)
      for (const call of calls(own)) await call()
    }
  })

  it('a grant of one names no account of the other to agree to', async () => {
    for (const [asker, named] of [
      [tariq, alice],
      [alice, tariq],
    ] as const) {
      const asked = await consent.ask(shop, asker.authServer, { access: [outgoing(named.id)] })
      const browser = createFormBrowser()
      const page = await browser.visit(asked.grant.interact.redirect)
      assert.match(page.text, /is no account at this bank/)
      const forced = await browser.press(page, 'reject', { choice: 'accept' })
      assert.equal(forced.status, 403, titleOf(forced))
    }
  })

  it('an interaction of one is none of the other’s business', async () => {
    const asked = await consent.ask(shop, tariq.authServer, { access: [outgoing(tariq.id)] })
    const browser = createFormBrowser()
    const page = await browser.visit(asked.grant.interact.redirect)
    const elsewhere = new URL(page.url)
    elsewhere.port = String(banks.a.settings.ports.wallet)
    // The operator's wallet asks with the operator's secret.
    const other = await browser.visit(elsewhere.href)
    assert.equal(other.status, 404, titleOf(other))
    referenceIn(await consent.decide(asked, 'accept'), asked)
  })
})
