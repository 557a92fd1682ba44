import type { UsedSignature } from '../../shared/graphql-server/index.ts'
import { type Clock, type Db, sql } from '../../shared/platform/index.ts'

/** Uses up a signature: true for exactly one of any number of concurrent requests. */
export async function claimSignature(ctx: { db: Db }, signature: UsedSignature): Promise<boolean> {
  const claimed = await ctx.db.execute(sql`
    insert into used_signatures (digest, expires_at) values (${signature.digest}, ${signature.expiresAt})
    on conflict (digest) do nothing`)
  return claimed === 1
}

/** Forgets signatures that are stale anyway. */
export const sweepSignatures = (ctx: { db: Db; clock: Clock }): Promise<number> =>
  ctx.db.execute(sql`delete from used_signatures where expires_at < ${ctx.clock.now()}`)
