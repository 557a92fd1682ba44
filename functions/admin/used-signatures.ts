import type { UsedSignature } from '../../shared/graphql-server/index.ts'
import { type Clock, createBatcher, type Db, sql } from '../../shared/platform/index.ts'

/** Claims of one statement. */
const CLAIMS_MAX = 256

/** Uses up a signature: true for exactly one of any number of concurrent requests, in whatever process. */
export type ClaimSignature = (signature: UsedSignature) => Promise<boolean>

/** Claims that are made at the same time are one statement, because every mutation begins with one. */
export function createSignatureClaims(ctx: { db: Db }): ClaimSignature {
  const batcher = createBatcher<UsedSignature, boolean>({
    sizeMax: CLAIMS_MAX,
    ask: (signatures) => claimSignatures(ctx.db, signatures),
  })
  return (signature) => batcher.submit(signature)
}

async function claimSignatures(db: Db, signatures: readonly UsedSignature[]): Promise<boolean[]> {
  // In one order everywhere: two processes that are sent the same signatures would otherwise wait for each other.
  const claimed = await db.many(
    (row) => (row.digest as Buffer).toString('hex'),
    sql`
    insert into used_signatures (digest, expires_at)
    select asked.digest, asked.expires_at
    from unnest(${signatures.map(({ digest }) => digest)}::bytea[], ${signatures.map(({ expiresAt }) => expiresAt)}::timestamptz[])
      as asked (digest, expires_at)
    order by asked.digest
    on conflict (digest) do nothing
    returning digest`,
  )
  // Of equal ones in a batch the first has it.
  const free = new Set(claimed)
  return signatures.map(({ digest }) => free.delete(digest.toString('hex')))
}

/** Forgets signatures that are stale anyway. */
export const sweepSignatures = (ctx: { db: Db; clock: Clock }): Promise<number> =>
  ctx.db.execute(sql`delete from used_signatures where expires_at < ${ctx.clock.now()}`)
