import { type Logger, messageOf, type Row, sql } from '../../../shared/platform/index.ts'
import { idpSecretHash, idpSecretHashes, secretPurpose, type TenantContext } from './tenants.ts'

interface IdpContext extends TenantContext {
  log: Logger
}

interface SealedSecret {
  id: string
  sealed: string
}

const toSealedSecret = (row: Row): SealedSecret => ({ id: row.id, sealed: row.idp_secret_sealed })

/** A secret that cannot be read is nobody's, so that one tenant's row does not lock out the others. */
function openSecret(ctx: IdpContext, { id, sealed }: SealedSecret): string | undefined {
  try {
    return ctx.secretBox.open(sealed, secretPurpose('idp-secret', id))
  } catch (error) {
    ctx.log.error({ tenantId: id, reason: messageOf(error) }, "a tenant's idp secret cannot be read")
    return undefined
  }
}

/**
 * Tenants whose identity provider holds this secret; none for a wrong one. Found by a keyed hash: neither time nor answer tells
 * how near a guess came, nor whether what it asked about exists, and a guess costs the same however many tenants there are.
 */
export async function listTenantsOfIdp(ctx: IdpContext, secret: string): Promise<string[]> {
  const found = await ctx.db.many(
    toSealedSecret,
    sql`select id, idp_secret_sealed from tenants
        where idp_secret_hash = any(${idpSecretHashes(ctx, secret)}::bytea[]) and deleted_at is null`,
  )
  // The sealed secret is the one that counts: code that did not know the hash yet may have changed it.
  return found.filter((row) => openSecret(ctx, row) === secret).map(({ id }) => id)
}

/** At each start: hashes of secrets that code wrote which did not know them yet. */
export async function ensureIdpSecretHashes(ctx: IdpContext): Promise<void> {
  const rows = await ctx.db.many(
    (row) => ({ ...toSealedSecret(row), hash: row.idp_secret_hash as Buffer | null }),
    sql`select id, idp_secret_sealed, idp_secret_hash from tenants
        where idp_secret_sealed is not null and deleted_at is null`,
  )
  for (const row of rows) {
    const secret = openSecret(ctx, row)
    if (secret === undefined) continue
    const hash = idpSecretHash(ctx, secret)
    if (row.hash?.equals(hash)) continue
    await ctx.db.execute(sql`
      update tenants set idp_secret_hash = ${hash} where id = ${row.id} and idp_secret_sealed = ${row.sealed}`)
  }
}
