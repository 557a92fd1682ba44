import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { Fault, type HttpClient, type HttpRequest } from '../platform/index.ts'
import { testClock } from '../testing/index.ts'
import { authenticateRequest, createAttemptLimiter } from './authenticate-request.ts'
import { createClientKeys } from './client-keys.ts'
import { SignatureRefusal, type SignatureRefusalCode } from './errors.ts'
import { jwkOf } from './jwk.ts'
import { signRequest } from './sign-request.ts'

const alice = 'https://wallet.example/alice'
const keyNamed = (kid: string) => {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, jwk: jwkOf(privateKey, kid) }
}
const one = keyNamed('one')
const two = keyNamed('two')
const refusedWith = (code: SignatureRefusalCode) => (error: unknown) => {
  assert.ok(error instanceof SignatureRefusal, String(error))
  assert.equal(error.code, code, error.message)
  return true
}

/** A wallet that serves what `answer` says. */
function setUp(answer: () => unknown = () => ({ keys: [one.jwk] })) {
  const clock = testClock()
  const fetched: HttpRequest[] = []
  let current = answer
  const http: HttpClient = {
    async request(input) {
      fetched.push(input)
      await new Promise((resolve) => setImmediate(resolve))
      const value = current()
      if (value instanceof Error) throw value
      const isText = typeof value === 'string'
      return { status: 200, headers: {}, body: Buffer.from(isText ? value : JSON.stringify(value)) }
    },
    effectiveUrl: (url) => url,
    close: async () => undefined,
  }
  const keys = createClientKeys({ http, clock, entriesMax: 3 })
  return {
    clock,
    fetched,
    keys,
    serve: (next: () => unknown) => {
      current = next
    },
  }
}

describe('client keys', () => {
  test('are fetched below the wallet address, unsigned, with redirects', async () => {
    const { keys, fetched } = setUp()
    assert.deepEqual(await keys.get(alice, 'one'), one.jwk)
    await keys.get('https://wallet.example/', 'one')
    assert.deepEqual(
      fetched.map(({ url, method, redirectsMax }) => ({ url, method, redirectsMax })),
      [
        { url: `${alice}/jwks.json`, method: 'GET', redirectsMax: 3 },
        { url: 'https://wallet.example/jwks.json', method: 'GET', redirectsMax: 3 },
      ],
    )
  })
  test('are shared by callers at the same time and kept a minute', async () => {
    const { keys, fetched, clock } = setUp()
    await Promise.all(Array.from({ length: 20 }, () => keys.get(alice, 'one')))
    clock.advance(59_999)
    await keys.get(alice, 'one')
    assert.equal(fetched.length, 1)
    clock.advance(1)
    await keys.get(alice, 'one')
    assert.equal(fetched.length, 2)
  })
  test('an unknown one is looked for again, at most every 2 s', async () => {
    const { keys, fetched, clock, serve } = setUp()
    await keys.get(alice, 'one')
    await assert.rejects(keys.get(alice, 'two'), refusedWith('key_unknown'))
    assert.equal(fetched.length, 1, 'the set is fresh')
    clock.advance(2_000)
    serve(() => ({ keys: [one.jwk, two.jwk] }))
    assert.deepEqual(await keys.get(alice, 'two'), two.jwk)
    assert.equal(fetched.length, 2)
  })
  test('a revoked one dies with its minute, even when the wallet does not answer', async () => {
    const { keys, clock, serve } = setUp()
    await keys.get(alice, 'one')
    serve(() => new Fault('connection_failed', { retryable: true }))
    clock.advance(59_000)
    assert.deepEqual(await keys.get(alice, 'one'), one.jwk)
    clock.advance(1_000)
    await assert.rejects(keys.get(alice, 'one'), refusedWith('keys_unavailable'))
  })
  test('failures are remembered 2 s', async () => {
    const { keys, fetched, clock, serve } = setUp(() => new Fault('egress_denied', { retryable: false }))
    for (let round = 0; round < 5; round++)
      await assert.rejects(keys.get(alice, 'one'), refusedWith('keys_unavailable'))
    assert.equal(fetched.length, 1)
    clock.advance(2_000)
    serve(() => ({ keys: [one.jwk] }))
    assert.deepEqual(await keys.get(alice, 'one'), one.jwk)
  })
  test('a wallet that stops answering is not asked for every unknown key', async () => {
    const { keys, fetched, clock, serve } = setUp()
    await keys.get(alice, 'one')
    serve(() => new Fault('connection_failed', { retryable: true }))
    clock.advance(2_000)
    for (let round = 0; round < 5; round++)
      await assert.rejects(keys.get(alice, `x${round}`), refusedWith('key_unknown'))
    assert.equal(fetched.length, 2)
  })
  test('no more wallets are remembered than allowed', async () => {
    const { keys, fetched } = setUp()
    for (const name of ['a', 'b', 'c', 'd', 'a']) await keys.get(`https://wallet.example/${name}`, 'one')
    assert.equal(fetched.length, 5)
  })
  const sets: [string, unknown, SignatureRefusalCode][] = [
    ['no JSON', '<html>', 'keys_unavailable'],
    ['null', null, 'keys_unavailable'],
    ['no list', { keys: {} }, 'keys_unavailable'],
    ['empty', { keys: [] }, 'key_unknown'],
    ['nonsense inside', { keys: [null, 5, {}, { kid: 7 }] }, 'key_unknown'],
    ['an RSA key of that name', { keys: [{ kid: 'one', kty: 'RSA' }] }, 'key_invalid'],
    ['first of two of the same name counts', { keys: [{ kid: 'one', kty: 'RSA' }, one.jwk] }, 'key_invalid'],
  ]
  for (const [name, document, code] of sets)
    test(`${name}: ${code}`, async () => {
      await assert.rejects(setUp(() => document).keys.get(alice, 'one'), refusedWith(code))
    })
  test('another key that is unusable does not spoil the set', async () => {
    const { keys } = setUp(() => ({ keys: [{ kid: 'rsa', kty: 'RSA' }, one.jwk] }))
    assert.deepEqual(await keys.get(alice, 'one'), one.jwk)
  })
  for (const url of ['https://wallet.example/?x', 'https://wallet.example/x#y', 'alice', ''])
    test(`not fetched: ${JSON.stringify(url)}`, async () => {
      const { keys, fetched } = setUp()
      await assert.rejects(keys.get(url, 'one'), refusedWith('keys_unavailable'))
      assert.equal(fetched.length, 0)
    })
})

describe('authenticating a request', () => {
  const url = 'https://bank.example/t'
  const requestBy = (key: typeof one, clock: { nowMs(): number }, extra: { body?: string } = {}) => {
    const signed = signRequest({
      method: 'POST',
      url,
      body: extra.body ?? '{}',
      privateKey: key.privateKey,
      keyId: key.jwk.kid,
      created: Math.floor(clock.nowMs() / 1000),
    })
    const headers = Object.fromEntries(
      Object.entries(signed).map(([name, value]) => [name.toLowerCase(), value]),
    )
    return {
      method: 'POST',
      targetUri: url,
      headers,
      rawBody: Buffer.from(extra.body ?? '{}'),
      source: '192.0.2.1',
    }
  }
  const contextOf = ({ clock, keys }: ReturnType<typeof setUp>) => ({
    clock,
    keys,
    nonces: { claim: async () => true },
    limiter: createAttemptLimiter({ clock }),
    windowSeconds: 300,
  })

  test('by a published key', async () => {
    const parts = setUp()
    const { jwk } = await authenticateRequest(contextOf(parts), requestBy(one, parts.clock), {
      walletAddress: alice,
    })
    assert.deepEqual(jwk, one.jwk)
  })
  test('by a key of its own, which must bear the name that the signature says', async () => {
    const parts = setUp()
    const ctx = contextOf(parts)
    await authenticateRequest(ctx, requestBy(two, parts.clock), { jwk: two.jwk })
    const renamed = jwkOf(two.privateKey, 'other')
    await assert.rejects(
      authenticateRequest(ctx, requestBy(two, parts.clock), { jwk: renamed }),
      refusedWith('keyid_mismatch'),
    )
    assert.equal(parts.fetched.length, 0)
  })
  test('nothing is fetched for a request that is wrong without a key', async () => {
    const parts = setUp()
    const request = requestBy(one, parts.clock)
    parts.clock.advance(301_000)
    await assert.rejects(
      authenticateRequest(contextOf(parts), request, { walletAddress: alice }),
      refusedWith('created_outside_window'),
    )
    assert.equal(parts.fetched.length, 0)
  })
  test('a key that was replaced under its name is found', async () => {
    const parts = setUp()
    const ctx = contextOf(parts)
    await parts.keys.get(alice, 'one')
    const replaced = { privateKey: two.privateKey, jwk: jwkOf(two.privateKey, 'one') }
    parts.serve(() => ({ keys: [replaced.jwk] }))
    await assert.rejects(
      authenticateRequest(ctx, requestBy(replaced, parts.clock), { walletAddress: alice }),
      refusedWith('signature_invalid'),
      'not within 2 s of the last look',
    )
    parts.clock.advance(2_000)
    await authenticateRequest(ctx, requestBy(replaced, parts.clock), { walletAddress: alice })
    assert.equal(parts.fetched.length, 2)
  })
  test('unproven work is limited per source, proven work is not', async () => {
    const parts = setUp()
    const ctx = contextOf(parts)
    const good = requestBy(one, parts.clock)
    await authenticateRequest(ctx, good, { walletAddress: alice })
    const bad = { ...good, targetUri: `${url}x` }
    const codes = new Map<string, number>()
    for (let round = 0; round < 300; round++)
      await authenticateRequest(ctx, bad, { walletAddress: alice }).catch((error: SignatureRefusal) =>
        codes.set(error.code, (codes.get(error.code) ?? 0) + 1),
      )
    // One of 200 went to the first fetch.
    assert.deepEqual(Object.fromEntries(codes), { signature_invalid: 199, too_many_attempts: 101 })
    await assert.rejects(
      authenticateRequest(ctx, good, { walletAddress: 'https://wallet.example/new' }),
      refusedWith('too_many_attempts'),
    )
    await authenticateRequest(ctx, good, { walletAddress: alice })
    await authenticateRequest(
      ctx,
      { ...good, source: '192.0.2.2' },
      { walletAddress: 'https://wallet.example/new' },
    )
    parts.clock.advance(1_000)
    for (let round = 0; round < 50; round++)
      await assert.rejects(
        authenticateRequest(ctx, bad, { walletAddress: alice }),
        refusedWith('signature_invalid'),
      )
    await assert.rejects(
      authenticateRequest(ctx, bad, { walletAddress: alice }),
      refusedWith('too_many_attempts'),
    )
  })
  test('identical requests are fine without a nonce', async () => {
    const parts = setUp()
    const ctx = contextOf(parts)
    const request = requestBy(one, parts.clock)
    for (let round = 0; round < 3; round++) await authenticateRequest(ctx, request, { walletAddress: alice })
  })
})
