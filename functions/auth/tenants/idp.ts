import { hash, timingSafeEqual } from 'node:crypto'
import { type Logger, messageOf, type Row, sql } from '../../../shared/platform/index.ts'
import { secretPurpose, type TenantContext } from './tenants.ts'

interface IdpContext extends TenantContext {
  log: Logger
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer')

/** A secret that cannot be read is nobody's, so that one tenant's row does not lock out the others. */
function openSecret(ctx: IdpContext, row: Row): string | undefined {
  try {
    return ctx.secretBox.open(row.idp_secret_sealed, secretPurpose('idp-secret', row.id))
  } catch (error) {
    ctx.log.error({ tenantId: row.id, reason: messageOf(error) }, "a tenant's idp secret cannot be read")
    return undefined
  }
}

/**
 * Tenants whose identity provider holds this secret; none for a wrong one. Everybody's is compared, as hashes of one length:
 * neither time nor answer tells how near a guess came, nor whether what it asked about exists.
 */
export async function listTenantsOfIdp(ctx: IdpContext, secret: string): Promise<string[]> {
  const presented = digest(secret)
  const rows = await ctx.db.many(
    (row) => row,
    sql`select id, idp_secret_sealed from tenants where deleted_at is null and idp_secret_sealed is not null`,
  )
  const matching = rows.filter((row) => {
    const known = openSecret(ctx, row)
    return known !== undefined && timingSafeEqual(digest(known), presented)
  })
  return matching.map((row) => row.id as string)
}
