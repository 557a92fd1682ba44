import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { validateSignature, validateSignatureHeaders } from '@interledger/http-signature-utils'
import fc from 'fast-check'
import { checkContentDigest } from './content-digest.ts'
import { SignatureRefusal } from './errors.ts'
import { jwkOf, parseJwk } from './jwk.ts'
import { signRequest } from './sign-request.ts'
import { parseSignatureInput, type RequestHeaders } from './signature-input.ts'
import { targetUri } from './target-uri.ts'
import { type RequestToVerify, verifyRequest } from './verify-request.ts'

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
console.log(`fast-check seed ${seed}`)
const runs = (numRuns: number) => ({ seed, numRuns })

const { privateKey } = generateKeyPairSync('ed25519')
const jwk = jwkOf(privateKey, 'key-1')
const created = 1_700_000_000
const window = { now: new Date(created * 1000), windowSeconds: 300 }

/** Throws when `work` throws anything but a refusal. */
const accepts = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch (error) {
    assert.ok(error instanceof SignatureRefusal, String(error))
    return false
  }
}

const pieces = fc.constantFrom(
  ...'sig1|=|(|)|"|\\|,|;|:|?1|@1|%"|"@method"|"@target-uri"|"authorization"|"content-digest"| |\t|keyid="key-1"|created=1700000000|expires=1|alg="ed25519"|nonce="n"|:AAAA:|undefined|é|\0|-|1.5|999999999999999|*|a'.split(
    '|',
  ),
)
const fieldText = fc.oneof(
  fc.array(pieces, { maxLength: 25 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 80 }),
)

test('whatever the headers say, the answer is a refusal and never a crash', () => {
  fc.assert(
    fc.property(fieldText, fieldText, fieldText, fc.string(), (input, signature, digest, body) => {
      const headers: RequestHeaders = { 'signature-input': input, signature, 'content-digest': digest }
      accepts(() => parseSignatureInput(headers))
      accepts(() => checkContentDigest(digest, Buffer.from(body)))
      const request = { method: 'POST', targetUri: 'https://a.example/', headers, rawBody: Buffer.from(body) }
      assert.equal(
        accepts(() => verifyRequest({ ...request, ...window, jwk })),
        false,
      )
    }),
    runs(20_000),
  )
})

test('well-formed inputs with strange members are refused or understood, never more', () => {
  const fullBytes = `:${Buffer.alloc(64, 9).toString('base64')}:`
  fc.assert(
    fc.property(fieldText, (tail) => {
      const input = `sig1=("@method" "@target-uri")${tail}`
      accepts(() => parseSignatureInput({ 'signature-input': input, signature: `sig1=${fullBytes}` }))
    }),
    runs(10_000),
  )
})

test('any JSON as a key, any text as a host: refused or read', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), fc.string(), (value, host, url) => {
      accepts(() => parseJwk(value))
      accepts(() =>
        targetUri(
          { url, headers: { host, 'x-forwarded-proto': host, 'x-forwarded-host': url }, isTls: false },
          { trustProxy: true, publicHosts: new Set(['a.example']) },
        ),
      )
    }),
    runs(5_000),
  )
})

interface Signed extends RequestToVerify {
  headers: Record<string, string>
  rawBody: Buffer
}
const signed: fc.Arbitrary<Signed> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    path: fc.webPath(),
    query: fc.webQueryParameters(),
    token: fc.option(fc.stringMatching(/^[A-Za-z0-9-]{1,40}$/)),
    body: fc.option(fc.jsonValue()),
  })
  .map(({ method, path, query, token, body }) => {
    const targetUri = `https://bank.example${path}?${query}`
    const text = body === null ? '' : JSON.stringify(body)
    const headers = signRequest({
      method,
      url: targetUri,
      headers: token === null ? {} : { Authorization: `GNAP ${token}` },
      ...(text !== '' && { body: text }),
      privateKey,
      keyId: 'key-1',
      created,
    })
    const lowerCase = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    )
    return { method, targetUri, headers: lowerCase, rawBody: Buffer.from(text) }
  })
const verified = (request: Signed) => accepts(() => verifyRequest({ ...request, ...window, jwk }))

test('what is signed verifies, in any order of headers', () => {
  fc.assert(
    fc.property(signed, (request) => {
      assert.ok(verified(request))
      const reversed = Object.fromEntries(Object.entries(request.headers).reverse())
      assert.ok(verified({ ...request, headers: reversed }))
    }),
    runs(300),
  )
})

const compact = (body: Buffer) => JSON.stringify(JSON.parse(body.toString('utf8')))

test('one changed bit of what is covered is refused', () => {
  const flip = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes)
    const index = Math.floor(at / 8) % copy.length
    copy[index] = (copy[index] ?? 0) ^ (1 << (at % 8))
    return copy
  }
  fc.assert(
    fc.property(signed, fc.nat(1_000_000), fc.nat(3), (request, at, what) => {
      const covered = [
        'authorization',
        'content-digest',
        'content-length',
        'content-type',
        'signature-input',
        'signature',
      ]
      const names = covered.filter((name) => request.headers[name] !== undefined)
      const changed = { ...request, headers: { ...request.headers } }
      if (what === 0)
        changed.targetUri = flip(Buffer.from(request.targetUri, 'latin1'), at).toString('latin1')
      else if (what === 1 && request.rawBody.length > 0) changed.rawBody = flip(request.rawBody, at)
      else {
        const name = names[at % names.length] ?? 'signature'
        const value = flip(Buffer.from(request.headers[name] ?? '', 'latin1'), at).toString('latin1')
        // Blanks around a value are no part of it.
        if (value.trim() === request.headers[name]) return
        changed.headers[name] = value
      }
      // Two texts of one JSON value, such as 1.5e-323 and 1.6e-323, are the same to us: what is used is what was signed.
      if (verified(changed)) assert.equal(what === 1 && compact(changed.rawBody), compact(request.rawBody))
    }),
    runs(1_500),
  )
})

test('what is accepted here is accepted by the verifier of the field', async () => {
  const edits = fc.constantFrom('none', 'drop', 'blank', 'append')
  await fc.assert(
    fc.asyncProperty(signed, edits, fc.nat(100), async (request, edit, which) => {
      const headers = { ...request.headers }
      const names = Object.keys(headers)
      const name = names[which % names.length] ?? ''
      if (edit === 'drop') delete headers[name]
      else if (edit === 'blank') headers[name] = ''
      else if (edit === 'append') headers[name] += ';x'
      if (!verified({ ...request, headers })) return
      const text = request.rawBody.toString()
      const theirs = {
        method: request.method,
        url: request.targetUri,
        headers,
        ...(text !== '' && { body: text }),
      }
      assert.ok(validateSignatureHeaders(theirs), 'headers')
      assert.ok(await validateSignature(jwk, theirs), 'signature')
    }),
    runs(400),
  )
})
