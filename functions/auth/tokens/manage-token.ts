import { type Db, isUuid } from '../../../shared/platform/index.ts'
import type { AccessItem } from '../access/index.ts'
import type { Client } from '../clients/index.ts'
import { AuthRefusal } from '../errors.ts'
import { createToken, type IssuedToken, type TokenTerms } from './model.ts'
import { findManagedToken, replaceToken, revokeTokenRow, type StoredToken } from './store.ts'

/** Proves that the token's client is asking; throws when it is not. */
type Prove = (client: Client) => Promise<void>

export interface RotateContext extends TokenTerms {
  db: Db
}

/** Id and value must both be right: knowing the management URL is not enough. */
async function getManagedToken(
  ctx: { db: Db },
  key: { id: string; value: string },
  prove: Prove,
): Promise<StoredToken> {
  const token = isUuid(key.id) ? await findManagedToken(ctx.db, key) : undefined
  if (!token) throw new AuthRefusal('token_unknown')
  await prove(token.client)
  return token
}

/** Gives a new token for the old one, with the same grant and access. Expired tokens may be rotated, revoked ones not. */
export async function rotateToken(
  ctx: RotateContext,
  key: { id: string; value: string },
  prove: Prove,
): Promise<{ token: IssuedToken; access: AccessItem[] }> {
  const old = await getManagedToken(ctx, key, prove)
  const token = createToken(ctx)
  if (!(await replaceToken(ctx.db, old.id, token, ctx.clock.now()))) throw new AuthRefusal('rotation_lost')
  return { token, access: old.access }
}

export async function revokeToken(
  ctx: RotateContext,
  key: { id: string; value: string },
  prove: Prove,
): Promise<void> {
  const token = await getManagedToken(ctx, key, prove)
  if (!(await revokeTokenRow(ctx.db, token.id, ctx.clock.now()))) throw new AuthRefusal('token_unknown')
}
