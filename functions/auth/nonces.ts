import { hash } from 'node:crypto'
import type { NonceStore } from '../../shared/http-signatures/index.ts'
import { type Clock, type Db, sql } from '../../shared/platform/index.ts'

/** Nonces of proven signatures, single-use across all processes. Only requests that carry one come here. */
export const createNonces = (ctx: { db: Db; clock: Clock }): NonceStore => ({
  async claim(key, expiresAt) {
    const now = ctx.clock.now()
    const claimed = await ctx.db.execute(sql`
      insert into used_nonces (digest, expires_at) values (${hash('sha256', key, 'buffer')}, ${expiresAt})
      on conflict (digest) do update set expires_at = excluded.expires_at where used_nonces.expires_at < ${now}`)
    return claimed === 1
  },
})

export const deleteOldNonces = (db: Db, now: Date): Promise<number> =>
  db.execute(sql`delete from used_nonces where expires_at < ${now}`)
