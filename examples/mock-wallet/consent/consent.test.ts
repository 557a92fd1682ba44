import assert from 'node:assert/strict'
import { hash, randomUUID } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import { silentLogger } from '../../../shared/platform/index.ts'
import { startTestHttpServer, type TestHttpServer } from '../../../shared/testing/index.ts'
import { createFormBrowser, type FormBrowser, type Page } from '../../form-browser.ts'
import { type ConsentOptions, startMockWallet } from '../index.ts'
import { describeGrant, UnknownAccess } from './grant-words.ts'
import { toText } from './html.ts'
import type { RequestedAccess, RequestedGrant } from './identity-provider.ts'

const tenant = randomUUID()
const alice = 'https://localhost:4000/alice'
const bahati = 'https://localhost:4000/bahati'
const shop = { name: 'Corner Shop', uri: 'https://localhost:4100/shop' }
const idpSecret = 'secret of the identity provider'
const usd = (value: string) => ({ value, assetCode: 'USD', assetScale: 2 })
const toClose: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
})

interface World {
  /** What the authorization server knows about the interaction; `undefined`: nothing. */
  grant: RequestedGrant | undefined
  isExpired: boolean
  isDown: boolean
  /** Somebody else decides in the very moment. */
  isOvertaken: boolean
  decisions: string[]
  url: string
  walletUrl: string
  auth: TestHttpServer
  nonce: string
  interactId: string
}

const outgoing = (more: object = {}): RequestedAccess => ({
  type: 'outgoing-payment',
  actions: ['create', 'read'],
  identifier: alice,
  limits: { debitAmount: usd('1000') },
  ...more,
})

/** A wallet with its consent page, in front of an authorization server that does as the contract says. */
async function setUp(
  change: Partial<RequestedGrant> = {},
  options: Partial<ConsentOptions> = {},
): Promise<World> {
  const [interactId, nonce] = [randomUUID(), 'ab12CD34']
  const world: Omit<World, 'url' | 'walletUrl' | 'auth'> = {
    grant: { grantId: randomUUID(), state: 'PENDING', client: shop, access: [outgoing()], ...change },
    isExpired: false,
    isDown: false,
    isOvertaken: false,
    decisions: [],
    nonce,
    interactId,
  }
  const json = (status: number, body: object) => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const refusal = (status: number, code: string) => json(status, { error: { code, description: code } })
  const idp = await startTestHttpServer(({ method, path, headers }) => {
    if (world.isDown) return { status: 500 }
    if (headers['x-idp-secret'] !== idpSecret) return refusal(401, 'invalid_request')
    const [, grant, id, given, choice] = path.split('/')
    if (grant !== 'grant' || id !== interactId || given !== nonce || !world.grant)
      return refusal(404, 'unknown_interaction')
    if (method === 'GET') return json(200, world.grant)
    if (world.isOvertaken) world.grant = { ...world.grant, state: 'DENIED' }
    if (world.grant.state !== 'PENDING' || world.isExpired) return refusal(400, 'invalid_interaction')
    assert.ok(method === 'POST' && (choice === 'accept' || choice === 'reject'))
    world.decisions.push(choice)
    world.grant = { ...world.grant, state: choice === 'accept' ? 'APPROVED' : 'DENIED' }
    return { status: 202 }
  })
  const auth = await startTestHttpServer(({ path }) =>
    path.endsWith('/finish') ? { body: '<title>Finished</title>' } : { status: 404 },
  )
  // Two pages of accounts, as the Admin API gives them to whoever asks for one tenant's.
  const admin = await startTestHttpServer(({ body }) => {
    const { after, tenantId } = (JSON.parse(body) as { variables: Record<string, string | null> }).variables
    const pageOf = (address: string, hasNextPage: boolean) => ({
      edges: [{ node: { address } }],
      pageInfo: { hasNextPage, endCursor: address },
    })
    assert.equal(tenantId, tenant)
    const page = after === bahati ? pageOf(alice, false) : pageOf(bahati, true)
    return json(200, { data: { walletAddresses: page } })
  })
  const wallet = await startMockWallet({
    port: 0,
    webhookSecret: 'webhook secret',
    adminUrl: admin.url,
    tenantId: tenant,
    adminSecret: 'admin secret',
    rates: {},
    log: silentLogger,
    consent: { bankName: 'Bank A', interactionUrl: idp.url, idpSecret, authServerUrl: auth.url, ...options },
  })
  toClose.push(idp, auth, admin, wallet)
  const walletUrl = `http://localhost:${wallet.port}`
  const query = new URLSearchParams({
    interactId,
    nonce,
    clientName: 'Your Bank',
    clientUri: 'https://evil.example',
  })
  return Object.assign(world, { auth, walletUrl, url: `${walletUrl}/consent?${query}` })
}

/** What a person reads, without the markup. */
const wordsOf = (page: Page): string =>
  page.text
    .replace(/<style>[^<]*<\/style>/, '')
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .trim()

const styleOf = (text: string): string => /<style>([^<]*)<\/style>/.exec(text)?.[1] ?? ''

const open = async (world: World): Promise<{ browser: FormBrowser; page: Page }> => {
  const browser = createFormBrowser()
  return { browser, page: await browser.visit(world.url) }
}

describe('the consent page', () => {
  test('says who asks, and for what, as the grant says and not as the address says', async () => {
    const world = await setUp()
    const { page } = await open(world)
    assert.equal(page.status, 200)
    const words = wordsOf(page)
    assert.match(
      words,
      /Corner Shop asks for your consent It is known to us as https:\/\/localhost:4100\/shop/,
    )
    assert.match(words, /Pay up to 10\.00 USD in total from https:\/\/localhost:4000\/alice See the payments/)
    assert.ok(!/you are then sent/.test(words), 'the client asks by itself')
    assert.ok(!page.text.includes('Your Bank') && !page.text.includes('evil.example'))
  })

  test('says which site the customer is sent to, and that it is sent nowhere else', async () => {
    const uri = `https://sh\u00f6p.example:8443/${'a/'.repeat(500)}?next=https://localhost:4100`
    const world = await setUp({ finish: { uri } })
    const { browser, page } = await open(world)
    assert.match(wordsOf(page), /you are then sent to https:\/\/xn--shp-tna\.example:8443 Reject/)
    const shown = world.grant
    assert.ok(shown)
    world.grant = { ...shown, finish: { uri: 'https://elsewhere.example/' } }
    assert.equal((await browser.press(page, 'accept')).status, 403)
    for (const strange of ['javascript:alert(1)', 'shop', ''])
      assert.equal((await open(await setUp({ finish: { uri: strange } }))).page.status, 422, strange)
  })

  for (const [choice, state] of [
    ['accept', 'APPROVED'],
    ['reject', 'DENIED'],
  ] as const)
    test(`${choice}: decides once, then leads to where the authorization server finishes`, async () => {
      const world = await setUp()
      const { browser, page } = await open(world)
      const finished = await browser.press(page, choice)
      assert.equal(finished.url, `${world.auth.url}/interact/${world.interactId}/${world.nonce}/finish`)
      assert.equal(world.grant?.state, state)
      const again = await browser.visit(world.url)
      assert.deepEqual([again.status, /already decided/.test(wordsOf(again))], [409, true])
      assert.equal((await browser.press(page, choice)).status, 403)
      assert.deepEqual(world.decisions, [choice])
    })

  test('a form is good for one view, in one browser, of one request', async () => {
    const world = await setUp()
    const { browser, page } = await open(world)
    const other = await open(world)
    const refused: [string, Promise<Page>][] = [
      ['no cookie', createFormBrowser().press(page, 'accept')],
      ['the cookie of another browser', other.browser.press(page, 'accept')],
      ['no token', browser.press(page, 'accept', { csrf: '' })],
      ['another token', browser.press(page, 'accept', { csrf: 'A'.repeat(43) })],
      ['no choice', browser.press(page, 'accept', { choice: 'both' })],
    ]
    for (const [what, answer] of refused) {
      const { status, text } = await answer
      assert.deepEqual([what, status, /out of date/.test(text)], [what, 403, true])
    }
    assert.equal((await browser.press(page, 'accept', { nonce: 'other' })).status, 404)
    // Opened again: the first page is out of date, the second is good.
    const second = await browser.visit(world.url)
    assert.equal((await browser.press(page, 'accept')).status, 403)
    // What is agreed to is what was shown.
    const shown = world.grant
    assert.ok(shown)
    world.grant = { ...shown, access: [outgoing({ limits: { debitAmount: usd('1001') } })] }
    assert.equal((await browser.press(second, 'accept')).status, 403)
    assert.deepEqual(world.decisions, [])
    world.grant = shown
    await browser.press(second, 'accept')
    assert.deepEqual(world.decisions, ['accept'])
  })

  test('no other page can frame it, script it, or read it from a cache; the cookie stays here', async () => {
    const world = await setUp()
    const { page } = await open(world)
    const unknown = await createFormBrowser().visit(`${world.walletUrl}/consent`)
    for (const { headers, text } of [page, unknown]) {
      const policy = headers.get('content-security-policy') ?? ''
      assert.match(
        policy,
        /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; frame-ancestors 'none'$/,
      )
      assert.ok(policy.includes(`'sha256-${hash('sha256', styleOf(text), 'base64')}'`))
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.get('referrer-policy'), 'no-referrer')
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
      assert.equal(headers.get('x-frame-options'), 'DENY')
      assert.equal(headers.get('content-type'), 'text/html; charset=utf-8')
    }
    assert.match(
      page.headers.getSetCookie()[0] ?? '',
      /; Max-Age=600; Path=\/consent; HttpOnly; SameSite=Strict$/,
    )
  })

  test('markup in what a client says is text', async () => {
    const evil = '"><script>alert(1)</script><b x=\''
    const world = await setUp({
      client: { name: `${evil}\u202Eknab`, uri: `https://evil.example/${evil}` },
      access: [outgoing({ identifier: `https://evil.example/${evil}` })],
      subject: { sub_ids: [{ id: evil, format: 'uri' }] },
    })
    const { page } = await open(world)
    assert.equal(page.status, 200)
    assert.ok(!page.text.includes('<script') && !page.text.includes('<b x') && !page.text.includes('\u202E'))
    assert.equal(page.text.match(/&lt;script&gt;/g)?.length, 7)
  })

  test('accounts that are elsewhere, and requests without words, cannot be accepted', async () => {
    const world = await setUp({ access: [outgoing({ identifier: 'https://other.example/eve' })] })
    const { browser, page } = await open(world)
    assert.match(wordsOf(page), /https:\/\/other\.example\/eve is no account at this bank/)
    assert.ok(!page.text.includes('value="accept"'))
    assert.equal((await browser.press(page, 'reject', { choice: 'accept' })).status, 403)
    await browser.press(page, 'reject')
    assert.deepEqual(world.decisions, ['reject'])
    const strange = await setUp({ access: [outgoing({ limits: { weekly: usd('1') } })] })
    assert.equal((await open(strange)).page.status, 422)
  })

  test('says what is the matter', async () => {
    const world = await setUp()
    const { browser, page } = await open(world)
    world.isExpired = true
    const tooLate = await browser.press(page, 'accept')
    assert.deepEqual([tooLate.status, /no longer open/.test(wordsOf(tooLate))], [410, true])
    assert.ok(
      tooLate.text.includes(`href="${world.auth.url}/interact/${world.interactId}/${world.nonce}/finish"`),
    )
    Object.assign(world, { isExpired: false, isOvertaken: true })
    assert.equal((await browser.press(page, 'accept')).status, 409)
    world.isDown = true
    assert.equal((await browser.visit(world.url)).status, 502)
    assert.equal((await browser.press(page, 'accept')).status, 502)
    Object.assign(world, { isDown: false, grant: undefined })
    assert.equal((await browser.visit(world.url)).status, 404)
    for (const query of [
      '',
      '?interactId=x',
      '?interactId=../x&nonce=y',
      '?interactId=x&interactId=y&nonce=z',
    ])
      assert.equal((await browser.visit(`${world.walletUrl}/consent${query}`)).status, 404, query)
    const post = (contentType: string, body: string) =>
      fetch(`${world.walletUrl}/consent`, { method: 'POST', headers: { 'content-type': contentType }, body })
    const form = 'application/x-www-form-urlencoded'
    for (const [type, body] of [
      [form, ''],
      [form, 'a='.repeat(5000)],
      ['text/xml', '<a/>'],
    ] as const)
      assert.equal((await post(type, body)).status, 404, type)
    assert.deepEqual(world.decisions, [])
  })

  test('an authorization server that does not believe the wallet is an error, and no decision', async () => {
    const world = await setUp({}, { idpSecret: 'another secret' })
    assert.equal((await open(world)).page.status, 502)
  })
})

describe('what is asked for, in words', () => {
  const textsOf = (grant: Pick<RequestedGrant, 'access' | 'subject'>) => {
    const text = (value: Parameters<typeof toText>[0]) => toText(value).replace(/<[^>]*>/g, '')
    const { rights, warnings, addresses } = describeGrant(grant)
    return { rights: rights.map(text), warnings: warnings.map(text), addresses }
  }
  const paying = (limits?: object) =>
    textsOf({ access: [outgoing({ actions: ['create'], ...{ limits } })] }).rights[0]?.replaceAll(
      alice,
      'ALICE',
    )

  test('payments', () => {
    const receiver = 'https://b.example/incoming-payments/1'
    const cases: [object | undefined, string][] = [
      [{ debitAmount: usd('5') }, 'Pay up to 0.05 USD in total from ALICE'],
      [
        { debitAmount: usd('123456789'), receiver },
        `Pay up to 1,234,567.89 USD in total from ALICE, only to ${receiver}`,
      ],
      [
        { receiveAmount: { value: '1000', assetCode: 'JPY', assetScale: 0 } },
        'Pay from ALICE what it takes for up to 1,000 JPY in total to arrive',
      ],
      [
        { debitAmount: usd('1000'), interval: 'R11/2027-01-01T00:00:00Z/P1M' },
        'Pay up to 10.00 USD every month from ALICE, 12 times, beginning 1 January 2027 (UTC)',
      ],
      [
        { receiveAmount: usd('1000'), interval: 'R/2027-01-01T08:30:00Z/P7D' },
        'Pay from ALICE what it takes for up to 10.00 USD every week to arrive, beginning 1 January 2027, 08:30 (UTC)',
      ],
      [
        { debitAmount: usd('1000'), interval: 'R0/2027-01-01T00:00:00Z/P1Y' },
        'Pay up to 10.00 USD in total from ALICE, from 1 January 2027 (UTC) to 1 January 2028 (UTC)',
      ],
      [
        { debitAmount: usd('1000'), interval: 'R0/P2D/2027-01-03T00:00:00Z' },
        'Pay up to 10.00 USD in total from ALICE, from 1 January 2027 (UTC) to 3 January 2027 (UTC)',
      ],
      [
        { debitAmount: usd('1000'), interval: 'R1/P1MT12H/2027-01-01T00:00:05Z' },
        'Pay up to 10.00 USD every 1 month and 12 hours from ALICE, 2 times, until 1 January 2027, 00:00:05 (UTC)',
      ],
      [undefined, 'Pay any amount, as often as it likes, from ALICE'],
      [
        { receiver, interval: 'R-1/2027-01-01T00:00:00Z/P2Y' },
        `Pay any amount, as often as it likes, from ALICE, only to ${receiver}, beginning 1 January 2027 (UTC)`,
      ],
    ]
    for (const [limits, words] of cases) assert.equal(paying(limits), words)
  })

  test('a grant without an amount is warned of', () => {
    const unlimited = textsOf({ access: [outgoing({ limits: undefined })] })
    assert.deepEqual(unlimited.warnings, [`There is no limit to how much it may pay from ${alice}.`])
    assert.deepEqual(textsOf({ access: [outgoing()] }).warnings, [])
    assert.deepEqual(textsOf({ access: [outgoing({ actions: ['list-all'], limits: undefined })] }), {
      rights: [`See all payments from ${alice}, whoever asked for them`],
      warnings: [],
      addresses: [alice],
    })
  })

  test('requests for payment, quotes and who one is', () => {
    const { rights, addresses } = textsOf({
      access: [
        { type: 'incoming-payment', actions: ['create', 'complete', 'read', 'list'] },
        { type: 'incoming-payment', actions: ['list-all'], identifier: alice },
        { type: 'quote', actions: ['create', 'read-all'] },
        { type: 'quote', actions: ['create', 'read'], identifier: alice },
      ],
      subject: { sub_ids: [{ id: alice, format: 'uri' }] },
    })
    assert.deepEqual(rights, [
      `Know who you are: the holder of ${alice}`,
      'Ask for payments to any account at this bank',
      'Close requests for payment to any account at this bank',
      'See its own requests for payment to any account at this bank, and what has arrived',
      `See all requests for payment to ${alice}, whoever made them, and what has arrived`,
      'Ask what a payment would cost',
      'See everything that was asked about what payments would cost, by whomever',
      `Ask what a payment from ${alice} would cost`,
      `See again what it was told about what a payment from ${alice} would cost`,
    ])
    assert.deepEqual(addresses, [alice])
  })

  test('what there are no words for is never left out', () => {
    const strange: RequestedAccess[] = [
      { type: 'loan', actions: ['create'] },
      { type: 'constructor', actions: ['create'] },
      { type: 'quote', actions: ['list'] },
      { type: 'incoming-payment', actions: ['create'], limits: {} },
      { type: 'outgoing-payment', actions: ['create'] },
      outgoing({ actions: ['create', 'cancel'] }),
      outgoing({ limits: { debitAmount: usd('1'), receiveAmount: usd('1') } }),
      outgoing({ limits: { debitAmount: usd('-1') } }),
      outgoing({ limits: { interval: 'every month' } }),
      outgoing({ limits: { weekly: usd('1') } }),
    ]
    for (const access of strange)
      assert.throws(() => describeGrant({ access: [access] }), UnknownAccess, JSON.stringify(access))
    assert.throws(
      () => describeGrant({ access: [], subject: { sub_ids: [{ id: 'a', format: 'opaque' }] } }),
      UnknownAccess,
    )
  })
})
