import type { UsedSignature } from '../../shared/graphql-server/index.ts'
import { type BatchedStatement, type Clock, type Db, sql } from '../../shared/platform/index.ts'

/** Uses up a signature: true for exactly one of any number of concurrent requests, in whatever process. */
export type ClaimSignature = (signature: UsedSignature) => Promise<boolean>

/** Of equal ones in one statement the first has it. In one order everywhere: two processes that are sent the same signatures would otherwise wait for each other. */
const claims: BatchedStatement<UsedSignature, true> = {
  query: (signatures) => sql`
    with asked as (
      select distinct on (digest) *
      from unnest(${signatures.map(({ digest }) => digest)}::bytea[], ${signatures.map(({ expiresAt }) => expiresAt)}::timestamptz[])
        with ordinality asked (digest, expires_at, place)
      order by digest, place
    ), claimed as (
      insert into used_signatures (digest, expires_at) select digest, expires_at from asked order by digest
      on conflict (digest) do nothing returning digest
    )
    select asked.place from asked join claimed using (digest)`,
  map: () => true,
}

/** Every mutation begins with a claim. */
export const createSignatureClaims =
  ({ db }: { db: Db }): ClaimSignature =>
  async (signature) =>
    (await db.batched(claims, signature)) ?? false

/** Forgets signatures that are stale anyway. */
export const sweepSignatures = (ctx: { db: Db; clock: Clock }): Promise<number> =>
  ctx.db.execute(sql`delete from used_signatures where expires_at < ${ctx.clock.now()}`)
