import {
  type Clock,
  type Db,
  isUuid,
  parseHmacSignature,
  sql,
  verifyHmacDigest,
} from '../../shared/platform/index.ts'
import type { Tenant } from '../../shared/tenants/index.ts'

/** Who calls, once its signature is proven. */
export interface Caller {
  tenantId: string
  isOperator: boolean
}

export interface SignatureContext {
  db: Db
  clock: Clock
  findTenant: (id: string) => Promise<Tenant | undefined>
  settings: {
    operatorTenantId: string
    adminApiSecret: string
    signatureVersion: number
    signatureTtlSeconds: number
  }
}

/**
 * The caller of a signed request, or `undefined`: one answer for a missing, malformed, stale or wrong signature and for an
 * unknown tenant (contracts/admin/admin-api.md §2). The operator is recognised by id and secret together; by secret alone, a
 * tenant that was given the operator's secret would be the operator.
 */
export async function authenticate(
  ctx: SignatureContext,
  request: { tenantId: unknown; signature: unknown; body: unknown },
): Promise<(Caller & { digest: Buffer; expiresAt: Date }) | undefined> {
  const { settings } = ctx
  const signature = parseHmacSignature(request.signature)
  if (!signature || signature.version !== settings.signatureVersion || !isUuid(request.tenantId))
    return undefined
  const ttlMs = settings.signatureTtlSeconds * 1000
  if (Math.abs(ctx.clock.nowMs() - signature.timestampMs) > ttlMs) return undefined
  const tenant = await ctx.findTenant(request.tenantId.toLowerCase())
  if (!tenant || tenant.deletedAt) return undefined
  if (!verifyHmacDigest(signature, { secret: tenant.apiSecret, body: request.body })) return undefined
  return {
    tenantId: tenant.id,
    isOperator: tenant.id === settings.operatorTenantId && tenant.apiSecret === settings.adminApiSecret,
    digest: signature.digest,
    // A signature from the future stays fresh for longer than the window from now.
    expiresAt: new Date(signature.timestampMs + 2 * ttlMs),
  }
}

/**
 * Uses up a signature: true for exactly one of any number of concurrent requests. Only proven signatures come here, so nobody
 * fills the table, and only mutations do: repeating a query is harmless.
 */
export async function claimSignature(
  ctx: Pick<SignatureContext, 'db' | 'clock'>,
  signature: { digest: Buffer; expiresAt: Date },
): Promise<boolean> {
  const claimed = await ctx.db.execute(sql`
    insert into used_signatures (digest, expires_at) values (${signature.digest}, ${signature.expiresAt})
    on conflict (digest) do nothing`)
  return claimed === 1
}

/** Forgets signatures that are stale anyway. */
export const sweepSignatures = (ctx: Pick<SignatureContext, 'db' | 'clock'>): Promise<number> =>
  ctx.db.execute(sql`delete from used_signatures where expires_at < ${ctx.clock.now()}`)
