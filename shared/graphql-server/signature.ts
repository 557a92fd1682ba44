import { type Clock, isUuid, parseHmacSignature, verifyHmacDigest } from '../platform/index.ts'
import type { Caller } from './caller.ts'

/** A proven signature as it is noted when it is used up. */
export interface UsedSignature {
  digest: Buffer
  /** Until then the signature would be accepted again. */
  expiresAt: Date
}

/** Thrown by a mutation that uses its signature itself ({@link usingSignature}): another request was first. Nothing has happened. */
export class SignatureUsed extends Error {}

const usingResolvers = new WeakSet<object>()

/**
 * Marks the resolver of a mutation that uses the signature up itself, together with the first thing it writes and before it does
 * anything else. It gets the signature in its context where none was used up for it: where it is all that the request asks for.
 */
export function usingSignature<R extends object>(resolver: R): R {
  usingResolvers.add(resolver)
  return resolver
}

export const usesSignature = (resolver: object | undefined): boolean =>
  resolver !== undefined && usingResolvers.has(resolver)

/** What signatures are held against; the ports are the deployable's. */
export interface SignatureTerms {
  clock: Clock
  /** The previous secret is good besides, while it changes. */
  operator: { tenantId: string; apiSecret: string; previousApiSecret?: string }
  /** ADMIN_API_SIGNATURE_VERSION. */
  version: number
  /** ADMIN_API_SIGNATURE_TTL_SECONDS, both ways. */
  ttlSeconds: number
  /** By an id in lower case; two while one changes. None: no such tenant, or a deleted one. */
  findApiSecrets(tenantId: string): Promise<readonly string[]>
  /** Uses a signature up: true for exactly one of any number of concurrent claims, across processes. */
  claim(signature: UsedSignature): Promise<boolean>
}

function operatorSecretsOf({ operator }: SignatureTerms, tenantId: string): string[] {
  if (tenantId !== operator.tenantId) return []
  const { apiSecret, previousApiSecret } = operator
  return previousApiSecret === undefined ? [apiSecret] : [apiSecret, previousApiSecret]
}

/**
 * The caller of a signed request, or `undefined`: one answer for a missing, malformed, stale or wrong signature and for an
 * unknown tenant (contracts/admin/admin-api.md §2). The operator is recognised by id and secret together; by secret alone, a
 * tenant that was given the operator's secret would be the operator. Its secrets are the environment's: another process may have
 * started with the next one and written it.
 */
export async function authenticate(
  terms: SignatureTerms,
  request: { tenantId: unknown; signature: unknown; body: unknown },
): Promise<(Caller & UsedSignature) | undefined> {
  const signature = parseHmacSignature(request.signature)
  if (!signature || signature.version !== terms.version || !isUuid(request.tenantId)) return undefined
  const ttlMs = terms.ttlSeconds * 1000
  if (Math.abs(terms.clock.nowMs() - signature.timestampMs) > ttlMs) return undefined
  const tenantId = request.tenantId.toLowerCase()
  const apiSecrets = await terms.findApiSecrets(tenantId)
  if (apiSecrets.length === 0) return undefined
  const operatorSecrets = operatorSecretsOf(terms, tenantId)
  const isSignedWith = (secret: string) => verifyHmacDigest(signature, { secret, body: request.body })
  const proven = [...operatorSecrets, ...apiSecrets].find(isSignedWith)
  if (proven === undefined) return undefined
  return {
    tenantId,
    isOperator: operatorSecrets.includes(proven),
    digest: signature.digest,
    // Twice: clocks of processes differ, and a note that outlives its signature harms nobody.
    expiresAt: new Date(signature.timestampMs + 2 * ttlMs),
  }
}
