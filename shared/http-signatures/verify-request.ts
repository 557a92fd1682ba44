import { verify } from 'node:crypto'
import { checkContentDigest } from './content-digest.ts'
import { SignatureRefusal } from './errors.ts'
import { importJwk, type Jwk } from './jwk.ts'
import {
  headerValue,
  type ParsedSignature,
  parseSignatureInput,
  type RequestHeaders,
} from './signature-input.ts'

export interface RequestToVerify {
  method: string
  /** From {@link targetUri}: as the client wrote it, nothing normalised. */
  targetUri: string
  headers: RequestHeaders
  /** The body's bytes; absent or empty when there is none. */
  rawBody?: Buffer | undefined
}

/** What the signature says and, in `base`, the text that it has to sign. */
export interface CheckedRequest extends ParsedSignature {
  base: string
}

interface Window {
  now: Date
  /** How far `created` may be from now, both ways (SIGNATURE_WINDOW_SECONDS). */
  windowSeconds: number
}

/** Order of the curve's prime subgroup (RFC 8032 §5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n

function derivedComponent(name: string, request: RequestToVerify): string | undefined {
  if (name === '@method') return request.method
  if (name === '@target-uri') return request.targetUri
  const [, scheme = '', authority = '', path = '', query = ''] =
    /^([a-z]+):\/\/([^/?]*)([^?]*)(\?.*)?$/s.exec(request.targetUri) ?? []
  switch (name) {
    case '@scheme':
      return scheme
    case '@authority':
      return authority.toLowerCase().replace(scheme === 'https' ? /:443$/ : /:80$/, '')
    case '@path':
      return path === '' ? '/' : path
    case '@query':
      return query === '' ? '?' : query
    case '@request-target':
      return `${path}${query}`
    default:
      return undefined
  }
}

/** The text that is signed (RFC 9421 §2.5). */
export function signatureBase(parsed: ParsedSignature, request: RequestToVerify): string {
  const lines = parsed.components.map((name) => {
    const isDerived = name.startsWith('@')
    const value = isDerived ? derivedComponent(name, request) : headerValue(request.headers, name)
    if (value === undefined)
      throw new SignatureRefusal(isDerived ? 'component_unsupported' : 'component_missing', {
        message: isDerived ? 'a covered component is not supported' : 'a covered header is absent',
      })
    return `"${name}": ${value}\n`
  })
  return `${lines.join('')}"@signature-params": ${parsed.params}`
}

function checkCoverage(parsed: ParsedSignature, request: RequestToVerify): void {
  const covers = (name: string) => parsed.components.includes(name)
  const mustCover = (name: string) => {
    if (!covers(name))
      throw new SignatureRefusal('component_not_covered', { message: `the signature must cover ${name}` })
  }
  mustCover('@method')
  mustCover('@target-uri')
  if (headerValue(request.headers, 'authorization') !== undefined) mustCover('authorization')
  const body = request.rawBody ?? Buffer.alloc(0)
  if (body.length > 0) mustCover('content-digest')
  if (!covers('content-digest')) return
  for (const name of ['content-digest', 'content-length', 'content-type'])
    if (headerValue(request.headers, name) === undefined)
      throw new SignatureRefusal('component_missing', { message: `a signed body needs the header ${name}` })
  checkContentDigest(headerValue(request.headers, 'content-digest') ?? '', body)
}

function checkTimes(parsed: ParsedSignature, { now, windowSeconds }: Window): void {
  const seconds = Math.floor(now.getTime() / 1000)
  if (parsed.created === undefined)
    throw new SignatureRefusal('created_missing', { message: 'the signature does not say when it was made' })
  if (Math.abs(seconds - parsed.created) > windowSeconds)
    throw new SignatureRefusal('created_outside_window', { message: 'the signature is too old or too new' })
  if (parsed.expires !== undefined && seconds > parsed.expires)
    throw new SignatureRefusal('signature_expired', { message: 'the signature has expired' })
}

/** Everything that can be known without the key: form, coverage, digest, time. */
export function checkRequest(request: RequestToVerify, window: Window): CheckedRequest {
  const parsed = parseSignatureInput(request.headers)
  if (parsed.algorithm !== undefined && parsed.algorithm !== 'ed25519')
    throw new SignatureRefusal('algorithm_unsupported', { message: 'the algorithm must be ed25519' })
  checkTimes(parsed, window)
  checkCoverage(parsed, request)
  return { ...parsed, base: signatureBase(parsed, request) }
}

/** The key's part. Throws `signature_invalid`, or `key_invalid` for a key that must not be used. */
export function verifySignature(checked: CheckedRequest, jwk: Jwk): void {
  const key = importJwk(jwk)
  const s = BigInt(`0x${Buffer.from(checked.signature.subarray(32)).reverse().toString('hex')}`)
  // A second S for the same signature would make one request look like two (RFC 8032 §5.1.7).
  if (s >= L || !verify(null, Buffer.from(checked.base, 'utf8'), key, checked.signature))
    throw new SignatureRefusal('signature_invalid', { message: 'the signature does not verify' })
}

/** Throws {@link SignatureRefusal} unless the holder of `jwk` signed this request, all of it, now. */
export function verifyRequest(request: RequestToVerify & Window & { jwk: Jwk }): void {
  const checked = checkRequest(request, request)
  if (checked.keyId !== request.jwk.kid)
    throw new SignatureRefusal('keyid_mismatch', { message: 'the signature names another key' })
  verifySignature(checked, request.jwk)
}
