import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { AuthenticatedClient, WalletAddress } from '@interledger/open-payments'
import { createFormBrowser, titleOf } from '../examples/form-browser.ts'
import {
  type Access,
  type Asked,
  type Consent,
  continued,
  grantFor,
  openShop,
  patience,
  referenceIn,
  startConsent,
  tokenOf,
  usd,
} from './testing/open-payments.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

/** Long enough for a slow machine to ask twice in it. */
const waitSeconds = 2

/** Everything between a client's question and a person's answer, by plain HTTP: authorization server, consent page, and back. */
describe('consent in the browser', { concurrency: true }, () => {
  let banks: TestBanks
  let consent: Consent
  let shop: AuthenticatedClient
  let shopAddress: string
  let alice: WalletAddress
  before(async () => {
    banks = await startTestBanks({ environments: { a: { WAIT_SECONDS: String(waitSeconds) } } })
    consent = await startConsent()
    const opened = await openShop(banks)
    shop = opened.client
    shopAddress = opened.address
    alice = await shop.walletAddress.get({ url: banks.side('a', 'alice').walletAddress.address })
  })
  after(async () => {
    await consent.close()
    await banks.close()
  })

  const outgoing = (limits: object = { debitAmount: usd('1000') }): Access => ({
    type: 'outgoing-payment',
    actions: ['create', 'read'],
    identifier: alice.id,
    limits,
  })
  const subjectOf = (id: string) => ({ sub_ids: [{ id, format: 'uri' as const }] })
  const proceed = ({ grant }: Asked, reference?: string) => {
    const { uri: url, access_token: accessToken } = grant.continue
    const body = reference === undefined ? undefined : { interact_ref: reference }
    return shop.grant.continue({ url, accessToken: accessToken.value }, body)
  }
  const ask = (wants: Parameters<Consent['ask']>[2] = { access: [outgoing()] }) =>
    consent.ask(shop, alice.authServer, wants)

  it('shows who asks for what, whatever the address says', async () => {
    const asked = await ask({
      access: [outgoing({ debitAmount: usd('1000'), interval: 'R/2026-01-01T00:00:00Z/P1M' })],
    })
    const spoofed = new URL(asked.grant.interact.redirect)
    spoofed.searchParams.set('clientName', 'Your Bank')
    spoofed.searchParams.set('clientUri', 'https://evil.example')
    const page = await createFormBrowser().visit(spoofed.href)
    const words = page.text.replace(/<style>[^<]*<\/style>|<[^>]*>/g, '').replace(/\s+/g, ' ')
    assert.match(words, /Bank A The shop asks for your consent/)
    assert.ok(words.includes(`It is known to us as ${shopAddress}`), words)
    assert.ok(
      words.includes(`Pay up to 10.00 USD every month from ${alice.id}, beginning 1 January 2026 (UTC)`),
      words,
    )
    assert.ok(!page.text.includes('Your Bank') && !page.text.includes('evil.example'))
  })

  it('trap 9: accepted, with a finish: the hash is right, and the reference is good once', async () => {
    const asked = await ask()
    const page = await consent.decide(asked, 'accept')
    const { searchParams } = new URL(page.url)
    assert.equal(searchParams.get('order'), '7', 'the query that the client has there stays')
    const reference = referenceIn(page, asked)
    await patience(asked)
    await assert.rejects(proceed(asked, `${reference}0`), { status: 404, code: 'invalid_continuation' })
    const token = tokenOf(await proceed(asked, reference))
    assert.deepEqual(token.access, [outgoing()])
    await patience({ ...asked, continueFrom: Date.now() + waitSeconds * 1000 })
    await assert.rejects(proceed(asked, reference), { status: 401, code: 'request_denied' })
  })

  it('accepted, without a finish: the client polls, and is told to wait', async () => {
    const askAndProceed = async () => {
      const asked = await ask({ access: [outgoing()], withoutFinish: true })
      return { asked, early: await proceed(asked).catch((error: unknown) => error) }
    }
    let { asked, early } = await askAndProceed()
    // Where the machine stood still for as long as the client has to wait, nothing was too fast: another grant is asked for.
    for (let attempt = 1; !(early instanceof Error) && attempt < 5; attempt++)
      ({ asked, early } = await askAndProceed())
    await assert.rejects(Promise.reject(early), { status: 400, code: 'too_fast' })
    await patience(asked)
    const pending = await proceed(asked)
    assert.ok(!('access_token' in pending))
    const from = Date.now() + (pending.continue.wait ?? 0) * 1000
    assert.equal((await consent.decide(asked, 'accept')).status, 202)
    await patience({ ...asked, continueFrom: from })
    assert.deepEqual(tokenOf(await proceed(asked)).access, [outgoing()])
  })

  it('a client that gave a finish cannot poll', async () => {
    const asked = await ask()
    await consent.decide(asked, 'accept')
    await patience(asked)
    await assert.rejects(proceed(asked), { status: 401, code: 'request_denied' })
  })

  it('rejected: the client is told, and gets nothing', async () => {
    const asked = await ask()
    const browser = createFormBrowser()
    const page = await consent.decide(asked, 'reject', browser)
    assert.deepEqual(Object.fromEntries(new URL(page.url).searchParams), {
      order: '7',
      result: 'grant_rejected',
    })
    await patience(asked)
    await assert.rejects(proceed(asked, crypto.randomUUID()), { status: 404 })
    // The link again: the person is sent back, and no second opinion is asked for.
    const again = await browser.visit(asked.grant.interact.redirect)
    assert.equal(new URL(again.url).searchParams.get('result'), 'invalid_interaction')

    const polling = await ask({ access: [outgoing()], withoutFinish: true })
    assert.equal((await consent.decide(polling, 'reject')).status, 202)
    await patience(polling)
    await assert.rejects(proceed(polling), { status: 401, code: 'request_denied' })
  })

  it('who somebody is: with an access token or alone', async () => {
    const both = await ask({ access: [outgoing()], subject: subjectOf(alice.id) })
    const page = await createFormBrowser().visit(both.grant.interact.redirect)
    assert.match(page.text, /Know <strong>who you are<\/strong>/)
    const answer = await consent.decide(both, 'accept')
    await patience(both)
    const granted = await proceed(both, referenceIn(answer, both))
    assert.ok('subject' in granted && 'access_token' in granted)
    assert.deepEqual(granted.subject, subjectOf(alice.id))

    const alone = await ask({ subject: subjectOf(alice.id) })
    const back = await consent.decide(alone, 'accept')
    await patience(alone)
    const known = await proceed(alone, referenceIn(back, alone))
    assert.ok('subject' in known && !('access_token' in known))
    assert.deepEqual(known.subject, subjectOf(alice.id))
  })

  it('an account at another bank cannot be agreed to', async () => {
    const bob = banks.side('b', 'bob').walletAddress.address
    const asked = await ask({ subject: subjectOf(bob) })
    const browser = createFormBrowser()
    const page = await browser.visit(asked.grant.interact.redirect)
    assert.match(page.text, /is no account at this bank/)
    const refused = await browser.press(page, 'reject', { choice: 'accept' })
    assert.equal(refused.status, 403, titleOf(refused))
  })

  it('only the browser that decided brings the answer back', async () => {
    const asked = await ask()
    const mine = createFormBrowser()
    const page = await mine.visit(asked.grant.interact.redirect)
    const other = createFormBrowser()
    await other.visit(asked.grant.interact.redirect)
    assert.equal((await other.press(page, 'accept')).status, 403, 'the form of one browser in another')
    const finished = await mine.press(page, 'accept')
    const finish = finished.via.find((url) => url.endsWith('/finish')) ?? ''
    assert.equal((await createFormBrowser().visit(finish)).status, 401)
    // Coming back again changes nothing.
    assert.equal((await mine.visit(finish)).url, finished.url)
    await continued(shop, asked, finished)
    assert.equal((await mine.visit(finish)).url, finished.url)
    await patience({ ...asked, continueFrom: Date.now() + waitSeconds * 1000 })
    await assert.rejects(proceed(asked, referenceIn(finished, asked)), { status: 401 })
  })

  it('withdrawn while the person looks at it', async () => {
    const asked = await ask()
    const browser = createFormBrowser()
    const page = await browser.visit(asked.grant.interact.redirect)
    const { uri: url, access_token: accessToken } = asked.grant.continue
    await shop.grant.cancel({ url, accessToken: accessToken.value })
    const late = await browser.press(page, 'accept')
    assert.equal(late.status, 410, titleOf(late))
    await assert.rejects(proceed(asked), { status: 401, code: 'invalid_continuation' })
  })

  it('what needs no consent asks for none', async () => {
    const grant = await grantFor(shop, alice.authServer, { type: 'quote', actions: ['create'] })
    assert.deepEqual(tokenOf(grant).access, [{ type: 'quote', actions: ['create'] }])
  })
})
