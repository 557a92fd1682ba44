import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import {
  consentsAt,
  isRefusal,
  outgoing,
  queryOf,
  subject,
  withFinish,
  withoutFinish,
} from './consent-harness.ts'
import { parseFinish } from './grants/finish.ts'
import { decideGrant } from './grants/index.ts'
import { type Answer, startTestAuth, type TestAuth } from './harness.ts'

let database: TestDatabase
let auth: TestAuth
let db: DbPool
let consents: ReturnType<typeof consentsAt>
before(async () => {
  database = await createTestDatabase('auth')
  auth = await startTestAuth(database.connectionString)
  consents = consentsAt(auth)
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await auth.close()
  await db.close()
  await database.drop()
})

const grantCount = () => db.one((row) => row.count as number, sql`select count(*)::int from grants`)

describe('where the browser is sent back to', () => {
  const requestWith = (finish: object) =>
    consents.request({
      interact: { start: ['redirect'], finish: { method: 'redirect', nonce: 'n', ...finish } },
    })
  const good = [
    'https://shop.example',
    'https://shop.example/?a=b&c=%20',
    'https://shop.example:8443/@user/return?to=a@b',
    'http://localhost:3000/return',
    'http://127.0.0.1/return',
    'http://127.8.9.10:5/return',
    'http://[::1]:8080/return',
    `https://shop.example/${'x'.repeat(2000)}`,
  ]
  for (const uri of good)
    test(`may be ${uri.slice(0, 60)}`, async () => assert.equal((await requestWith({ uri })).status, 200))
  const bad = [
    'http://shop.example/return',
    'http://localhost.shop.example/',
    'http://127.0.0.1.shop.example/',
    'http://10.0.0.1/return',
    'javascript:alert(1)',
    'data:text/html,x',
    'ftp://shop.example/',
    'file:///etc/passwd',
    'shop://return',
    'https://user@shop.example/',
    'https://user:secret@shop.example/',
    'https://@shop.example/',
    'https://shop.example/#part',
    'https://shop.example/?a#',
    'https:shop.example/return',
    'https:/shop.example/return',
    'https:///shop.example/return',
    'https://',
    'https://shop.example\\@evil.example/',
    'https://shop.example/\n',
    'https://shop.example/\tx',
    'https://shop.example/ x',
    ' https://shop.example/',
    'https://shop.example/\u0007',
    'https://shop.example/\u202e',
    'https://[::1',
    '//shop.example/',
    '/return',
    '',
    `https://shop.example/${'x'.repeat(3000)}`,
  ]
  for (const uri of bad)
    test(`may not be ${JSON.stringify(uri.slice(0, 60))}`, async () => {
      const before = await grantCount()
      const answer = await requestWith({ uri })
      assert.equal(answer.status, 400, answer.text)
      // What is no URI at all the specification's schema refuses, without a code.
      const { code, description } = answer.json.error
      if (code === undefined)
        assert.match(description, /interact\.finish\.uri must match format "uri"|must NOT have more/)
      else
        assert.deepEqual(
          [code, description],
          ['invalid_request', 'interact finish uri must be a plain https url'],
        )
      assert.equal(await grantCount(), before)
    })
  test('is judged here too where only the schema stands before', () => {
    for (const uri of [
      'https://shop.example/\u0007',
      'https://shop.example/ü',
      'https://shop.example/a b',
      '/return',
    ])
      assert.throws(() => parseFinish({ uri, nonce: 'n' }), { code: 'finish_uri_invalid' }, uri)
    assert.deepEqual(parseFinish({ uri: 'https://shop.example/', nonce: 'n' }), {
      uri: 'https://shop.example/',
      nonce: 'n',
    })
  })
  test('is ours to judge where the schema would let it pass', async () => {
    for (const uri of [
      'http://shop.example/',
      'javascript:alert(1)',
      'https://u@shop.example/',
      'https://shop.example/#x',
    ])
      assert.equal((await requestWith({ uri })).json.error.code, 'invalid_request')
  })
  for (const nonce of ['', 'a\nb', 'a b', 'ü', 'x'.repeat(1025)])
    test(`with a nonce that is not ${JSON.stringify(nonce.slice(0, 10))}`, async () =>
      isRefusal(
        await requestWith({ uri: 'https://shop.example/', nonce }),
        400,
        'invalid_request',
        'interact finish nonce must be printable text',
      ))
  test('is not asked about where nobody is', async () => {
    const client = auth.createClient()
    const answer = await auth.send({
      client,
      url: `${auth.url}/${auth.tenantId}`,
      body: {
        client: client.walletAddress,
        access_token: { access: [{ type: 'quote', actions: ['create'] }] },
        interact: { ...withFinish, finish: { ...withFinish.finish, uri: 'http://shop.example/' } },
      },
    })
    assert.equal(answer.status, 200, answer.text)
    assert.ok(answer.json.access_token)
  })
  test('only by redirects', async () => {
    for (const interact of [
      { start: ['user_code'] },
      { start: ['redirect'], finish: { method: 'push', uri: 'https://shop.example/', nonce: 'n' } },
      { finish: withFinish.finish },
      {},
    ])
      assert.equal((await consents.request({ interact })).status, 400, JSON.stringify(interact))
    isRefusal(
      await consents.request({ interact: { start: [] } }),
      400,
      'invalid_request',
      "missing required request field 'interact'",
    )
  })
})

describe('what the client calls itself', () => {
  const nameless = (answer: Answer, reason: string) => {
    assert.equal(answer.status, 400, answer.text)
    assert.deepEqual(answer.json.error, {
      code: 'invalid_client',
      description: "missing required request field 'client'",
      details: { reason },
    })
  }
  const documents: [string, unknown, string][] = [
    ['nothing', undefined, 'wallet_address_unavailable'],
    ['no name', {}, 'public_name_missing'],
    ['null', { publicName: null }, 'public_name_missing'],
    ['a number', { publicName: 7 }, 'public_name_missing'],
    ['nothing but blanks', { publicName: ' \u0000\u202e\t' }, 'public_name_missing'],
    ['nothing that is seen', { publicName: '\u200b\u2060\u200d\u3164\u2800\u0301' }, 'public_name_missing'],
    ['no document', '<html>', 'wallet_address_unavailable'],
    ['a list', [], 'wallet_address_unavailable'],
    ['too much', { publicName: 'x'.repeat(100_000) }, 'wallet_address_unavailable'],
  ]
  for (const [name, document, reason] of documents)
    test(`${name}: nobody is asked`, async () => {
      const client = auth.createClient()
      auth.publish(new URL(client.walletAddress).pathname, document)
      const before = await grantCount()
      nameless(await consents.request({}, { client }), reason)
      assert.equal(await grantCount(), before)
      const atOnce = {
        access_token: { access: [{ type: 'quote', actions: ['create'] }] },
        interact: undefined,
      }
      assert.equal(
        (await consents.request(atOnce, { client })).status,
        200,
        'no name is needed where nobody is asked',
      )
    })
  test('is shown without what could deceive, and not at any length', async () => {
    const shown = async (publicName: string) => {
      const grant = await consents.open({}, { client: auth.createClient(undefined, publicName) })
      return queryOf(await auth.createBrowser().visit(grant.redirect)).clientName
    }
    assert.equal(await shown('  Shop\u202e\u0007\n of Ωmega 🛒 '), 'Shop of Ωmega 🛒')
    assert.equal(await shown('Ba\u200bn\u00adk\ufeff \u3164'), 'Bank')
    assert.equal(await shown('نامه\u200cای 👩\u200d🍳 ❤\ufe0f'), 'نامه\u200cای 👩\u200d🍳 ❤\ufe0f')
    assert.equal(await shown('é'.repeat(500)), 'é'.repeat(200))
  })
  test('is what it was when the grant was requested', async () => {
    const client = auth.createClient(undefined, 'Before')
    const grant = await consents.open({}, { client })
    auth.publish(new URL(client.walletAddress).pathname, { publicName: 'Your Bank' })
    assert.equal((await auth.idp('GET', `/grant${grant.path}`)).json.client.name, 'Before')
  })
  test('is not fetched before it is proven who asks, and what for', async () => {
    const client = auth.createClient()
    const { pathname } = new URL(client.walletAddress)
    const impostor = { ...auth.createClient(), walletAddress: client.walletAddress, jwk: client.jwk }
    assert.equal((await consents.request({}, { client: impostor })).status, 401)
    assert.equal((await consents.request({ interact: undefined }, { client })).status, 400)
    assert.ok(!auth.keyRequests.includes(pathname))
    await consents.open({}, { client })
    assert.ok(auth.keyRequests.includes(pathname))
  })
})

test('a client is a plain URL, of a length that can be kept: whoever is asked reads it as it was fetched', async () => {
  const client = auth.createClient()
  const { origin, host, pathname } = new URL(client.walletAddress)
  const quote = { access_token: { access: [{ type: 'quote', actions: ['create'] }] } }
  const long = `/${randomBytes(2048).toString('hex')}`.slice(0, 2049 - origin.length)
  for (const path of [long, long.slice(0, -1)]) auth.publish(`${path}/jwks.json`, { keys: [client.jwk] })
  for (const walletAddress of [
    `https:${host}${pathname}`,
    `https:/${host}${pathname}`,
    `https://@${host}${pathname}`,
    `https://:@${host}${pathname}`,
    `${origin}${long}`,
  ])
    for (const named of [walletAddress, { walletAddress }])
      for (const asked of [{}, quote]) {
        const fetched = auth.keyRequests.length
        const { status, json } = await consents.request({ ...asked, client: named }, { client })
        assert.deepEqual(
          [status, json.error],
          [
            400,
            {
              code: 'invalid_client',
              description: 'could not determine client',
              details: { reason: 'wallet_address_invalid' },
            },
          ],
          walletAddress.slice(0, 60),
        )
        assert.equal(auth.keyRequests.length, fetched)
      }
  const longest = await consents.request({ ...quote, client: `${origin}${long.slice(0, -1)}` }, { client })
  assert.equal(longest.status, 200, longest.text)
})

describe('limits', () => {
  const amount = { value: '500', assetCode: 'USD', assetScale: 2 }
  const receiver = 'https://bank.example/incoming-payments/1'
  const requestWith = (limits: unknown, type = 'outgoing-payment') =>
    consents.request({ access_token: { access: [{ ...outgoing, type, limits }] } })
  for (const limits of [
    {},
    { receiver },
    { debitAmount: amount },
    { receiveAmount: amount, interval: 'R12/2026-01-31T00:00:00Z/P1M' },
    { debitAmount: amount, receiver, interval: 'R-1/P1Y2M10DT2H30M/2022-05-11T15:30:00Z' },
  ])
    test(`${JSON.stringify(limits)} are kept as they were sent`, async () => {
      const grant = await consents.open({ access_token: { access: [{ ...outgoing, limits }] } })
      assert.deepEqual((await auth.idp('GET', `/grant${grant.path}`)).json.access, [{ ...outgoing, limits }])
      const { interact_ref } = queryOf(await consents.finish(grant, await consents.consider(grant, 'accept')))
      const { access_token: token } = (await consents.proceed(grant, { interact_ref })).json
      assert.deepEqual(token.access, [{ ...outgoing, limits }])
    })
  const refusals: [string, unknown, string][] = [
    ['both amounts', { debitAmount: amount, receiveAmount: amount }, 'only one access amount allowed'],
    [
      'an interval without end',
      { interval: 'R/2026-01-01T00:00:00Z' },
      'access limits have no valid interval',
    ],
    [
      'an interval of nothing',
      { interval: 'R/2026-01-01T00:00:00Z/PT0S' },
      'access limits have no valid interval',
    ],
    ['an interval in words', { interval: 'monthly' }, 'access limits have no valid interval'],
    ['a member that nobody knows', { maximum: '5' }, 'access limits are malformed'],
  ]
  for (const [name, limits, description] of refusals)
    for (const type of ['outgoing-payment', 'incoming-payment'])
      test(`${name} of ${type}: ${description}`, async () => {
        const answer = await requestWith(limits, type)
        assert.equal(answer.status, 400, answer.text)
        assert.deepEqual(
          [answer.json.error.code, answer.json.error.description],
          ['invalid_request', description],
        )
      })
  test('that are no amounts are refused, whoever does it', async () => {
    for (const value of ['-1', '1.5', '18446744073709551616', '', 5])
      assert.equal((await requestWith({ debitAmount: { ...amount, value } })).status, 400, String(value))
    for (const limits of [null, [], 'x']) assert.equal((await requestWith(limits)).status, 400)
  })
})

describe('identifiers', () => {
  const requestWith = (identifier: unknown, type = 'incoming-payment') => {
    const client = auth.createClient()
    return auth.send({
      client,
      url: `${auth.url}/${auth.tenantId}`,
      body: {
        client: client.walletAddress,
        access_token: { access: [{ type, actions: ['create'], identifier }] },
      },
    })
  }
  /** So mixed that Postgres cannot make it short. */
  const long = (length: number) =>
    `https://bank.example/${randomBytes(length).toString('hex')}`.slice(0, length)

  test('of a quote are kept, so that nobody gets more than was asked for; clients know none there', async () => {
    const { access_token: token } = (await requestWith('https://bank.example/bob', 'quote')).json
    assert.deepEqual(token.access, [{ type: 'quote', actions: ['create'] }])
    const asked = (identifier: string) =>
      auth.introspect({
        access_token: token.value,
        access: [{ type: 'quote', actions: ['create'], identifier }],
      })
    assert.equal((await asked('https://bank.example/bob')).json.access.length, 1)
    assert.equal((await asked('https://bank.example/carol')).json.access.length, 0)
  })
  test('are what quotes need where they need consent', async () => {
    const asking = await startTestAuth(database.connectionString, { QUOTE_INTERACTION: 'true' })
    try {
      const { request } = consentsAt(asking)
      const quote = { type: 'quote', actions: ['create'] }
      isRefusal(
        await request({ access_token: { access: [quote] } }),
        400,
        'invalid_request',
        'access identifier required',
      )
      const access = [{ ...quote, identifier: 'https://bank.example/alice' }]
      const answer = await request({ access_token: { access } })
      assert.equal(answer.status, 200, answer.text)
      const { pathname } = new URL(answer.json.interact.redirect)
      const details = await asking.idp('GET', pathname.replace('/interact', '/grant'))
      assert.deepEqual(details.json.access, access)
    } finally {
      await asking.close()
    }
  })
  test('are as long as an index holds, and no longer', async () => {
    for (const type of ['incoming-payment', 'quote'])
      for (const identifier of [long(2048), 'https://bank.example/@alice'])
        assert.equal((await requestWith(identifier, type)).status, 200)
    for (const [identifier, type] of [
      [long(2049), 'incoming-payment'],
      [long(8192), 'incoming-payment'],
      [long(2049), 'quote'],
      ['', 'quote'],
      ['alice', 'quote'],
      ['javascript:alert(1)', 'incoming-payment'],
      ['https://bank.example@evil.example/', 'incoming-payment'],
      ['ftp://bank.example/alice', 'quote'],
      ['https://bank.example/b\u00f6b', 'quote'],
      ['https://bank.example/a b', 'quote'],
      [5, 'quote'],
      [null, 'quote'],
      [{}, 'quote'],
    ])
      isRefusal(
        await requestWith(identifier, String(type)),
        400,
        'invalid_request',
        'access identifier must be the url of a wallet address, of at most 2048 characters',
      )
  })
})

describe('subjects', () => {
  test('alone: an answer about the subject, and no token', async () => {
    const { grant, reference } = await consents.consent({ subject })
    const answer = await consents.proceed(grant, { interact_ref: reference })
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(answer.json, {
      subject,
      continue: { access_token: { value: grant.token }, uri: grant.uri },
    })
    const tokens = await db.one(
      (row) => row.count as number,
      sql`select count(*)::int from access_tokens t join interactions i on i.grant_id = t.grant_id where i.id = ${grant.id}`,
    )
    assert.equal(tokens, 0)
    isRefusal(
      await consents.proceed(grant, { interact_ref: reference }),
      401,
      'request_denied',
      'grant interaction not approved',
    )
  })
  test('with access: both, also for a client that polls', async () => {
    const quote = { type: 'quote', actions: ['create'] }
    const { grant } = await consents.consent({
      subject,
      access_token: { access: [quote] },
      interact: withoutFinish,
    })
    const { json } = await consents.proceed(grant)
    assert.deepEqual([json.subject, json.access_token.access], [subject, [quote]])
  })
  test('need somebody who says yes', async () => {
    const grant = await consents.open({ subject })
    const browser = await consents.consider(grant, 'reject')
    assert.deepEqual(queryOf(await consents.finish(grant, browser)), { cart: '7', result: 'grant_rejected' })
    isRefusal(
      await consents.proceed(grant, { interact_ref: 'x' }),
      404,
      'invalid_continuation',
      'grant not found',
    )
  })
  test('are https URLs in the format uri', async () => {
    for (const id of [
      'http://bank.example/alice',
      'mailto:alice@bank.example',
      'alice',
      '',
      'https:bank.example/alice',
      ' https://bank.example/alice',
      'https://bank.exa\nmple/alice',
      'https://bank.example/alice\u202e',
      'https://bank.example\\alice',
      'https://bank.example@evil.example/',
      'https://bank.example:x/',
      `https://bank.example/${'a'.repeat(2048)}`,
    ])
      isRefusal(
        await consents.request({ subject: { sub_ids: [{ id, format: 'uri' }] } }),
        400,
        'invalid_request',
        'subject id must be a valid https url',
      )
    const at = { sub_ids: [{ id: 'https://bank.example/@alice', format: 'uri' }] }
    assert.equal((await consents.request({ subject: at })).status, 200)
    for (const sub_ids of [
      [],
      [{ id: 'https://a.example/', format: 'email' }],
      Array(2).fill(subject.sub_ids[0]),
    ])
      assert.equal((await consents.request({ subject: { sub_ids } })).status, 400)
    const request = {
      client: { walletAddress: 'https://a.example/' },
      access: [],
      interact: withoutFinish,
      subject: { sub_ids: [{ id: 'https://a.example/', format: 'email' }] },
    }
    const policy = { incomingPaymentInteraction: false, quoteInteraction: false, listAllInteraction: true }
    assert.throws(() => decideGrant(request, policy, true), { code: 'subject_format_invalid' })
  })
})
