import { createHmac, timingSafeEqual } from 'node:crypto'
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

const digestOf = (secret: string, timestampMs: number, body: unknown): Buffer => {
  const canonical = canonicalize(body)
  assert(canonical !== undefined, 'the signed body is JSON')
  return createHmac('sha256', secret).update(`${timestampMs}.${canonical}`).digest()
}

/** The header value for `body` as parsed JSON. */
export const signHmac = (input: {
  secret: string
  version: number
  timestampMs: number
  body: unknown
}): string =>
  `t=${input.timestampMs}, v${input.version}=${digestOf(input.secret, input.timestampMs, input.body).toString('hex')}`

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
  return timingSafeEqual(signature.digest, digestOf(input.secret, signature.timestampMs, input.body))
}
