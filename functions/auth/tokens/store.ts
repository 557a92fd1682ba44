import {
  type BatchedStatement,
  type Db,
  joinById,
  type Row,
  type Sql,
  sql,
} from '../../../shared/platform/index.ts'
import { type AccessItem, accessSql, toAccess } from '../access/index.ts'
import { type Client, toClient } from '../clients/index.ts'
import { hashSecret, type IssuedToken } from './model.ts'

/** A token with what its grant says. */
export interface StoredToken {
  id: string
  grantId: string
  tenantId: string
  client: Client
  access: AccessItem[]
}

const toStoredToken = (row: Row): StoredToken => ({
  id: row.id,
  grantId: row.grant_id,
  tenantId: row.tenant_id,
  client: toClient(row),
  access: toAccess(row.access),
})

const columns = sql`t.id, t.grant_id, g.tenant_id, g.client, g.client_jwk,
  ${accessSql(sql`g.id`)} as access`

const grantNotRevoked = sql`g.finalization_reason is distinct from 'REVOKED'`
const notRevoked = sql`t.revoked_at is null and ${grantNotRevoked}`

/** From behind a "select" the planner cannot see the keys, so it plans once. */
const activeToken: BatchedStatement<{ value: string; now: Date }, StoredToken> = {
  query: (keys) => {
    const hashes = keys.map(({ value }) => hashSecret(value))
    const now = new Date(Math.max(...keys.map((key) => key.now.getTime())))
    return sql`select asked.place, ${columns}
      from unnest((select ${hashes}::bytea[])) with ordinality asked (token_hash, place)
      cross join lateral (select * from access_tokens x where x.token_hash = asked.token_hash limit 1) t
      cross join lateral (select * from grants x where x.id = t.grant_id limit 1) g
      where t.expires_at >= ${now} and ${notRevoked}`
  },
  map: toStoredToken,
}

/** A token that acts now, by the hash's unique index. Those that are asked about at the same time are one statement. */
export const findActiveToken = (db: Db, value: string, now: Date): Promise<StoredToken | undefined> =>
  db.batched(activeToken, { value, now })

/** A token that its holder may manage: expired ones too. */
export const findManagedToken = (
  db: Db,
  key: { id: string; value: string },
): Promise<StoredToken | undefined> =>
  db.maybe(
    toStoredToken,
    sql`select ${columns} from access_tokens t ${joinById('grants', 'g', 't.grant_id')}
        where t.id = ${key.id} and t.token_hash = ${hashSecret(key.value)} and ${notRevoked}`,
  )

/** An insert to compose after a CTE: one token for each row of `source`, a relation with the grant's `id`. */
export const insertTokenSql = (token: IssuedToken, now: Date, source: Sql): Sql =>
  sql`insert into access_tokens (id, grant_id, token_hash, expires_at, created_at)
      select ${token.id}::uuid, id, ${hashSecret(token.value)}::bytea, ${token.expiresAt}::timestamptz, ${now}::timestamptz
      from ${source}`

/** Revokes the old one and inserts the new one in one statement. False: somebody else was faster. */
export async function replaceToken(db: Db, oldId: string, token: IssuedToken, now: Date): Promise<boolean> {
  const replaced = await db.maybe(
    (row) => row.id,
    sql`with old as (
          update access_tokens t set revoked_at = ${now}
          where t.id = ${oldId} and t.revoked_at is null
            and exists (select from grants g where g.id = t.grant_id and ${grantNotRevoked} offset 0)
          returning t.grant_id as id),
        new as (${insertTokenSql(token, now, sql`old`)})
        select id from old`,
  )
  return replaced !== undefined
}

export async function revokeTokenRow(db: Db, id: string, now: Date): Promise<boolean> {
  const revoked = await db.execute(
    sql`update access_tokens set revoked_at = ${now} where id = ${id} and revoked_at is null`,
  )
  return revoked === 1
}

/** Tokens that expired before `limit` are of no use to anybody. */
export const deleteOldTokens = (db: Db, limit: Date): Promise<number> =>
  db.execute(sql`delete from access_tokens where expires_at < ${limit}`)
