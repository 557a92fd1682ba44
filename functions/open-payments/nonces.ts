import { hash } from 'node:crypto'
import type { NonceStore } from '../../shared/http-signatures/index.ts'
import { type Clock, type Db, sql } from '../../shared/platform/index.ts'

/** Each claim takes away a few that have expired: the table stays as large as the window's traffic. */
const SWEPT_PER_CLAIM = 10

/** Nonces of proven signatures, single-use across all processes of this node. Only requests that carry one come here. */
export const createNonces = (ctx: { db: Db; clock: Clock }): NonceStore => ({
  async claim(key, expiresAt) {
    const digest = hash('sha256', `open-payments nonce ${key}`, 'buffer')
    const now = ctx.clock.now()
    const claimed = await ctx.db.execute(sql`
      with swept as (
        delete from used_signatures where digest = any(array(
          select digest from used_signatures where expires_at < ${now} and digest <> ${digest} limit ${SWEPT_PER_CLAIM} for update skip locked)))
      insert into used_signatures (digest, expires_at) values (${digest}, ${expiresAt})
      on conflict (digest) do update set expires_at = excluded.expires_at where used_signatures.expires_at < ${now}`)
    return claimed === 1
  },
})
