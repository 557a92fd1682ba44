import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createDb, type DbPool, sql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import {
  clientNonce,
  consentsAt,
  finishUri,
  isRefusal,
  type OpenGrant,
  outgoing,
  queryOf,
  redirectOf,
  withFinish,
  withoutFinish,
} from './consent-harness.ts'
import { type Answer, startTestAuth, type TestAuth } from './harness.ts'
import { finishHash } from './interactions/model.ts'

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

const expire = (grant: OpenGrant) =>
  db.execute(sql`update interactions set expires_at = now() - interval '1 second' where id = ${grant.id}`)
const grantStateOf = (grant: OpenGrant) =>
  db.one(
    (row) => [row.state, row.finalization_reason],
    sql`select g.state, g.finalization_reason from grants g join interactions i on i.grant_id = g.id where i.id = ${grant.id}`,
  )
const liveTokensOf = (grant: OpenGrant) =>
  db.one(
    (row) => row.count as number,
    sql`select count(*)::int from access_tokens t join interactions i on i.grant_id = t.grant_id
        where i.id = ${grant.id} and t.revoked_at is null`,
  )

describe('from request to token', () => {
  test('with a finish: a hash that the client can check, and a reference that is good once', async () => {
    const client = auth.createClient('carol', 'Carol & Sons')
    const answer = await consents.request({}, { client })
    assert.equal(answer.status, 200, answer.text)
    const { interact, continue: next } = answer.json
    assert.deepEqual(answer.json, {
      interact: { redirect: interact.redirect, finish: interact.finish },
      continue: { access_token: { value: next.access_token.value }, uri: next.uri, wait: 0 },
    })
    const redirect = new URL(interact.redirect)
    assert.ok(interact.redirect.startsWith(`${auth.publicUrl}/interact/`))
    assert.ok(redirect.pathname.endsWith(`/${interact.finish}`))
    const told = { clientName: 'Carol & Sons', clientUri: client.walletAddress }
    assert.deepEqual(Object.fromEntries(redirect.searchParams), told)
    for (const secret of [interact.finish, next.access_token.value]) assert.match(secret, /^[0-9A-F]{40}$/)

    const [, , id, nonce] = redirect.pathname.split('/')
    const browser = auth.createBrowser()
    const consent = redirectOf(await browser.visit(interact.redirect))
    assert.equal(consent.origin + consent.pathname, 'https://idp.example/consent')
    assert.deepEqual(Object.fromEntries(consent.searchParams), { interactId: id, nonce, ...told })

    const details = await auth.idp('GET', `/grant/${id}/${nonce}`)
    assert.equal(details.status, 200, details.text)
    assert.deepEqual(details.json, {
      grantId: details.json.grantId,
      access: [outgoing],
      state: 'PENDING',
      client: { name: 'Carol & Sons', uri: client.walletAddress },
      finish: { uri: finishUri },
    })
    const accepted = await auth.idp('POST', `/grant/${id}/${nonce}/accept`)
    assert.deepEqual([accepted.status, accepted.text], [202, 'Accepted'])

    const back = redirectOf(await browser.visit(`${auth.url}/interact/${id}/${nonce}/finish`))
    const { cart, hash, interact_ref: reference, ...more } = Object.fromEntries(back.searchParams)
    assert.deepEqual([back.origin + back.pathname, cart, more], ['https://shop.example/return', '7', {}])
    const expected = createHash('sha256')
      .update(`${clientNonce}\n${interact.finish}\n${reference}\n${auth.publicUrl}/${auth.tenantId}`)
      .digest('base64')
    assert.equal(hash, expected)
    assert.match(reference ?? '', /^[0-9A-F]{40}$/)

    const send = () =>
      auth.send({ client, url: next.uri, token: next.access_token.value, body: { interact_ref: reference } })
    const issued = await send()
    assert.equal(issued.status, 200, issued.text)
    assert.deepEqual(issued.json, {
      access_token: { ...issued.json.access_token, access: [outgoing], expires_in: 600 },
      continue: { access_token: { value: next.access_token.value }, uri: next.uri },
    })
    assert.ok(await consents.isActive(issued.json.access_token.value))
    isRefusal(await send(), 401, 'request_denied', 'grant interaction not approved')
  })
  test('without a finish: the browser stays, the client polls', async () => {
    const grant = await consents.open({ interact: withoutFinish })
    const browser = await consents.consider(grant, 'accept')
    const waiting = await consents.proceed(grant)
    const next = { access_token: { value: grant.token }, uri: grant.uri }
    assert.deepEqual([waiting.status, waiting.json], [200, { continue: { ...next, wait: 0 } }])
    const finished = await consents.finish(grant, browser)
    assert.deepEqual([finished.status, finished.text], [202, 'Accepted'])
    const issued = await consents.proceed(grant)
    assert.equal(issued.status, 200, issued.text)
    assert.deepEqual(issued.json.continue, next)
    assert.ok(await consents.isActive(issued.json.access_token.value))
    isRefusal(await consents.proceed(grant), 401, 'request_denied', 'grant cannot be continued')
  })
  test('the hash is that of RFC 9635 §4.2.3, its example, in padded base64', () =>
    assert.equal(
      finishHash({
        clientNonce: 'VJLO6A4CATR0KRO',
        serverNonce: 'MBDOFXG4Y5CVJCX821LH',
        reference: '4IFWWIKYB2PQ6U56NL1',
        grantEndpoint: 'https://server.example.com/tx',
      }),
      'x+gguKWTj8rQf7d7i3w3UhzvuJ5bpOlKyAlVpLxBffY=',
    ))
  test('trap 9: the hash names the endpoint that clients are told of', async () => {
    const other = await startTestAuth(database.connectionString, {
      AUTH_SERVER_GRANT_URL: 'https://grants.example/base/',
    })
    try {
      const there = consentsAt(other)
      const grant = await there.open()
      const { hash, interact_ref: reference } = queryOf(
        await there.finish(grant, await there.consider(grant, 'accept')),
      )
      const endpoint = `https://grants.example/base/${other.tenantId}`
      const text = [clientNonce, grant.finish, reference, endpoint].join('\n')
      assert.equal(hash, createHash('sha256').update(text).digest('base64'))
    } finally {
      await other.close()
    }
  })
  test('nobody finds a secret of it in the database', async () => {
    const { grant, browser, reference } = await consents.consent()
    const rows = await db.many(
      (row) => JSON.stringify(row),
      sql`select g.*, i.*, s.* from grants g join interactions i on i.grant_id = g.id
          join sessions s on s.interaction_id = i.id where i.id = ${grant.id}`,
    )
    assert.equal(rows.length, 1)
    const session = [...browser.cookies.values()][0]?.split('.')[0] ?? ''
    assert.match(session, /^[0-9A-F]{40}$/)
    for (const secret of [reference, grant.finish, grant.token, session]) {
      const hex = Buffer.from(secret).toString('hex')
      assert.ok(!rows[0]?.includes(secret) && !rows[0]?.includes(hex))
    }
  })
})

/** Wherever browsers come by, whatever they are told. */
function isDiscreet({ headers }: Answer): void {
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['referrer-policy'], 'no-referrer')
  assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/)
}

describe('a browser starts', () => {
  const start = async (grant: OpenGrant) => {
    const answer = await auth.createBrowser().visit(grant.redirect)
    isDiscreet(answer)
    return answer
  }
  test('what it does not know does not exist', async () => {
    const grant = await consents.open()
    const other = await consents.open()
    for (const path of [
      `${grant.id}/${other.finish}`,
      `${grant.id}/x`,
      `${grant.id}/%00`,
      `${randomUUID()}/${grant.finish}`,
      `not-a-uuid/${grant.finish}`,
      `%00/${grant.finish}`,
    ]) {
      const answer = await auth.createBrowser().visit(`${auth.url}/interact/${path}`)
      isRefusal(answer, 400, 'unknown_interaction', 'unknown interaction')
      isDiscreet(answer)
      assert.equal(answer.headers['set-cookie'], undefined)
    }
  })
  test('the person is shown who really asks, whatever the address says', async () => {
    const client = auth.createClient(undefined, 'Mallory')
    const grant = await consents.open({}, { client })
    const { origin, pathname } = new URL(grant.redirect)
    for (const query of [
      '',
      '?clientName=Your%20Bank&clientUri=https://bank.example/',
      '?clientName=A&clientName=B',
    ]) {
      const shown = queryOf(await auth.createBrowser().visit(`${origin}${pathname}${query}`))
      assert.deepEqual(shown, {
        interactId: grant.id,
        nonce: grant.finish,
        clientName: 'Mallory',
        clientUri: client.walletAddress,
      })
    }
  })
  test("each tenant's people go to their own identity provider, whose query stays", async () => {
    const tenantId = randomUUID()
    const tenant = {
      apiSecret: 's',
      idpConsentUrl: 'https://other.example/ask?theme=dark&nonce=x',
      idpSecret: 'i',
    }
    await auth.service('POST', '/tenant', { id: tenantId, ...tenant })
    const grant = await consents.open({}, { tenantId, client: auth.createClient('dave', 'Dave') })
    const consent = redirectOf(await start(grant))
    assert.equal(consent.origin + consent.pathname, 'https://other.example/ask')
    const { theme, nonce, interactId } = Object.fromEntries(consent.searchParams)
    assert.deepEqual([theme, nonce, interactId], ['dark', grant.finish, grant.id])
    assert.equal(consent.searchParams.getAll('nonce').length, 1)
  })
  test('a tenant that is gone, or asks nobody any more, has no interactions', async () => {
    const tenant = { apiSecret: 's', idpConsentUrl: 'https://idp.example/', idpSecret: 'i' }
    for (const change of [
      (id: string) => auth.service('DELETE', `/tenant/${id}`, { deletedAt: new Date().toISOString() }),
      (id: string) => auth.service('PATCH', `/tenant/${id}`, { idpConsentUrl: null }),
    ]) {
      const tenantId = randomUUID()
      await auth.service('POST', '/tenant', { id: tenantId, ...tenant })
      const grant = await consents.open({}, { tenantId })
      const browser = await consents.consider(grant, 'accept', { secret: 'i' })
      assert.equal((await change(tenantId)).status, 204)
      isRefusal(await start(grant), 400, 'unknown_interaction', 'unknown interaction')
      assert.deepEqual(queryOf(await consents.finish(grant, browser)), {
        cart: '7',
        result: 'unknown_interaction',
        message: 'unknown interaction',
      })
      assert.deepEqual(await grantStateOf(grant), ['PENDING', null])
    }
  })

  const endings: [string, (grant: OpenGrant) => Promise<unknown>, string][] = [
    ['accepted', (grant) => consents.consider(grant, 'accept'), 'invalid interaction'],
    ['rejected', (grant) => consents.consider(grant, 'reject'), 'invalid interaction'],
    ['revoked', (grant) => consents.proceed(grant, undefined, 'DELETE'), 'invalid interaction'],
    ['expired', expire, 'interaction expired'],
  ]
  for (const [name, end, message] of endings)
    test(`an interaction that is ${name} does not start`, async () => {
      const finishable = await consents.open()
      await end(finishable)
      const answer = await start(finishable)
      assert.deepEqual(queryOf(answer), { cart: '7', result: 'invalid_interaction', message })
      assert.equal(answer.headers['set-cookie'], undefined)
      const polled = await consents.open({ interact: withoutFinish })
      await end(polled)
      isRefusal(await start(polled), 403, 'invalid_interaction', message)
    })
})

describe('cookies', () => {
  const cookieOf = (answer: Answer) => String([answer.headers['set-cookie']].flat()[0])
  test('are for us only, and no longer than the interaction', async () => {
    const cookie = cookieOf(await auth.createBrowser().visit((await consents.open()).redirect))
    const [pair = '', ...attributes] = cookie.split('; ')
    assert.match(pair, /^sessionId\.[0-9a-f-]{36}=[0-9A-F]{40}\.\S+$/)
    const age = Number(attributes.find((text) => text.startsWith('Max-Age='))?.slice(8))
    assert.ok(age > 590 && age <= 600, cookie)
    assert.deepEqual(attributes.filter((text) => !text.startsWith('Max-Age=')).sort(), [
      'HttpOnly',
      'Path=/',
      'SameSite=Lax',
    ])
    const spoofed = await auth
      .createBrowser()
      .visit((await consents.open()).redirect, { 'x-forwarded-proto': 'https' })
    assert.doesNotMatch(cookieOf(spoofed), /Secure/, 'only a trusted proxy may say so')
  })
  test('are secure behind a proxy that speaks https, and for other sites where configured', async () => {
    const proxied = await startTestAuth(database.connectionString, {
      TRUST_PROXY: 'true',
      INTERACTION_COOKIE_SAME_SITE: 'none',
    })
    try {
      const visit = async (headers: Record<string, string>) => {
        const grant = await consentsAt(proxied).open()
        return cookieOf(await proxied.createBrowser().visit(grant.redirect, headers))
      }
      assert.match(await visit({ 'x-forwarded-proto': 'https' }), /; HttpOnly; Secure; SameSite=None/)
      assert.doesNotMatch(await visit({ 'x-forwarded-proto': 'http' }), /Secure/)
    } finally {
      await proxied.close()
    }
  })
  const noSession = (answer: Answer) => isRefusal(answer, 401, 'invalid_request', 'invalid session')
  test('only the browser that started finishes', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    noSession(await consents.finish(grant, auth.createBrowser()))
    const [[name, value]] = [...browser.cookies] as [[string, string]]
    const [session = ''] = value.split('.')
    const other = await consents.open()
    const [[, foreign]] = [...(await consents.consider(other, 'accept')).cookies] as [[string, string]]
    for (const forged of [
      session,
      `${session}.`,
      `${session}.AAAA`,
      `${value}A`,
      `x${value}`,
      foreign,
      '',
      '%zz',
    ]) {
      const stranger = auth.createBrowser()
      stranger.cookies.set(name, forged)
      noSession(await consents.finish(grant, stranger))
    }
    assert.deepEqual(await grantStateOf(grant), ['PENDING', null])
    const copied = auth.createBrowser()
    copied.cookies.set(name, value)
    assert.equal((await consents.finish(grant, copied)).status, 302)
  })
  test('what a browser had before is not what it finishes with', async () => {
    const grant = await consents.open()
    const [[name, planted]] = [...(await consents.consider(await consents.open())).cookies].map(
      ([, value]) => [`sessionId.${grant.id}`, value],
    ) as [[string, string]]
    const browser = auth.createBrowser()
    browser.cookies.set(name, planted)
    await consents.consider(grant, 'accept', { browser })
    assert.notEqual(browser.cookies.get(name), planted)
    const attacker = auth.createBrowser()
    attacker.cookies.set(name, planted)
    noSession(await consents.finish(grant, attacker))
    assert.equal((await consents.finish(grant, browser)).status, 302)
  })
  test('one browser considers several at once, started side by side, and one of them twice', async () => {
    const browser = auth.createBrowser()
    const grants = await Promise.all([consents.open(), consents.open(), consents.open()])
    await Promise.all(grants.map((grant) => consents.consider(grant, undefined, { browser })))
    const [first] = grants
    await consents.consider(first as OpenGrant, undefined, { browser })
    for (const grant of grants) {
      assert.equal((await auth.idp('POST', `/grant${grant.path}/accept`)).status, 202)
      assert.ok(queryOf(await consents.finish(grant, browser)).interact_ref)
    }
  })
  test('a request that is opened without end fills no table; who was there before finishes', async () => {
    const [grant, other] = [await consents.open(), await consents.open()]
    const browser = await consents.consider(grant)
    await db.execute(sql`
      insert into sessions (id_hash, interaction_id, expires_at)
      select sha256(n::text::bytea), ${grant.id}, now() + interval '1 hour' from generate_series(2, 100) n`)
    const refused = await auth.createBrowser().visit(grant.redirect)
    isRefusal(refused, 429, 'too_many_attempts', 'too many unproven requests')
    assert.equal(refused.headers['set-cookie'], undefined)
    assert.equal((await auth.createBrowser().visit(other.redirect)).status, 302)
    assert.equal((await auth.idp('POST', `/grant${grant.path}/accept`)).status, 202)
    assert.ok(queryOf(await consents.finish(grant, browser)).interact_ref)
  })
  test('a session ends with its time', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    await db.execute(sql`update sessions set expires_at = now() where interaction_id = ${grant.id}`)
    noSession(await consents.finish(grant, browser))
  })
})

describe('a browser is back', () => {
  const outcomes: {
    name: string
    prepare: (grant: OpenGrant) => Promise<Awaited<ReturnType<typeof consents.consider>>>
    told: Record<string, string>
    otherwise: [number, string, string] | 'accepted'
    state: [string, string | null]
  }[] = [
    {
      name: 'expired',
      prepare: async (grant) => {
        const browser = await consents.consider(grant, 'accept')
        await expire(grant)
        return browser
      },
      told: { result: 'invalid_interaction', message: 'interaction expired' },
      otherwise: [401, 'invalid_interaction', 'interaction expired'],
      state: ['PENDING', null],
    },
    {
      name: 'revoked',
      prepare: async (grant) => {
        const browser = await consents.consider(grant, 'accept')
        assert.equal((await consents.proceed(grant, undefined, 'DELETE')).status, 204)
        return browser
      },
      told: { result: 'unknown_interaction', message: 'unknown interaction' },
      otherwise: [404, 'unknown_interaction', 'unknown interaction'],
      state: ['FINALIZED', 'REVOKED'],
    },
    {
      name: 'rejected',
      prepare: (grant) => consents.consider(grant, 'reject'),
      told: { result: 'grant_rejected' },
      otherwise: 'accepted',
      state: ['FINALIZED', 'REJECTED'],
    },
    {
      name: 'undecided',
      prepare: (grant) => consents.consider(grant),
      told: { result: 'grant_invalid' },
      otherwise: [401, 'invalid_interaction', 'interaction is not active'],
      state: ['PENDING', null],
    },
  ]
  for (const { name, prepare, told, otherwise, state } of outcomes) {
    test(`${name}: the client is told`, async () => {
      const grant = await consents.open()
      const browser = await prepare(grant)
      for (let visit = 0; visit < 2; visit++) {
        const answer = await consents.finish(grant, browser)
        assert.deepEqual(queryOf(answer), { cart: '7', ...told })
        isDiscreet(answer)
        assert.deepEqual(await grantStateOf(grant), state)
      }
    })
    test(`${name}: a client that polls is not, the person is`, async () => {
      const grant = await consents.open({ interact: withoutFinish })
      const answer = await consents.finish(grant, await prepare(grant))
      isDiscreet(answer)
      if (otherwise === 'accepted') assert.deepEqual([answer.status, answer.text], [202, 'Accepted'])
      else isRefusal(answer, ...otherwise)
      assert.deepEqual(await grantStateOf(grant), state)
    })
  }
  test('unknown', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    for (const path of [`${grant.id}/x`, `${randomUUID()}/${grant.finish}`, `x/${grant.finish}`]) {
      const answer = await browser.visit(`${auth.url}/interact/${path}/finish`)
      isRefusal(answer, 404, 'unknown_interaction', 'unknown interaction')
      isDiscreet(answer)
    }
  })
  test('an upper-case id is the same id', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    const path = `${grant.id.toUpperCase()}/${grant.finish}`
    assert.ok(queryOf(await browser.visit(`${auth.url}/interact/${path}/finish`)).interact_ref)
  })
  test('again and again: the same reference, and an issued grant stays issued', async () => {
    const { grant, browser, reference } = await consents.consent()
    const first = (await consents.finish(grant, browser)).headers.location
    const issued = await consents.proceed(grant, { interact_ref: reference })
    assert.equal(issued.status, 200, issued.text)
    assert.deepEqual(await grantStateOf(grant), ['FINALIZED', 'ISSUED'])
    const again = await consents.finish(grant, browser)
    assert.equal(again.headers.location, first)
    assert.deepEqual(await grantStateOf(grant), ['FINALIZED', 'ISSUED'])
    isRefusal(
      await consents.proceed(grant, { interact_ref: reference }),
      401,
      'request_denied',
      'grant interaction not approved',
    )
    isRefusal(await consents.proceed(grant), 401, 'request_denied', 'grant cannot be polled')
    assert.equal(await liveTokensOf(grant), 1)
  })
  test('eight at a time, with eight continuations: one reference, one token', async () => {
    const grant = await consents.open()
    const browser = await consents.consider(grant, 'accept')
    const answers = await Promise.all(Array.from({ length: 8 }, () => consents.finish(grant, browser)))
    const references = new Set(answers.map((answer) => queryOf(answer).interact_ref))
    assert.equal(references.size, 1)
    const [reference] = references
    const [continued] = await Promise.all([
      Promise.all(Array.from({ length: 8 }, () => consents.proceed(grant, { interact_ref: reference }))),
      Promise.all(Array.from({ length: 8 }, () => consents.finish(grant, browser))),
    ])
    assert.equal(continued.filter(({ status }) => status === 200).length, 1)
    for (const lost of continued.filter(({ status }) => status !== 200))
      isRefusal(lost, 401, 'request_denied', 'grant interaction not approved')
    assert.deepEqual(await grantStateOf(grant), ['FINALIZED', 'ISSUED'])
    assert.equal(await liveTokensOf(grant), 1)
  })
  test('what is in the query of the finish uri stays, but cannot speak for us', async () => {
    const uri = `${finishUri}&hash=forged&interact_ref=forged&result=forged&a=b%20c`
    const grant = await consents.open({
      interact: { ...withFinish, finish: { ...withFinish.finish, uri } },
    })
    const back = redirectOf(await consents.finish(grant, await consents.consider(grant, 'accept')))
    assert.deepEqual(
      ['hash', 'interact_ref'].map(
        (name) => back.searchParams.getAll(name).filter((value) => value !== 'forged').length,
      ),
      [1, 1],
    )
    assert.ok(!back.searchParams.getAll('hash').includes('forged'))
    assert.equal(back.searchParams.get('a'), 'b c')
  })
})
