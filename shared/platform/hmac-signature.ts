import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import canonicalize from 'canonicalize'
import { assert } from './errors.ts'

/**
 * The `t=<epoch ms>, v<version>=<hex>` signature of the Admin API, the connector's RPC and webhooks: HMAC-SHA256 over
 * `<t>.<RFC 8785 canonical JSON of the body>`, keyed with the secret's literal text (contracts/admin/admin-api.md §2,
 * webhooks.md §4). The time is in milliseconds, whatever older documents say.
 */
export interface HmacSignature {
  timestampMs: number
  version: number
  digest: Buffer
}

const HEADER = /^t=([1-9]\d{0,15}), v(0|[1-9]\d{0,3})=([0-9a-f]{64})$/

/** A key made of its text anew for each signature costs about as much as the signature. */
const keys = new Map<string, KeyObject>()
const KEYS_MAX = 1000

function keyOf(secret: string): KeyObject {
  const known = keys.get(secret)
  if (known) return known
  const key = createSecretKey(secret, 'utf8')
  if (keys.size >= KEYS_MAX) keys.clear()
  keys.set(secret, key)
  return key
}

/** In hexadecimal: Node gives digests as text for less than as bytes. */
const digestOf = (secret: string, timestampMs: number, body: unknown): string => {
  const canonical = canonicalize(body)
  assert(canonical !== undefined, 'the signed body is JSON')
  return createHmac('sha256', keyOf(secret)).update(`${timestampMs}.${canonical}`).digest('hex')
}

/** The header value for `body` as parsed JSON. */
export const signHmac = (input: {
  secret: string
  version: number
  timestampMs: number
  body: unknown
}): string =>
  `t=${input.timestampMs}, v${input.version}=${digestOf(input.secret, input.timestampMs, input.body)}`

/** One strict grammar: anything appended or rearranged is not a signature, so a replay cannot dress up as a new one. */
export function parseHmacSignature(header: unknown): HmacSignature | undefined {
  const match = typeof header === 'string' ? HEADER.exec(header) : null
  if (!match) return undefined
  const [, timestamp = '', version = '', digest = ''] = match
  return { timestampMs: Number(timestamp), version: Number(version), digest: Buffer.from(digest, 'hex') }
}

/** Constant-time check of the digest only; age, version and replay are the caller's. */
export function verifyHmacDigest(
  signature: HmacSignature,
  input: { secret: string; body: unknown },
): boolean {
  const digest = Buffer.from(digestOf(input.secret, signature.timestampMs, input.body), 'hex')
  return timingSafeEqual(signature.digest, digest)
}
