import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { createHeaders, validateSignature, validateSignatureHeaders } from '@interledger/http-signature-utils'
import { createSigner, createVerifier, httpbis } from 'http-message-signatures'
import { contentDigestOf } from './content-digest.ts'
import { SignatureRefusal, type SignatureRefusalCode } from './errors.ts'
import { importJwk, type Jwk, jwkOf, jwkThumbprint, parseJwk } from './jwk.ts'
import { signRequest } from './sign-request.ts'
import { parseSignatureInput, type RequestHeaders } from './signature-input.ts'
import { publicHostsOf, targetUri } from './target-uri.ts'
import { checkRequest, signatureBase, verifyRequest, verifySignature } from './verify-request.ts'

interface Vector {
  name: string
  expect: string
  method: string
  url: string
  headers: Record<string, string>
  body: string | null
  signatureBase?: string
}
const file = JSON.parse(
  readFileSync(new URL('./fixtures/httpsig-vectors.json', import.meta.url), 'utf8'),
) as { jwk: Jwk; privateSeedHex: string; vectors: Vector[] }

const privateKeyOf = (seedHex: string): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seedHex, 'hex')]),
    format: 'der',
    type: 'pkcs8',
  })
const jwk = parseJwk(file.jwk)
const privateKey = privateKeyOf(file.privateSeedHex)
const created = 1_700_000_000
const url = 'https://auth.example/t'
const lowerCase = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const at = (seconds: number) => new Date(seconds * 1000)
const verifyAs = (
  request: { method?: string; url?: string; headers: RequestHeaders; body?: string | Buffer | null },
  options: { now?: number; jwk?: Jwk } = {},
) =>
  verifyRequest({
    method: request.method ?? 'POST',
    targetUri: request.url ?? url,
    headers: request.headers,
    rawBody: request.body === undefined || request.body === null ? undefined : Buffer.from(request.body),
    jwk: options.jwk ?? jwk,
    now: at(options.now ?? created),
    windowSeconds: 300,
  })
const refusedWith = (code: SignatureRefusalCode) => (error: unknown) => {
  assert.ok(error instanceof SignatureRefusal, String(error))
  assert.equal(error.code, code, error.message)
  return true
}

/** Signs any text as signature parameters, so that tests can claim what the official signer never would. */
function signRaw(input: {
  params: string
  headers?: Record<string, string>
  body?: string
  label?: string
  components: string[]
  method?: string
}): Record<string, string> {
  const headers = lowerCase(input.headers ?? {})
  const value = (name: string) =>
    name === '@method' ? (input.method ?? 'POST') : name === '@target-uri' ? url : headers[name]
  const base = [
    ...input.components.map((name) => `"${name}": ${value(name)}`),
    `"@signature-params": ${input.params}`,
  ].join('\n')
  const signature = sign(null, Buffer.from(base, 'utf8'), privateKey).toString('base64')
  const label = input.label ?? 'sig1'
  return { ...headers, 'signature-input': `${label}=${input.params}`, signature: `${label}=:${signature}:` }
}
describe('vectors', () => {
  test('there are all of them', () => assert.equal(file.vectors.length, 19))
  for (const vector of file.vectors)
    test(`${vector.name}: ${vector.expect}`, () => {
      const now = vector.name === 'expired' ? created + 2 : created
      const verify = () => verifyAs(vector, { now })
      if (vector.expect.startsWith('accept')) {
        verify()
        const checked = checkRequest(
          {
            method: vector.method,
            targetUri: vector.url,
            headers: vector.headers,
            rawBody: Buffer.from(vector.body ?? ''),
          },
          { now: at(now), windowSeconds: 300 },
        )
        assert.equal(checked.base, vector.signatureBase)
      } else assert.throws(verify, SignatureRefusal)
    })
})

test('RFC 9421 B.2.6: other labels and components, byte for byte', () => {
  const headers = {
    host: 'example.com',
    date: 'Tue, 20 Apr 2021 02:07:55 GMT',
    'content-type': 'application/json',
    'content-length': '18',
    'signature-input':
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    signature:
      'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
  }
  const request = { method: 'POST', targetUri: 'https://example.com/foo?param=Value&Pet=dog', headers }
  const parsed = parseSignatureInput(headers)
  const key = parseJwk({
    kid: 'test-key-ed25519',
    alg: 'EdDSA',
    kty: 'OKP',
    crv: 'Ed25519',
    x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
  })
  verifySignature({ ...parsed, base: signatureBase(parsed, request) }, key)
  const other = { ...request, method: 'PUT' }
  assert.throws(
    () => verifySignature({ ...parsed, base: signatureBase(parsed, other) }, key),
    refusedWith('signature_invalid'),
  )
})

describe('with the official client', () => {
  const body = '{"client":"https://wallet.example/alice","n":"é"}'
  const requests: { name: string; method: string; headers: Record<string, string>; body?: string }[] = [
    { name: 'grant request', method: 'POST', headers: {}, body },
    { name: 'with token', method: 'GET', headers: { Authorization: 'GNAP token' } },
    { name: 'with token and body', method: 'POST', headers: { Authorization: 'GNAP token' }, body },
  ]
  for (const request of requests) {
    test(`its signature verifies here: ${request.name}`, async () => {
      const headers = await createHeaders({
        request: { ...request, url, headers: { ...request.headers } },
        privateKey,
        keyId: jwk.kid,
      })
      const now = Math.floor(Date.now() / 1000)
      verifyAs(
        {
          method: request.method,
          headers: lowerCase({ ...request.headers, ...(headers as unknown as Record<string, string>) }),
          body: request.body ?? null,
        },
        { now },
      )
    })
    test(`ours verifies there, and is the same text: ${request.name}`, async () => {
      const ours = signRequest({
        method: request.method,
        url,
        headers: request.headers,
        ...(request.body !== undefined && { body: request.body }),
        privateKey,
        keyId: jwk.kid,
        created,
      })
      const theirRequest = {
        method: request.method,
        url,
        headers: lowerCase(ours),
        ...(request.body !== undefined && { body: request.body }),
      }
      assert.ok(validateSignatureHeaders(theirRequest))
      assert.ok(await validateSignature(jwk, theirRequest))
    })
  }
  test('what it digests when the body is not compact', async () => {
    const pretty = '{\n  "a": 1.0\n}'
    const headers = await createHeaders({
      request: { method: 'POST', url, headers: {}, body: pretty },
      privateKey,
      keyId: jwk.kid,
    })
    const received = { headers: lowerCase(headers as unknown as Record<string, string>), body: pretty }
    verifyAs(received, { now: Math.floor(Date.now() / 1000) })
    assert.throws(
      () => verifyAs({ ...received, body: '{"a":2}' }, { now: Math.floor(Date.now() / 1000) }),
      refusedWith('content_digest_mismatch'),
    )
  })
  test('retries of signed requests carry the text undefined', () => {
    assert.throws(
      () =>
        verifyAs({
          method: 'GET',
          headers: { signature: 'undefined', 'signature-input': 'undefined', authorization: 'GNAP x' },
        }),
      refusedWith('signature_malformed'),
    )
  })
})

describe('with http-message-signatures', () => {
  const received = { authorization: 'GNAP token', 'content-type': 'application/json', host: 'auth.example' }
  test('its signatures verify here, whatever label and order', async () => {
    for (const [name, params] of [
      ['sig1', ['keyid', 'created']],
      ['other-label', ['created', 'alg', 'keyid']],
      ['*x', ['created', 'keyid', 'expires', 'nonce', 'tag']],
    ] as const) {
      const message = { method: 'DELETE', url, headers: { ...received } }
      const signed = await httpbis.signMessage(
        {
          key: createSigner(privateKey, 'ed25519', jwk.kid),
          name,
          params: [...params],
          paramValues: { created: at(created), expires: at(created + 100), nonce: 'n', tag: 't' },
          fields: [
            '@method',
            '@target-uri',
            'authorization',
            '@authority',
            '@path',
            '@query',
            '@scheme',
            '@request-target',
          ],
        },
        message,
      )
      verifyAs({ method: 'DELETE', headers: lowerCase(signed.headers as Record<string, string>) })
    }
  })
  test('ours verify there', async () => {
    const headers = signRequest({
      method: 'POST',
      url,
      headers: { Authorization: 'GNAP t' },
      body: '{}',
      privateKey,
      keyId: jwk.kid,
      created,
    })
    const verified = await httpbis.verifyMessage(
      {
        keyLookup: async () => ({
          id: jwk.kid,
          algs: ['ed25519'],
          verify: createVerifier(importJwk(jwk), 'ed25519'),
        }),
        tolerance: 10 ** 9,
      },
      { method: 'POST', url, headers },
    )
    assert.equal(verified, true)
  })
})

const components = ['@method', '@target-uri']
const list = (names: string[]) => `(${names.map((name) => `"${name}"`).join(' ')})`
const plain = `${list(components)};keyid="op-test-key";created=${created}`

describe('time', () => {
  const headers = signRaw({ components, params: plain })
  for (const offset of [-300, -299, 0, 299, 300])
    test(`created ${offset} s away is accepted`, () => verifyAs({ headers }, { now: created - offset }))
  for (const offset of [-301, 301, 10 ** 9])
    test(`created ${offset} s away is refused`, () =>
      assert.throws(
        () => verifyAs({ headers }, { now: created - offset }),
        refusedWith('created_outside_window'),
      ))
  test('expires is the last good second', () => {
    const params = `${plain};expires=${created + 10}`
    const expiring = signRaw({ components, params })
    verifyAs({ headers: expiring }, { now: created + 10 })
    assert.throws(
      () => verifyAs({ headers: expiring }, { now: created + 11 }),
      refusedWith('signature_expired'),
    )
  })
})

describe('signature headers', () => {
  const good = signRaw({ components, params: plain })
  const cases: [
    string,
    Partial<Record<'signature' | 'signature-input', string | undefined>>,
    SignatureRefusalCode,
  ][] = [
    ['no signature', { signature: undefined }, 'signature_missing'],
    ['empty signature', { signature: '' }, 'signature_missing'],
    ['no input', { 'signature-input': undefined }, 'signature_missing'],
    ['another label', { signature: good.signature?.replace('sig1', 'sig2') }, 'signature_malformed'],
    ['no colons', { signature: good.signature?.replaceAll(':', '') }, 'signature_malformed'],
    ['unpadded', { signature: good.signature?.replace('==:', ':') }, 'signature_malformed'],
    ['base64url', { signature: `sig1=:${'_'.repeat(85)}A==:` }, 'signature_malformed'],
    ['stray bits in base64', { signature: `sig1=:${'A'.repeat(85)}B==:` }, 'signature_malformed'],
    ['63 bytes', { signature: `sig1=:${Buffer.alloc(63).toString('base64')}:` }, 'signature_malformed'],
    ['parameters on the signature', { signature: `${good.signature};a=1` }, 'signature_malformed'],
    ['the same label twice', { signature: `${good.signature}, ${good.signature}` }, 'signature_malformed'],
    [
      'the same input twice',
      { 'signature-input': `${good['signature-input']}, ${good['signature-input']}` },
      'signature_malformed',
    ],
    ['trailing comma', { 'signature-input': `${good['signature-input']},` }, 'signature_malformed'],
    ['two labels, none is sig1', { 'signature-input': `a=${plain}, b=${plain}` }, 'signature_malformed'],
    ['not a list', { 'signature-input': 'sig1=1' }, 'signature_malformed'],
    ['open list', { 'signature-input': 'sig1=("@method"' }, 'signature_malformed'],
    [
      'token as component',
      { 'signature-input': `sig1=(method "@target-uri");keyid="k";created=${created}` },
      'signature_malformed',
    ],
    [
      'upper-case component',
      { 'signature-input': `sig1=("@method" "@target-uri" "Date");keyid="k";created=${created}` },
      'signature_malformed',
    ],
    [
      'component twice',
      { 'signature-input': `sig1=("@method" "@method" "@target-uri");keyid="k";created=${created}` },
      'signature_malformed',
    ],
    [
      'component parameters',
      { 'signature-input': `sig1=("@method" "@target-uri";req);keyid="k";created=${created}` },
      'component_unsupported',
    ],
    [
      'unknown derived component',
      { 'signature-input': `sig1=("@method" "@target-uri" "@moon");keyid="k";created=${created}` },
      'component_unsupported',
    ],
    [
      'absent header covered',
      { 'signature-input': `sig1=("@method" "@target-uri" "x-absent");keyid="k";created=${created}` },
      'component_missing',
    ],
    [
      'prototype as header',
      { 'signature-input': `sig1=("@method" "@target-uri" "constructor");keyid="k";created=${created}` },
      'component_missing',
    ],
    ['no key id', { 'signature-input': `sig1=${list(components)};created=${created}` }, 'keyid_missing'],
    [
      'key id as token',
      { 'signature-input': `sig1=${list(components)};keyid=k;created=${created}` },
      'signature_malformed',
    ],
    ['no created', { 'signature-input': `sig1=${list(components)};keyid="op-test-key"` }, 'created_missing'],
    [
      'created as text',
      { 'signature-input': `sig1=${list(components)};keyid="k";created="${created}"` },
      'signature_malformed',
    ],
    [
      'created as date',
      { 'signature-input': `sig1=${list(components)};keyid="k";created=@${created}` },
      'signature_malformed',
    ],
    ['alg rsa', { 'signature-input': `sig1=${plain};alg="rsa-pss-sha512"` }, 'algorithm_unsupported'],
    ['alg none', { 'signature-input': `sig1=${plain};alg="none"` }, 'algorithm_unsupported'],
    ['alg as token', { 'signature-input': `sig1=${plain};alg=ed25519` }, 'signature_malformed'],
    [
      '100 components',
      {
        'signature-input': `sig1=${list(Array.from({ length: 100 }, (_, index) => `x-${index}`))};keyid="k";created=${created}`,
      },
      'signature_malformed',
    ],
    ['display string', { 'signature-input': `sig1=${plain};tag=%"x"` }, 'signature_malformed'],
    ['all zero', { signature: `sig1=:${Buffer.alloc(64).toString('base64')}:` }, 'signature_invalid'],
  ]
  for (const [name, change, code] of cases)
    test(`${name}: ${code}`, () => {
      const headers = { ...good, ...change }
      assert.throws(() => verifyAs({ headers }), refusedWith(code))
    })

  test('sig1 counts among several, wherever it stands', () => {
    const bytes = good.signature?.slice('sig1='.length)
    verifyAs({
      headers: {
        'signature-input': `a=("x");keyid="other,;)", ${good['signature-input']}`,
        signature: `a=:AAAA:,  sig1=${bytes}`,
      },
    })
  })
  test('a label inside a key id is no label', () => {
    const params = `${list(components)};keyid="sig1=(\\"@method\\")";created=${created}`
    const headers = signRaw({ components, params, label: 'only' })
    const odd = parseJwk({ ...jwk, kid: 'sig1=("@method")' })
    verifyAs({ headers }, { jwk: odd })
  })
  test('another key, another key id, another message', () => {
    const other = generateKeyPairSync('ed25519').publicKey
    assert.throws(
      () => verifyAs({ headers: good }, { jwk: jwkOf(other, jwk.kid) }),
      refusedWith('signature_invalid'),
    )
    assert.throws(
      () => verifyAs({ headers: good }, { jwk: jwkOf(other, 'x') }),
      refusedWith('keyid_mismatch'),
    )
    assert.throws(() => verifyAs({ headers: good, method: 'PUT' }), refusedWith('signature_invalid'))
    assert.throws(() => verifyAs({ headers: good, url: `${url}?x` }), refusedWith('signature_invalid'))
    assert.throws(
      () => verifyAs({ headers: { ...good, authorization: 'GNAP x' } }),
      refusedWith('component_not_covered'),
    )
  })
  test('a second spelling of the same signature is refused', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const bytes = Buffer.from((good.signature ?? '').slice(6, -1), 'base64')
    const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order
    const moved = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
    const forged = Buffer.concat([bytes.subarray(0, 32), moved])
    assert.equal(forged.length, 64)
    assert.throws(
      () => verifyAs({ headers: { ...good, signature: `sig1=:${forged.toString('base64')}:` } }),
      refusedWith('signature_invalid'),
    )
  })
})

describe('content digest', () => {
  const body = '{"amount":"10","again":"10"}'
  const all = [...components, 'content-digest', 'content-length', 'content-type']
  const signBody = (digest: string, covered = all, sent = body) =>
    signRaw({
      components: covered,
      params: `${list(covered)};keyid="op-test-key";created=${created}`,
      headers: {
        'content-digest': digest,
        'content-length': String(sent.length),
        'content-type': 'application/json',
      },
    })
  const of = (algorithm: 'sha256' | 'sha512', text: string) => `:${hash(algorithm, text, 'base64')}:`
  const right512 = `sha-512=${of('sha512', body)}`
  const right256 = `sha-256=${of('sha256', body)}`

  const accepted: [string, string][] = [
    ['sha-512', right512],
    ['sha-256', right256],
    ['both', `${right512}, ${right256}`],
    ['an unknown one beside', `md5=:AAAA:, ${right512}`],
    ['an unparsable unknown one beside', `adler=x, ${right512}`],
  ]
  for (const [name, digest] of accepted)
    test(`${name} is accepted`, () => verifyAs({ headers: signBody(digest), body }))
  const refused: [string, string, SignatureRefusalCode][] = [
    ['wrong', `sha-512=${of('sha512', 'x')}`, 'content_digest_mismatch'],
    ['one of two wrong', `${right512}, sha-256=${of('sha256', 'x')}`, 'content_digest_mismatch'],
    ['short', 'sha-512=:AAAA:', 'content_digest_mismatch'],
    ['only unknown', 'md5=:AAAA:', 'content_digest_malformed'],
    ['upper case', right512.toUpperCase(), 'signature_malformed'],
    ['hex', `sha-256=${hash('sha256', body)}`, 'content_digest_malformed'],
    ['twice the same algorithm', `${right512}, ${right512}`, 'signature_malformed'],
    ['prototype', 'constructor=:AAAA:', 'content_digest_malformed'],
  ]
  for (const [name, digest, code] of refused)
    test(`${name}: ${code}`, () =>
      assert.throws(() => verifyAs({ headers: signBody(digest), body }), refusedWith(code)))
  test('a body must be covered, and its headers must be there', () => {
    const uncovered = signBody(right512, components)
    assert.throws(() => verifyAs({ headers: uncovered, body }), refusedWith('component_not_covered'))
    for (const name of ['content-digest', 'content-length', 'content-type']) {
      const { [name]: _gone, ...rest } = signBody(right512)
      assert.throws(() => verifyAs({ headers: rest, body }), refusedWith('component_missing'))
    }
    verifyAs({ headers: signBody(right512, [...components, 'content-digest']), body })
  })
  test('the header is what the official client sends', () => assert.equal(contentDigestOf(body), right512))
})

describe('keys', () => {
  test('RFC 8037 A.3 thumbprint', () =>
    assert.equal(
      jwkThumbprint({ x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }),
      'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    ))
  test('our own key as JWK', () => assert.deepEqual(jwkOf(privateKey, 'op-test-key'), jwk))

  // Eight points of small order and every non-canonical encoding of a y coordinate, with both signs.
  const P = 2n ** 255n - 19n
  const encode = (y: bigint, sign: 0 | 1) =>
    Buffer.from((y | (BigInt(sign) << 255n)).toString(16).padStart(64, '0'), 'hex')
      .reverse()
      .toString('base64url')
  const eighth = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n
  test('the eighth is one: doubled twice it has y = -1, which is d·y⁴ + 2y² = 1 on the curve', () => {
    const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
    assert.equal((d * eighth ** 4n + 2n * eighth ** 2n) % P, 1n)
  })
  const weak = [0n, 1n, P - 1n, eighth, P - eighth]
  const nonCanonical = Array.from({ length: 19 }, (_, index) => P + BigInt(index))
  for (const y of [...weak, ...nonCanonical])
    test(`y = ${y.toString(16)} is no key`, () => {
      for (const sign of [0, 1] as const)
        assert.throws(() => parseJwk({ ...jwk, x: encode(y, sign) }), refusedWith('key_invalid'))
    })
  test('the attack that small order keys allow does not verify', () => {
    const identity = { ...jwk, x: encode(1n, 0) } as Jwk
    const headers = signRaw({ components, params: plain })
    const forged = Buffer.concat([Buffer.from('01'.padEnd(64, '0'), 'hex'), Buffer.alloc(32)])
    assert.throws(
      () =>
        verifyAs(
          { headers: { ...headers, signature: `sig1=:${forged.toString('base64')}:` } },
          { jwk: identity },
        ),
      refusedWith('key_invalid'),
    )
  })
  const bad: [string, unknown][] = [
    ['null', null],
    ['text', 'x'],
    ['no alg', { ...jwk, alg: undefined }],
    ['RSA', { kid: 'k', kty: 'RSA', alg: 'RS256', n: 'AQAB', e: 'AQAB' }],
    ['symmetric', { kid: 'k', kty: 'oct', alg: 'HS256', k: 'AAAA' }],
    ['EC', { ...jwk, kty: 'EC', crv: 'P-256' }],
    ['Ed448', { ...jwk, crv: 'Ed448' }],
    ['X25519', { ...jwk, crv: 'X25519' }],
    ['for encryption', { ...jwk, use: 'enc' }],
    ['for signing only', { ...jwk, key_ops: ['sign'] }],
    ['private', { ...jwk, d: 'AAAA' }],
    ['no kid', { ...jwk, kid: undefined }],
    ['empty kid', { ...jwk, kid: '' }],
    ['long kid', { ...jwk, kid: 'k'.repeat(513) }],
    ['31 bytes', { ...jwk, x: Buffer.alloc(31, 7).toString('base64url') }],
    ['33 bytes', { ...jwk, x: Buffer.alloc(33, 7).toString('base64url') }],
    ['padded', { ...jwk, x: `${jwk.x}=` }],
    ['stray bits', { ...jwk, x: `${jwk.x.slice(0, -1)}p` }],
    ['standard base64', { ...jwk, x: jwk.x.replaceAll('_', '/') }],
  ]
  for (const [name, value] of bad)
    test(`${name} is no key`, () => assert.throws(() => parseJwk(value), refusedWith('key_invalid')))
})

describe('target URI', () => {
  const publicHosts = publicHostsOf(['https://Bank.example', 'https://localhost:3003/x', 'alias.example'])
  const of = (
    headers: Record<string, string>,
    more: { url?: string; isTls?: boolean; trustProxy?: boolean } = {},
  ) =>
    targetUri(
      { url: more.url ?? '/t?a=%2F&b', headers, isTls: more.isTls ?? false },
      { trustProxy: more.trustProxy ?? false, publicHosts },
    )
  test('scheme and host as received, path and query raw', () => {
    assert.equal(of({ host: 'bank.example' }), 'http://bank.example/t?a=%2F&b')
    assert.equal(of({ host: 'Bank.Example' }, { isTls: true }), 'https://Bank.Example/t?a=%2F&b')
    assert.equal(of({ host: 'localhost:3003' }, { url: '/%2e/..//x' }), 'http://localhost:3003/%2e/..//x')
    assert.equal(of({ host: 'bank.example:443' }, { isTls: true }), 'https://bank.example:443/t?a=%2F&b')
    assert.equal(of({ host: 'alias.example' }), 'http://alias.example/t?a=%2F&b')
  })
  test('forwarded headers count only when trusted', () => {
    const headers = {
      host: 'localhost:3003',
      'x-forwarded-proto': 'https, http',
      'x-forwarded-host': 'bank.example',
    }
    assert.equal(of(headers), 'http://localhost:3003/t?a=%2F&b')
    assert.equal(of(headers, { trustProxy: true }), 'https://bank.example/t?a=%2F&b')
    const spoofed = { ...headers, 'x-forwarded-host': 'evil.example' }
    assert.throws(() => of(spoofed, { trustProxy: true }), refusedWith('target_invalid'))
    assert.throws(
      () => of({ ...headers, 'x-forwarded-proto': 'ftp' }, { trustProxy: true }),
      refusedWith('target_invalid'),
    )
  })
  test('what is not ours is refused', () => {
    assert.throws(() => of({}), refusedWith('target_invalid'))
    assert.throws(() => of({ host: 'evil.example' }), refusedWith('target_invalid'))
    assert.throws(() => of({ host: 'bank.example:8443' }, { isTls: true }), refusedWith('target_invalid'))
    assert.throws(() => of({ host: 'bank.example:443' }), refusedWith('target_invalid'))
    assert.throws(
      () => of({ host: 'bank.example' }, { url: 'http://bank.example/t' }),
      refusedWith('target_invalid'),
    )
    assert.throws(() => of({ host: 'bank.example' }, { url: '*' }), refusedWith('target_invalid'))
  })
})

test('a key is imported once whatever it is called, and what is no key is refused each time', () => {
  const [first, second] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]
  const jwk = jwkOf(first.publicKey, 'one')
  assert.equal(importJwk(jwk), importJwk({ ...jwk, kid: 'two' }))
  assert.ok(importJwk(jwk).equals(first.publicKey))
  assert.ok(importJwk(jwkOf(second.publicKey, 'one')).equals(second.publicKey))
  for (const wrong of [
    { ...jwk, kid: '' },
    { ...jwk, alg: 'ES256' },
    { ...jwk, use: 'enc' },
    { ...jwk, d: jwk.x },
  ])
    assert.throws(() => importJwk(wrong), SignatureRefusal)
})
