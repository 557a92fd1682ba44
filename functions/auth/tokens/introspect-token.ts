import type { Clock, Db } from '../../../shared/platform/index.ts'
import { type AccessItem, covers, type WantedAccess } from '../access/index.ts'
import type { Client } from '../clients/index.ts'
import { findActiveToken } from './store.ts'

export type Introspection =
  | { active: false }
  | { active: true; grant: string; tenant: string; access: AccessItem[]; client: Client }

/**
 * What a token is good for now: those of its grant's items that cover something that was asked about. Nothing asked, nothing
 * said. A resource server that names its tenant gets an inactive answer for another tenant's token.
 */
export async function introspectToken(
  ctx: { db: Db; clock: Clock },
  input: { value: string; access: readonly WantedAccess[]; tenantId?: string },
): Promise<Introspection> {
  const token = await findActiveToken(ctx.db, input.value, ctx.clock.now())
  if (!token || (input.tenantId !== undefined && input.tenantId !== token.tenantId)) return { active: false }
  return {
    active: true,
    grant: token.grantId,
    tenant: token.tenantId,
    access: token.access.filter((item) => input.access.some((wanted) => covers(item, wanted))),
    client: token.client,
  }
}
