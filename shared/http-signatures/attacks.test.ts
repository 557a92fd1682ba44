import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, hash, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import type { HttpClient } from '../platform/index.ts'
import { type Forgery, fitsWeakKeys, forgeSignature, testClock, WEAK_KEYS } from '../testing/index.ts'
import { authenticateRequest, createAttemptLimiter } from './authenticate-request.ts'
import { createClientKeys } from './client-keys.ts'
import { SignatureRefusal, type SignatureRefusalCode } from './errors.ts'
import { type Jwk, jwkOf } from './jwk.ts'
import type { RequestHeaders } from './signature-input.ts'
import { checkRequest } from './verify-request.ts'

const url = 'https://bank.example/t'
const alice = 'https://wallet.example/alice'
const { privateKey } = generateKeyPairSync('ed25519')
const jwk = jwkOf(privateKey, 'k')
const refusedWith = (code: SignatureRefusalCode) => (error: unknown) => {
  assert.ok(error instanceof SignatureRefusal, String(error))
  assert.equal(error.code, code, error.message)
  return true
}

/** A verifier as the servers have one, and a wallet that publishes `published`. */
function setUp(published: () => unknown = () => [jwk]) {
  const clock = testClock()
  let fetches = 0
  const http: HttpClient = {
    async request() {
      fetches++
      return { status: 200, headers: {}, body: Buffer.from(JSON.stringify({ keys: published() })) }
    },
    effectiveUrl: (text) => text,
    close: async () => undefined,
  }
  const claimed = new Set<string>()
  const ctx = {
    clock,
    keys: createClientKeys({ http, clock }),
    nonces: {
      claim: async (key: string) => {
        const isNew = !claimed.has(key)
        claimed.add(key)
        return isNew
      },
    },
    limiter: createAttemptLimiter({ clock }),
    windowSeconds: 300,
  }
  const now = () => Math.floor(clock.nowMs() / 1000)
  const send = (
    request: { headers: RequestHeaders; body?: string },
    client: Parameters<typeof authenticateRequest>[2] = { walletAddress: alice },
  ) =>
    authenticateRequest(
      ctx,
      {
        method: 'POST',
        targetUri: url,
        headers: request.headers,
        rawBody: request.body === undefined ? undefined : Buffer.from(request.body),
        source: '192.0.2.1',
      },
      client,
    )
  return { clock, now, send, claimed, fetches: () => fetches }
}

/** Signs whatever is claimed. `covered` comes after method and URL. */
const forge = ({ by, ...claim }: Partial<Forgery> & { created: number; by?: KeyObject }) =>
  forgeSignature({ method: 'POST', url, keyId: 'k', privateKey: by ?? privateKey, ...claim })
const withDigest = ['@method', '@target-uri', 'content-digest']

describe('replay', () => {
  test('the same bytes are good for minutes, not for longer', async () => {
    const { clock, now, send } = setUp()
    const headers = forge({ created: now() })
    await send({ headers })
    clock.advance(1_000)
    await send({ headers })
    clock.advance(10 * 60_000)
    await assert.rejects(send({ headers }), refusedWith('created_outside_window'))
    clock.advance(24 * 3_600_000)
    await assert.rejects(send({ headers }), refusedWith('created_outside_window'))
  })
  test('bytes with a nonce are good once, for as long as they are fresh, and the nonce is the key’s own', async () => {
    const other = generateKeyPairSync('ed25519').privateKey
    const { clock, now, send } = setUp()
    const headers = forge({ created: now(), parameters: ';nonce="n1"' })
    await send({ headers })
    await assert.rejects(send({ headers }), refusedWith('nonce_reused'))
    clock.advance(299_000)
    await assert.rejects(send({ headers }), refusedWith('nonce_reused'))
    const byOther = forge({ created: now(), parameters: ';nonce="n1"', by: other })
    await send({ headers: byOther }, { jwk: jwkOf(other, 'k') })
  })
  test('who proves nothing uses up nobody’s nonce', async () => {
    const { now, send, claimed } = setUp()
    const stranger = generateKeyPairSync('ed25519').privateKey
    const forged = forge({ created: now(), parameters: ';nonce="n2"', by: stranger })
    await assert.rejects(send({ headers: forged }), refusedWith('signature_invalid'))
    assert.equal(claimed.size, 0)
    await send({ headers: forge({ created: now(), parameters: ';nonce="n2"' }) })
  })
  test('a signature without a time, or with one that is over, proves nothing', async () => {
    const { now, send } = setUp()
    const headers = forge({ created: now(), parameters: `;expires=${now() - 1}` })
    await assert.rejects(send({ headers }), refusedWith('signature_expired'))
    const timeless = forge({ created: now() })
    timeless['signature-input'] = (timeless['signature-input'] ?? '').replace(/;created=\d+/, '')
    await assert.rejects(send({ headers: timeless }), refusedWith('created_missing'))
  })
})

test('method and URL must be covered', async () => {
  const { now, send } = setUp()
  for (const derived of [['@method'], ['@target-uri'], []] as const)
    await assert.rejects(
      send({
        headers: forge({ created: now(), covered: [...derived, 'date'], headers: { date: 'x' } }),
      }),
      refusedWith('component_not_covered'),
    )
})

describe('a key that was revoked', () => {
  test('is good for a minute at most, and for the next request when it was not known', async () => {
    let keys: unknown[] = [jwk]
    const { clock, now, send } = setUp(() => keys)
    await send({ headers: forge({ created: now() }) })
    keys = []
    clock.advance(59_999)
    await send({ headers: forge({ created: now() }) })
    clock.advance(1)
    await assert.rejects(send({ headers: forge({ created: now() }) }), refusedWith('key_unknown'))

    const fresh = setUp(() => [])
    await assert.rejects(fresh.send({ headers: forge({ created: fresh.now() }) }), refusedWith('key_unknown'))
  })
})

describe('the body', () => {
  const body = '{"value":"10"}'
  const digest = (algorithm: string, text: string) => {
    const name = { 'sha-256': 'sha256', 'sha-512': 'sha512', sha: 'sha1', md5: 'md5' }[algorithm] ?? ''
    return `${algorithm}=:${hash(name, text, 'base64')}:`
  }
  const signedBody = (created: number, contentDigest: string | undefined, covers = true) =>
    forge({
      created,
      ...(covers && { covered: withDigest }),
      headers: {
        'content-type': 'application/json',
        'content-length': String(body.length),
        ...(contentDigest !== undefined && { 'content-digest': contentDigest }),
      },
    })
  const cases: [string, string | undefined, boolean, SignatureRefusalCode | 'accepted'][] = [
    ['covered, SHA-512', digest('sha-512', body), true, 'accepted'],
    ['covered, SHA-256', digest('sha-256', body), true, 'accepted'],
    ['present, not covered', digest('sha-512', body), false, 'component_not_covered'],
    ['neither present nor covered', undefined, false, 'component_not_covered'],
    ['covered, absent', undefined, true, 'component_missing'],
    ['of another body', digest('sha-512', '{"value":"11"}'), true, 'content_digest_mismatch'],
    [
      'two, the second wrong',
      `${digest('sha-512', body)}, ${digest('sha-256', 'x')}`,
      true,
      'content_digest_mismatch',
    ],
    [
      'two, the first wrong',
      `${digest('sha-512', 'x')}, ${digest('sha-256', body)}`,
      true,
      'content_digest_mismatch',
    ],
    ['SHA-1', digest('sha', body), true, 'content_digest_malformed'],
    ['MD5', digest('md5', body), true, 'content_digest_malformed'],
    [
      'a broken one beside a right one',
      `${digest('md5', 'x')}, ${digest('sha-256', body)}`,
      true,
      'accepted',
    ],
    ['empty', '', true, 'signature_malformed'],
  ]
  for (const [name, contentDigest, covers, expected] of cases)
    test(`digest ${name}: ${expected}`, async () => {
      const { now, send } = setUp()
      const sending = send({ headers: signedBody(now(), contentDigest, covers), body })
      if (expected === 'accepted') await sending
      else await assert.rejects(sending, refusedWith(expected))
    })
  test('one signature without digest does not go with two bodies, nor with any', async () => {
    const { now, send } = setUp()
    const headers = forge({ created: now(), headers: { 'content-type': 'application/json' } })
    await send({ headers })
    for (const other of [body, '{"value":"10000"}', ' '])
      await assert.rejects(send({ headers, body: other }), refusedWith('component_not_covered'))
  })
  test('a digest that is sent in two lines is one header', async () => {
    const { now, send } = setUp()
    const both = `${digest('sha-512', body)}, ${digest('sha-256', body)}`
    const headers = signedBody(now(), both)
    await send({ headers: { ...headers, 'content-digest': both.split(', ') }, body })
    const twice = `${digest('sha-512', body)}, ${digest('sha-512', body)}`
    const doubled = { ...signedBody(now(), twice), 'content-digest': twice.split(', ') }
    await assert.rejects(send({ headers: doubled, body }), refusedWith('signature_malformed'))
  })
  test('a signed digest of a body that is not there', async () => {
    const { now, send } = setUp()
    await assert.rejects(
      send({ headers: signedBody(now(), digest('sha-512', body)) }),
      refusedWith('content_digest_mismatch'),
    )
    await send({ headers: signedBody(now(), digest('sha-512', '')) })
  })
  test('the bytes count; for clients that hash the compact form, what the bytes mean', async () => {
    const { now, send } = setUp()
    const pairs: [sent: string, hashed: string][] = [
      ['{ "value": "10" }', '{"value":"10"}'],
      ['{"value":1e2}', '{"value":100}'],
      ['{"value":1.0}', '{"value":1}'],
      ['{"value":"\\u0031"}', '{"value":"1"}'],
    ]
    for (const [sent, hashed] of pairs) {
      await send({ headers: signedBody(now(), digest('sha-512', sent)), body: sent })
      await send({ headers: signedBody(now(), digest('sha-512', hashed)), body: sent })
    }
    // Nothing but what is used: a text that means something else is refused, however alike it looks.
    for (const [sent, hashed] of [
      ['{"value":"10","value":"99"}', '{"value":"10"}'],
      ['{"value":12345678901234567891}', '{"value":12345678901234567890}'],
      ['{"value":"10"}', '{ "value": "10" }'],
      ['{"value":"10"}x', '{"value":"10"}'],
    ] as const)
      await assert.rejects(
        send({ headers: signedBody(now(), digest('sha-512', hashed)), body: sent }),
        refusedWith('content_digest_mismatch'),
      )
  })
})

describe('algorithms', () => {
  test('the public key is no secret: a MAC under its bytes proves nothing', async () => {
    const { now, send } = setUp()
    const bytes = Buffer.from(jwk.x, 'base64url')
    for (const secret of [bytes, Buffer.from(jwk.x), Buffer.from(JSON.stringify(jwk)), Buffer.alloc(0)])
      for (const extra of ['', ';alg="ed25519"', ';alg="hmac-sha256"', ';alg="hmac-sha512"']) {
        const signature = (base: string) => createHmac('sha512', secret).update(base).digest()
        await assert.rejects(
          send({ headers: forge({ created: now(), parameters: extra, signature }) }),
          refusedWith(extra.includes('hmac') ? 'algorithm_unsupported' : 'signature_invalid'),
        )
      }
  })
  for (const algorithm of [
    'none',
    'rsa-pss-sha512',
    'rsa-v1_5-sha256',
    'ecdsa-p256-sha256',
    'hmac-sha256',
    'Ed25519',
    'ed448',
  ])
    test(`a right signature that calls itself ${algorithm} is refused`, async () => {
      const { now, send } = setUp()
      await assert.rejects(
        send({ headers: forge({ created: now(), parameters: `;alg="${algorithm}"` }) }),
        refusedWith('algorithm_unsupported'),
      )
    })
  test('of two signatures the one that counts must be right, whatever the other is', async () => {
    const { now, send } = setUp()
    const right = forge({ created: now() })
    const weak = forge({ created: now(), parameters: ';alg="hmac-sha256"' })
    const join = (first: Record<string, string>, second: Record<string, string>) => ({
      'signature-input': `sig1=${first['signature-input']?.slice(5)}, sig2=${second['signature-input']?.slice(5)}`,
      signature: `sig1=${first.signature?.slice(5)}, sig2=${second.signature?.slice(5)}`,
    })
    await send({ headers: join(right, weak) })
    await assert.rejects(send({ headers: join(weak, right) }), refusedWith('algorithm_unsupported'))
    const zero = { ...right, signature: `sig1=:${Buffer.alloc(64).toString('base64')}:` }
    await assert.rejects(send({ headers: join(zero, right) }), refusedWith('signature_invalid'))
  })
})

describe('weak keys', () => {
  for (const x of WEAK_KEYS)
    test(`${x} is refused where a wallet publishes it and where a client brings it`, async () => {
      const key = { ...jwk, x } as Jwk
      const { now, send } = setUp(() => [key])
      for (let offset = 0; offset < 16; offset++) {
        const headers = forge({ created: now() - offset, signature: fitsWeakKeys })
        await assert.rejects(send({ headers }), refusedWith('key_invalid'))
        await assert.rejects(send({ headers }, { jwk: key }), refusedWith('key_invalid'))
      }
    })
})

describe('headers made to be expensive', () => {
  const good = forge({ created: 1_700_000_000 })
  const input = good['signature-input'] ?? ''
  const signature = good.signature ?? ''
  const many = (part: (index: number) => string, count: number) =>
    Array.from({ length: count }, (_, index) => part(index))
  const cases: [string, Record<string, string>][] = [
    [
      'a hundred signatures',
      {
        'signature-input': many((index) => `s${index}=${input.slice(5)}`, 100).join(', '),
        signature: many((index) => `s${index}=${signature.slice(5)}`, 100).join(', '),
      },
    ],
    ['a key id of 60,000 characters', { 'signature-input': input.replace('"k"', `"${'k'.repeat(60_000)}"`) }],
    [
      '10,000 components',
      { 'signature-input': `sig1=(${many((index) => `"x${index}"`, 10_000).join(' ')});keyid="k"` },
    ],
    [
      '10,000 parameters',
      { 'signature-input': `${input}${many((index) => `;p${index}=1`, 10_000).join('')}` },
    ],
    ['60,000 backslashes', { 'signature-input': `sig1=("${'\\\\'.repeat(30_000)}");keyid="k"` }],
    ['60,000 brackets', { 'signature-input': `sig1=${'('.repeat(60_000)}` }],
    ['60,000 quotes', { 'signature-input': `sig1=${'"'.repeat(60_000)}` }],
    ['60,000 commas', { 'signature-input': ','.repeat(60_000) }],
    ['60,000 blanks', { 'signature-input': `sig1=${' '.repeat(60_000)}x` }],
    ['a signature of 60,000 characters', { signature: `sig1=:${'A'.repeat(60_000)}:` }],
    [
      'a digest with 5,000 algorithms',
      { 'content-digest': many((index) => `a${index}=:AA==:`, 5_000).join(', ') },
    ],
  ]
  for (const [name, change] of cases)
    test(`${name}: refused in less than 50 ms`, () => {
      const attempt = () => {
        const before = process.threadCpuUsage()
        assert.throws(
          () =>
            checkRequest(
              { method: 'POST', targetUri: url, headers: { ...good, ...change }, rawBody: Buffer.from('{}') },
              { now: new Date(1_700_000_000_000), windowSeconds: 300 },
            ),
          SignatureRefusal,
        )
        const { user, system } = process.threadCpuUsage(before)
        return (user + system) / 1000
      }
      // The processor's time, and the best of a few: other work on the machine is not what is measured.
      assert.ok(Math.min(attempt(), attempt(), attempt()) < 50)
    })
})
