import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { SignatureRefusal } from './errors.ts'

/** An Ed25519 public key as clients publish it (RFC 8037). Values come from {@link parseJwk} only. */
export interface Jwk {
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  readonly use?: 'sig'
}

const P = 2n ** 255n - 19n
/** y of points of order 8; the other pair has the negative. */
const EIGHTH = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
/** y of the eight points whose order divides 8: signatures under such a key prove nothing. */
const SMALL_ORDER_Y = new Set([0n, 1n, P - 1n, EIGHTH, P - EIGHTH])
const KEY_ID_LENGTH_MAX = 512

const littleEndian = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
const refuse = (message: string) => new SignatureRefusal('key_invalid', { message })

/** The 32 bytes of `x`, when they are the one canonical encoding of a point that is not of small order. */
function publicBytes(x: unknown): Buffer {
  if (typeof x !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(x)) throw refuse('x must be 32 bytes in base64url')
  const bytes = Buffer.from(x, 'base64url')
  if (bytes.toString('base64url') !== x) throw refuse('x must be 32 bytes in canonical base64url')
  const y = littleEndian(bytes) & (2n ** 255n - 1n)
  if (y >= P) throw refuse('x must be a canonical point')
  if (SMALL_ORDER_Y.has(y)) throw refuse('x must not be a point of small order')
  return bytes
}

/** Reads a JWK strictly: OKP, Ed25519, EdDSA, for signatures, public, neither weak nor ambiguous. Unknown members are dropped. */
export function parseJwk(value: unknown): Jwk {
  if (typeof value !== 'object' || value === null) throw refuse('a key must be an object')
  const jwk = value as Record<string, unknown>
  if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || jwk.alg !== 'EdDSA')
    throw refuse('a key must be OKP, Ed25519, EdDSA')
  if (jwk.use !== undefined && jwk.use !== 'sig') throw refuse('a key must be for signatures')
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify')))
    throw refuse('a key must be for verifying')
  if (jwk.d !== undefined) throw refuse('a private key does not belong here')
  if (typeof jwk.kid !== 'string' || jwk.kid === '' || jwk.kid.length > KEY_ID_LENGTH_MAX)
    throw refuse('a key must have a kid')
  publicBytes(jwk.x)
  return Object.freeze({
    kid: jwk.kid,
    alg: 'EdDSA',
    kty: 'OKP',
    crv: 'Ed25519',
    x: jwk.x as string,
    ...(jwk.use === 'sig' && { use: 'sig' as const }),
  })
}

/** Imported keys by `x`, which alone makes them what they are. */
const imported = new Map<string, KeyObject>()
const IMPORTED_MAX = 10_000

/** The key for `crypto.verify`, after the checks of {@link parseJwk}. */
export function importJwk(value: unknown): KeyObject {
  const { kty, crv, x } = parseJwk(value)
  const known = imported.get(x)
  if (known) return known
  const key = createPublicKey({ key: { kty, crv, x }, format: 'jwk' })
  // The oldest goes: whoever sends many keys makes others import again, no more.
  const oldest = imported.size >= IMPORTED_MAX ? imported.keys().next() : undefined
  if (oldest && !oldest.done) imported.delete(oldest.value)
  imported.set(x, key)
  return key
}

/** The JWK to publish for a private or public Ed25519 key of ours. */
export function jwkOf(key: KeyObject, keyId: string): Jwk {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const { kty, crv, x } = publicKey.export({ format: 'jwk' })
  return parseJwk({ kid: keyId, alg: 'EdDSA', kty, crv, x })
}

/** RFC 7638 with SHA-256: names a key whatever it is called. */
export const jwkThumbprint = (jwk: Pick<Jwk, 'x'>): string =>
  hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`, 'base64url')
