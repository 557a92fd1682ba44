import assert from 'node:assert/strict'
import test from 'node:test'
import { Fault, type HttpClient, type HttpResponse, silentLogger } from '../../shared/platform/index.ts'
import { testClock, waitFor } from '../../shared/testing/index.ts'
import { AccessRefusal } from './errors.ts'
import { createIntrospect, parseIntrospection, type RequestedAccess } from './introspection.ts'

const access: RequestedAccess = {
  type: 'incoming-payment',
  action: 'read',
  identifier: 'https://bank.example/alice',
}
const active = {
  active: true,
  grant: 'grant-1',
  tenant: '0190C0DE-0000-7000-8000-00000000000A',
  access: [{ type: 'incoming-payment', actions: ['read'] }],
  client: { walletAddress: 'https://client.example/' },
}

/** Answers when told, and remembers what it was asked. */
function heldHttp() {
  const asked: { url: string; body: unknown }[] = []
  const waiting: { resolve(response: HttpResponse): void; reject(error: unknown): void }[] = []
  const http: HttpClient = {
    request: ({ url, body }) => {
      asked.push({ url, body: JSON.parse(String(body)) })
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    effectiveUrl: (url) => url,
    close: async () => undefined,
  }
  /** The next call, once it has come. */
  const next = () => waitFor(() => waiting.shift())
  const answer = async (body: unknown, status = 200) =>
    (await next()).resolve({ status, headers: {}, body: Buffer.from(JSON.stringify(body)) })
  return { http, asked, answer, fail: async (error: unknown) => (await next()).reject(error) }
}
const clock = testClock()
const introspectOver = (http: HttpClient, cacheMs = 0) =>
  createIntrospect({
    http,
    clock,
    log: silentLogger,
    url: 'http://auth.internal:3007/',
    timeoutMs: 1000,
    cacheMs,
  })
const failed = (error: unknown) => error instanceof AccessRefusal && error.code === 'introspection_failed'
const single = (token: string, { type, action, identifier } = access) => ({
  access_token: token,
  access: [{ type, actions: [action], identifier }],
})

test('one question alone is asked in the form that every authorization server knows', async () => {
  const { http, asked, answer } = heldHttp()
  const question = introspectOver(http)('token', access)
  await answer(active)
  assert.deepEqual(await question, {
    active: true,
    grantId: 'grant-1',
    tenantId: '0190c0de-0000-7000-8000-00000000000a',
    access: [{ type: 'incoming-payment', actions: ['read'] }],
    client: { walletAddress: 'https://client.example/' },
  })
  assert.deepEqual(asked, [{ url: 'http://auth.internal:3007/', body: single('token') }])
})

test('questions at the same time go in one call, and each gets its own answer', async () => {
  const { http, asked, answer } = heldHttp()
  const introspect = introspectOver(http)
  const questions: [string, RequestedAccess][] = [
    ['token', access],
    ['token2', access],
    ['token', { ...access, action: 'create' }],
    ['token', { ...access, type: 'quote' }],
    ['token', { ...access, identifier: 'https://bank.example/bob' }],
  ]
  const both = Promise.all(questions.map((question) => introspect(...question)))
  await answer({ responses: questions.map((_, index) => (index === 1 ? active : { active: false })) })
  assert.deepEqual(
    (await both).map((result) => result.active),
    [false, true, false, false, false],
  )
  const requests = questions.map(([token, wanted]) => single(token, wanted))
  assert.deepEqual(asked, [{ url: 'http://auth.internal:3007/batch', body: { requests } }])
})

test('who asks while a call is under way does not get its answer: the token may have been revoked meanwhile', async () => {
  const { http, asked, answer } = heldHttp()
  const introspect = introspectOver(http)
  const before = introspect('token', access)
  await waitFor(() => asked.length === 1)
  const after = introspect('token', access)
  await answer(active)
  await answer({ active: false })
  assert.equal((await before).active, true)
  assert.equal((await after).active, false)
})

test('no answer is kept, unless an operator keeps answers for a while', async () => {
  const { http, asked, answer } = heldHttp()
  const [introspect, keeping] = [introspectOver(http), introspectOver(http, 1_000)]
  for (const isActive of [true, false]) {
    const question = introspect('token', access)
    await answer(isActive ? active : { active: false })
    assert.equal((await question).active, isActive)
  }
  const first = keeping('token', access)
  await answer(active)
  assert.equal((await first).active, true)
  assert.equal((await keeping('token', access)).active, true)
  assert.equal(asked.length, 3)
  clock.advance(1_001)
  const later = keeping('token', access)
  await answer({ active: false })
  assert.deepEqual(await later, { active: false })
})

test('no usable answer is a refusal, and the next request asks anew', async () => {
  const { http, answer, fail } = heldHttp()
  const introspect = introspectOver(http)
  const down = introspect('token', access)
  await fail(new Fault('connection_failed', { retryable: true }))
  await assert.rejects(down, failed)
  for (const [body, status] of [
    [{ active: false }, 500],
    [{ active: false }, 400],
    ['active', 200],
  ] as const) {
    const broken = introspect('token', access)
    await answer(body, status)
    await assert.rejects(broken, failed)
  }
  const fine = introspect('token', access)
  await answer({ active: false })
  assert.deepEqual(await fine, { active: false })
})

test('an authorization server that is away refuses all who wait for the call, once', async () => {
  for (const away of ['connection', 'status']) {
    const { http, asked, answer, fail } = heldHttp()
    const introspect = introspectOver(http)
    const outcomes = Promise.allSettled([introspect('a', access), introspect('b', access)])
    if (away === 'connection') await fail(new Fault('connection_failed', { retryable: true }))
    else await answer('Internal Server Error', 503)
    for (const outcome of await outcomes) assert.ok(outcome.status === 'rejected' && failed(outcome.reason))
    assert.equal(asked.length, 1)
  }
})

test('one question that cannot be answered takes no other with it', async () => {
  const { http, answer } = heldHttp()
  const introspect = introspectOver(http)
  const unreadable = Promise.allSettled([introspect('a', access), introspect('b', access)])
  await answer({ responses: [active, { ...active, tenant: undefined }] })
  assert.deepEqual(
    (await unreadable).map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )

  // Refused as a whole, each is asked alone.
  const refused = Promise.allSettled([introspect('a', access), introspect('b', access)])
  await answer('Bad Request', 400)
  await answer('Bad Request', 400)
  await answer(active)
  assert.deepEqual(
    (await refused).map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
})

test('an authorization server without the batch form is asked one by one, and offered it again later', async () => {
  const { http, asked, answer } = heldHttp()
  const introspect = introspectOver(http)
  const askTwo = () => Promise.all([introspect('a', access), introspect('b', access)])
  const urls = () => asked.splice(0).map(({ url }) => new URL(url).pathname)
  const first = askTwo()
  await answer('Not Found', 404)
  for (const _ of ['a', 'b']) await answer(active)
  await first
  assert.deepEqual(urls(), ['/batch', '/', '/'])
  const second = askTwo()
  for (const _ of ['a', 'b']) await answer(active)
  await second
  assert.deepEqual(urls(), ['/', '/'])
  clock.advance(60_000)
  const third = askTwo()
  await answer({ responses: [active, { active: false }] })
  assert.equal((await third)[1].active, false)
  assert.deepEqual(urls(), ['/batch'])
})

test('an answer that cannot be read in full is none', () => {
  const { tenant: _tenant, ...withoutTenant } = active
  for (const [name, value] of Object.entries({
    'no tenant': withoutTenant,
    'no grant': { ...active, grant: undefined },
    'active as text': { ...active, active: 'true' },
    'access is no list': { ...active, access: {} },
    'no client': { ...active, client: {} },
    'limits as text': { ...active, access: [{ type: 'outgoing-payment', actions: [], limits: 'none' }] },
    'identifier as number': { ...active, access: [{ type: 'quote', actions: [], identifier: 1 }] },
  }))
    assert.throws(() => parseIntrospection(value), TypeError, name)
})

test('limits arrive as they were granted', () => {
  const limits = { debitAmount: { value: '1', assetCode: 'USD', assetScale: 2 } }
  const value = { ...active, access: [{ type: 'outgoing-payment', actions: ['create'], limits }] }
  const parsed = parseIntrospection(value)
  assert.ok(parsed.active)
  assert.deepEqual(parsed.access[0]?.limits, limits)
})
