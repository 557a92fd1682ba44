import type { Clock } from '../platform/index.ts'
import type { ClientKeys } from './client-keys.ts'
import { SignatureRefusal } from './errors.ts'
import { type Jwk, jwkThumbprint } from './jwk.ts'
import type { NonceStore } from './nonces.ts'
import { networkOf } from './source-network.ts'
import { type CheckedRequest, checkRequest, type RequestToVerify, verifySignature } from './verify-request.ts'

/** Whose key must have signed: a client known by its wallet address, which publishes keys, or by the key itself. */
export type KeySource = { walletAddress: string } | { jwk: Jwk }

export interface Authenticated {
  keyId: string
  jwk: Jwk
}

/** Bounds unproven work per source address: fetches of keys and signatures that fail. Proven callers are never limited. */
export interface AttemptLimiter {
  /** Takes one attempt. Throws {@link SignatureRefusal} `too_many_attempts` when none is left. */
  take(source: string): void
}

interface Context {
  clock: Clock
  keys: ClientKeys
  nonces: NonceStore
  limiter: AttemptLimiter
  windowSeconds: number
}

const SOURCES_MAX = 100_000

/** A token bucket per source: `perSecond` flow in, at most `burst` are held (decisions: Defaults). */
export function createAttemptLimiter(options: {
  clock: Clock
  perSecond?: number
  burst?: number
}): AttemptLimiter {
  const perSecond = options.perSecond ?? 50
  const burst = options.burst ?? 200
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return {
    take(source) {
      const network = networkOf(source)
      const nowMs = options.clock.nowMs()
      const bucket = buckets.get(network) ?? { tokens: burst, atMs: nowMs }
      const tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond)
      buckets.delete(network)
      buckets.set(network, { tokens: Math.max(0, tokens - 1), atMs: nowMs })
      const oldest = buckets.size > SOURCES_MAX ? buckets.keys().next() : undefined
      if (oldest && !oldest.done) buckets.delete(oldest.value)
      if (tokens < 1)
        throw new SignatureRefusal('too_many_attempts', { message: 'too many unproven requests' })
    },
  }
}

/** A key that was cached may have been replaced since: one more look before the answer is no. */
async function verifyWith(
  ctx: Context,
  source: string,
  checked: CheckedRequest,
  client: KeySource,
): Promise<Jwk> {
  if ('jwk' in client) {
    if (client.jwk.kid !== checked.keyId)
      throw new SignatureRefusal('keyid_mismatch', { message: 'the signature names another key' })
    verifySignature(checked, client.jwk)
    return client.jwk
  }
  const onFetch = () => ctx.limiter.take(source)
  const jwk = await ctx.keys.get(client.walletAddress, checked.keyId, onFetch)
  try {
    verifySignature(checked, jwk)
    return jwk
  } catch (error) {
    if (!(error instanceof SignatureRefusal) || error.code !== 'signature_invalid') throw error
    const newer = await ctx.keys.refetch(client.walletAddress, checked.keyId, onFetch)
    if (newer === undefined || newer.x === jwk.x) throw error
    verifySignature(checked, newer)
    return newer
  }
}

/**
 * Proves that `client` sent this request: what needs no key first, then the key (fetched only when not cached), then the
 * signature, then the nonce, which is spent by proven requests only. Throws {@link SignatureRefusal}.
 */
export async function authenticateRequest(
  ctx: Context,
  request: RequestToVerify & { /** Source address. */ source: string },
  client: KeySource,
): Promise<Authenticated> {
  try {
    const checked = checkRequest(request, { now: ctx.clock.now(), windowSeconds: ctx.windowSeconds })
    const jwk = await verifyWith(ctx, request.source, checked, client)
    if (checked.nonce !== undefined) {
      const expiresAt = new Date(((checked.created ?? 0) + ctx.windowSeconds + 1) * 1000)
      if (!(await ctx.nonces.claim(`${jwkThumbprint(jwk)}:${checked.nonce}`, expiresAt)))
        throw new SignatureRefusal('nonce_reused', { message: 'the nonce was used before' })
    }
    return { keyId: checked.keyId, jwk }
  } catch (error) {
    if (error instanceof SignatureRefusal && error.code !== 'too_many_attempts')
      ctx.limiter.take(request.source)
    throw error
  }
}
