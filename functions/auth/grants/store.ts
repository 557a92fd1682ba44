import { type Db, type Row, sql } from '../../../shared/platform/index.ts'
import { type AccessItem, accessSql, toAccess } from '../access/index.ts'
import { type Client, toClient } from '../clients/index.ts'
import { hashSecret, type IssuedToken, insertTokenSql } from '../tokens/index.ts'
import type { Grant } from './model.ts'

const toGrant = (row: Row): Grant => ({
  id: row.id,
  tenantId: row.tenant_id,
  state: row.state,
  client: toClient(row),
  access: toAccess(row.access),
  continueId: row.continue_id,
  continuedAt: row.continued_at,
})

const REVOKED = sql`'REVOKED'`

/** The grant, its access and its first token, in one statement. */
export async function insertApprovedGrant(
  db: Db,
  grant: {
    id: string
    tenantId: string
    client: Client
    access: readonly AccessItem[]
    continueId: string
    continueToken: string
  },
  token: IssuedToken,
  now: Date,
): Promise<void> {
  const client = 'walletAddress' in grant.client ? grant.client.walletAddress : null
  const jwk = 'jwk' in grant.client ? JSON.stringify(grant.client.jwk) : null
  await db.execute(sql`
    with granted as (
      insert into grants (id, tenant_id, state, client, client_jwk, continue_id, continue_token_hash,
        continued_at, created_at, updated_at)
      values (${grant.id}, ${grant.tenantId}, 'APPROVED', ${client}, ${jwk}::jsonb, ${grant.continueId},
        ${hashSecret(grant.continueToken)}, ${now}, ${now}, ${now})
      returning id),
    accessed as (
      insert into accesses (grant_id, position, type, actions, identifier, limits)
      select granted.id, item.position, item.access ->> 'type',
        array(select jsonb_array_elements_text(item.access -> 'actions')),
        item.access ->> 'identifier', item.access -> 'limits'
      from granted, jsonb_array_elements(${JSON.stringify(grant.access)}::jsonb) with ordinality as item (access, position))
    ${insertTokenSql(token, now, sql`granted`)}`)
}

/** By both halves of what a continuation presents. Revoked grants are gone. */
export const findContinuedGrant = (
  db: Db,
  key: { continueId: string; continueToken: string },
): Promise<Grant | undefined> =>
  db.maybe(
    toGrant,
    sql`select id, tenant_id, state, client, client_jwk, continue_id, continued_at,
          ${accessSql(sql`grants.id`)} as access
        from grants
        where continue_id = ${key.continueId} and continue_token_hash = ${hashSecret(key.continueToken)}
          and finalization_reason is distinct from ${REVOKED}`,
  )

/** Finalises an approved grant with one more token. False: it is no longer approved. */
export async function issueToken(db: Db, grantId: string, token: IssuedToken, now: Date): Promise<boolean> {
  const issued = await db.maybe(
    (row) => row.id,
    sql`with issued as (
          update grants set state = 'FINALIZED', finalization_reason = 'ISSUED', continued_at = ${now}, updated_at = ${now}
          where id = ${grantId} and state = 'APPROVED'
          returning id),
        token as (${insertTokenSql(token, now, sql`issued`)})
        select id from issued`,
  )
  return issued !== undefined
}

/** From any state, with all tokens. False: it was revoked before. */
export async function revokeGrant(db: Db, grantId: string, now: Date): Promise<boolean> {
  const revoked = await db.maybe(
    (row) => row.id,
    sql`with revoked as (
          update grants set state = 'FINALIZED', finalization_reason = ${REVOKED}, updated_at = ${now}
          where id = ${grantId} and finalization_reason is distinct from ${REVOKED}
          returning id),
        tokens as (
          update access_tokens set revoked_at = ${now} from revoked
          where grant_id = revoked.id and revoked_at is null)
        select id from revoked`,
  )
  return revoked !== undefined
}
