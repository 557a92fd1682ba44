import assert from 'node:assert/strict'
import test from 'node:test'
import { Fault, type HttpClient, type HttpResponse, silentLogger } from '../../shared/platform/index.ts'
import { testClock } from '../../shared/testing/index.ts'
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
  const bodies: unknown[] = []
  const waiting: { resolve(response: HttpResponse): void; reject(error: unknown): void }[] = []
  const http: HttpClient = {
    request: (input) => {
      bodies.push(JSON.parse(String(input.body)))
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    effectiveUrl: (url) => url,
    close: async () => undefined,
  }
  const answer = (body: unknown, status = 200) =>
    waiting.shift()?.resolve({ status, headers: {}, body: Buffer.from(JSON.stringify(body)) })
  return { http, bodies, answer, fail: (error: unknown) => waiting.shift()?.reject(error) }
}
const clock = testClock()
const introspectOver = (http: HttpClient, cacheMs = 0) =>
  createIntrospect({
    http,
    clock,
    log: silentLogger,
    url: 'http://auth.internal:3007',
    timeoutMs: 1000,
    cacheMs,
  })
const failed = (error: unknown) => error instanceof AccessRefusal && error.code === 'introspection_failed'

test('asks for one action on one wallet address', async () => {
  const { http, bodies, answer } = heldHttp()
  const asked = introspectOver(http)('token', access)
  answer(active)
  assert.deepEqual(await asked, {
    active: true,
    grantId: 'grant-1',
    tenantId: '0190c0de-0000-7000-8000-00000000000a',
    access: [{ type: 'incoming-payment', actions: ['read'] }],
    client: { walletAddress: 'https://client.example/' },
  })
  assert.deepEqual(bodies, [
    {
      access_token: 'token',
      access: [{ type: 'incoming-payment', actions: ['read'], identifier: 'https://bank.example/alice' }],
    },
  ])
})

test('the same question in flight is asked once, and no answer is kept', async () => {
  const { http, bodies, answer } = heldHttp()
  const introspect = introspectOver(http)
  const both = Promise.all([introspect('token', access), introspect('token', access)])
  answer({ active: false })
  assert.deepEqual(await both, [{ active: false }, { active: false }])
  assert.equal(bodies.length, 1)

  const again = introspect('token', access)
  answer(active)
  assert.equal((await again).active, true)
  assert.equal(bodies.length, 2)
})

test('an operator may keep answers for a while', async () => {
  const { http, bodies, answer } = heldHttp()
  const introspect = introspectOver(http, 1_000)
  const first = introspect('token', access)
  answer(active)
  await first
  assert.equal((await introspect('token', access)).active, true)
  assert.equal(bodies.length, 1)
  clock.advance(1_001)
  const later = introspect('token', access)
  answer({ active: false })
  assert.deepEqual(await later, { active: false })
})

test('questions that differ in anything do not share an answer', async () => {
  const { http, bodies, answer } = heldHttp()
  const introspect = introspectOver(http)
  const asked = Promise.all([
    introspect('token', access),
    introspect('token2', access),
    introspect('token', { ...access, action: 'create' }),
    introspect('token', { ...access, type: 'quote' }),
    introspect('token', { ...access, identifier: 'https://bank.example/bob' }),
  ])
  assert.equal(bodies.length, 5)
  for (const isActive of [true, false, false, false, false]) answer(isActive ? active : { active: false })
  assert.deepEqual(
    (await asked).map((result) => result.active),
    [true, false, false, false, false],
  )
})

test('no usable answer is a refusal, and the next request asks anew', async () => {
  const { http, answer, fail } = heldHttp()
  const introspect = introspectOver(http)
  const down = introspect('token', access)
  fail(new Fault('connection_failed', { retryable: true }))
  await assert.rejects(down, failed)
  const broken = introspect('token', access)
  answer({ active: false }, 500)
  await assert.rejects(broken, failed)
  const garbage = introspect('token', access)
  answer('active')
  await assert.rejects(garbage, failed)
  const fine = introspect('token', access)
  answer({ active: false })
  assert.deepEqual(await fine, { active: false })
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
