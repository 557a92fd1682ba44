import assert from 'node:assert/strict'
import { createPrivateKey, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { SignatureRefusal } from './errors.ts'
import { jwkOf } from './jwk.ts'
import { headerValue, parseSignatureInput, type RequestHeaders } from './signature-input.ts'
import { type RequestToVerify, signatureBase, verifyRequest, verifySignature } from './verify-request.ts'

// RFC 9421 B.1.4, a published test key.
const privateKey = createPrivateKey({
  key: {
    kty: 'OKP',
    crv: 'Ed25519',
    d: 'n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU',
    x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
  },
  format: 'jwk',
})
const jwk = jwkOf(privateKey, 'test-key-ed25519')

const check = (request: RequestToVerify): string => {
  const parsed = parseSignatureInput(request.headers)
  const base = signatureBase(parsed, request)
  verifySignature({ ...parsed, base }, jwk)
  return base
}
const isRefused = (request: RequestToVerify) =>
  assert.throws(
    () => check(request),
    (error) => error instanceof SignatureRefusal && error.code === 'signature_invalid',
  )

describe('B.2.6: a request signed with Ed25519', () => {
  const params =
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"'
  const signature = 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=='
  const request = {
    method: 'POST',
    targetUri: 'https://example.com/foo?param=Value&Pet=dog',
    headers: {
      host: 'example.com',
      date: 'Tue, 20 Apr 2021 02:07:55 GMT',
      'content-type': 'application/json',
      'content-digest':
        'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
      'content-length': '18',
      'signature-input': `sig-b26=${params}`,
      signature: `sig-b26=:${signature}:`,
    },
    rawBody: Buffer.from('{"hello": "world"}'),
  }
  const base = [
    '"date": Tue, 20 Apr 2021 02:07:55 GMT',
    '"@method": POST',
    '"@path": /foo',
    '"@authority": example.com',
    '"content-type": application/json',
    '"content-length": 18',
    `"@signature-params": ${params}`,
  ].join('\n')

  test('the base and the signature are those of the RFC, byte for byte', () => {
    assert.equal(check(request), base)
    assert.equal(sign(null, Buffer.from(check(request)), privateKey).toString('base64'), signature)
  })
  test('everything that is covered is protected', () => {
    isRefused({ ...request, method: 'PUT' })
    isRefused({ ...request, targetUri: 'https://example.com/bar?param=Value&Pet=dog' })
    isRefused({ ...request, targetUri: 'https://example.org/foo?param=Value&Pet=dog' })
    for (const name of ['date', 'content-type', 'content-length'])
      isRefused({ ...request, headers: { ...request.headers, [name]: '19' } })
  })
  test('our own rules refuse it: neither the whole URL nor the body is covered', () => {
    const now = new Date(1_618_884_473_000)
    assert.throws(
      () => verifyRequest({ ...request, jwk, now, windowSeconds: 300 }),
      (error) => error instanceof SignatureRefusal && error.code === 'component_not_covered',
    )
  })
})

describe('B.4: what may happen to a signed message on its way', () => {
  const params = '("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"'
  const signature = 'ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA=='
  const signed = { 'signature-input': `transform=${params}`, signature: `transform=:${signature}:` }
  const original = {
    method: 'GET',
    targetUri: 'https://example.org/demo?name1=Value1&Name2=value2',
    headers: {
      host: 'example.org',
      date: 'Fri, 15 Jul 2022 14:24:55 GMT',
      accept: ['application/json', '*/*'],
      ...signed,
    },
  }

  test('the base and the signature are those of the RFC, byte for byte', () => {
    const base = check(original)
    assert.equal(
      base,
      [
        '"@method": GET',
        '"@path": /demo',
        '"@authority": example.org',
        '"accept": application/json, */*',
        `"@signature-params": ${params}`,
      ].join('\n'),
    )
    assert.equal(sign(null, Buffer.from(base), privateKey).toString('base64'), signature)
  })
  test('a header and a query parameter that nobody signed may be added', () => {
    check({
      ...original,
      targetUri: `${original.targetUri}&param=added`,
      headers: { ...original.headers, 'accept-language': 'en-US,en;q=0.5' },
    })
  })
  test('unsigned headers may go and come, and lines of one header be joined', () => {
    check({
      ...original,
      headers: {
        host: 'example.org',
        referer: 'https://developer.example.org/demo',
        accept: 'application/json, */*',
        ...signed,
      },
    })
  })
  test('headers may be in another order', () => {
    check({ ...original, headers: Object.fromEntries(Object.entries(original.headers).reverse()) })
  })
  test('another method or authority is refused', () => {
    isRefused({ ...original, method: 'POST' })
    isRefused({ ...original, targetUri: original.targetUri.replace('example.org', 'example.com') })
    isRefused({
      ...original,
      method: 'POST',
      targetUri: original.targetUri.replace('example.org', 'example.com'),
      headers: { ...original.headers, host: 'example.com' },
    })
  })
  test('values of one header in another order are refused', () => {
    isRefused({ ...original, headers: { ...original.headers, accept: ['*/*', 'application/json'] } })
  })
})

describe('2.1 and 2.2: components', () => {
  const headers: RequestHeaders = {
    host: 'www.example.com',
    'x-ows-header': '  Leading and trailing whitespace.   ',
    'cache-control': ['max-age=60', '   must-revalidate'],
    'example-dict': ' a=1,    b=2;x=1;y=2,   c=(a   b   c)',
    'x-empty-header': '',
  }
  test('a header is trimmed, repeated lines are joined, an empty one is empty', () => {
    assert.equal(headerValue(headers, 'x-ows-header'), 'Leading and trailing whitespace.')
    assert.equal(headerValue(headers, 'cache-control'), 'max-age=60, must-revalidate')
    assert.equal(headerValue(headers, 'example-dict'), 'a=1,    b=2;x=1;y=2,   c=(a   b   c)')
    assert.equal(headerValue(headers, 'x-empty-header'), '')
    assert.equal(headerValue(headers, 'x-absent'), undefined)
  })
  const derived: [string, string, string][] = [
    ['https://www.example.com/path?param=value', '@target-uri', 'https://www.example.com/path?param=value'],
    ['https://www.example.com/path?param=value', '@authority', 'www.example.com'],
    ['https://www.EXAMPLE.com:443/path', '@authority', 'www.example.com'],
    ['https://www.example.com:8443/path', '@authority', 'www.example.com:8443'],
    ['http://www.example.com/path', '@scheme', 'http'],
    ['https://www.example.com/path?param=value', '@request-target', '/path?param=value'],
    ['https://www.example.com/path?param=value', '@path', '/path'],
    ['https://www.example.com', '@path', '/'],
    [
      'https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman',
      '@query',
      '?param=value&foo=bar&baz=bat%2Dman',
    ],
    ['https://www.example.com/path?queryString', '@query', '?queryString'],
    ['https://www.example.com/path?', '@query', '?'],
    ['https://www.example.com/path', '@query', '?'],
  ]
  for (const [targetUri, name, value] of derived)
    test(`${name} of ${targetUri}`, () => {
      const params = `("${name}");keyid="k"`
      const signature = `sig1=:${Buffer.alloc(64).toString('base64')}:`
      const request = {
        method: 'GET',
        targetUri,
        headers: { signature, 'signature-input': `sig1=${params}` },
      }
      assert.equal(
        signatureBase(parseSignatureInput(request.headers), request),
        `"${name}": ${value}\n"@signature-params": ${params}`,
      )
    })
})
