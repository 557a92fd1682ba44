import { type Db, type Row, rawSql, type Sql, sql } from '../../../shared/platform/index.ts'
import { type AccessItem, accessSql, toAccess } from '../access/index.ts'
import { type Client, toClient } from '../clients/index.ts'
import { hashSecret, type IssuedToken, insertTokenSql } from '../tokens/index.ts'
import type { Finish, Grant, Subject } from './model.ts'

/** A column with the subject identifiers of the grant that `grantId` names; null when it has none. */
export const subjectIdsSql = (grantId: Sql): Sql => sql`
  (select json_agg(json_build_object('id', s.sub_id, 'format', s.sub_id_format) order by s.position)
   from subjects s where s.grant_id = ${grantId})`

const columns = sql`grants.id, grants.tenant_id, grants.state, grants.finalization_reason, grants.client,
  grants.client_jwk, grants.continue_id, grants.continued_at, grants.finish_uri is not null as has_finish,
  grants.interact_ref_hash, ${accessSql(sql`grants.id`)} as access,
  ${subjectIdsSql(sql`grants.id`)} as sub_ids`

const toGrant = (row: Row): Grant => ({
  id: row.id,
  tenantId: row.tenant_id,
  state: row.state,
  ...(row.finalization_reason !== null && { finalizationReason: row.finalization_reason }),
  client: toClient(row),
  access: toAccess(row.access),
  ...(row.sub_ids !== null && { subject: { sub_ids: row.sub_ids } }),
  continueId: row.continue_id,
  continuedAt: row.continued_at,
  hasFinish: row.has_finish,
  ...(row.interact_ref_hash !== null && { referenceHash: row.interact_ref_hash }),
})

export interface NewGrant {
  id: string
  tenantId: string
  client: Client
  access: readonly AccessItem[]
  subject?: Subject
  continueId: string
  continueToken: string
  /** Only with an interaction: until it is finished the grant is pending. */
  consent?: { clientName: string; finish: Finish | undefined; reference: string }
}

const REVOKED = sql`'REVOKED'`

/** Of a grant that is found by its id: no equality, which could lead along the list of all in this state. */
const inState = (state: 'PENDING' | 'APPROVED'): Sql => rawSql(`state is not distinct from '${state}'`)

const accessCteSql = (access: readonly AccessItem[]): Sql => sql`,
    accessed as (
      insert into accesses (grant_id, position, type, actions, identifier, limits)
      select granted.id, item.position, item.access ->> 'type',
        array(select jsonb_array_elements_text(item.access -> 'actions')),
        item.access ->> 'identifier', item.access -> 'limits'
      from granted, jsonb_array_elements(${JSON.stringify(access)}::jsonb) with ordinality as item (access, position))`

const subjectCteSql = (subject: Subject): Sql => sql`,
    subjected as (
      insert into subjects (grant_id, position, sub_id, sub_id_format)
      select granted.id, item.position, item.sub ->> 'id', item.sub ->> 'format'
      from granted, jsonb_array_elements(${JSON.stringify(subject.sub_ids)}::jsonb) with ordinality as item (sub, position))`

/** `with` and the CTEs that insert a grant and all that it is about; whatever follows can read the new id from `granted`. */
export function withNewGrantSql(grant: NewGrant, now: Date): Sql {
  const { consent } = grant
  const client = 'walletAddress' in grant.client ? grant.client.walletAddress : null
  const jwk = 'jwk' in grant.client ? JSON.stringify(grant.client.jwk) : null
  return sql`
    with granted as (
      insert into grants (id, tenant_id, state, client, client_jwk, continue_id, continue_token_hash,
        client_name, finish_uri, finish_nonce, interact_ref_hash, continued_at, created_at, updated_at)
      values (${grant.id}, ${grant.tenantId}, ${consent ? 'PENDING' : 'APPROVED'}, ${client}, ${jwk}::jsonb,
        ${grant.continueId}, ${hashSecret(grant.continueToken)}, ${consent?.clientName ?? null},
        ${consent?.finish?.uri ?? null}, ${consent?.finish?.nonce ?? null},
        ${consent ? hashSecret(consent.reference) : null}, ${now}, ${now}, ${now})
      returning id)${accessCteSql(grant.access)}${grant.subject ? subjectCteSql(grant.subject) : sql``}`
}

/** The grant, its access and its first token, in one statement. */
export async function insertApprovedGrant(
  db: Db,
  grant: Omit<NewGrant, 'consent' | 'subject'>,
  token: IssuedToken,
  now: Date,
): Promise<void> {
  await db.execute(sql`${withNewGrantSql(grant, now)} ${insertTokenSql(token, now, sql`granted`)}`)
}

/** By both halves of what a continuation presents. Revoked grants are gone. */
export const findContinuedGrant = (
  db: Db,
  key: { continueId: string; continueToken: string },
): Promise<Grant | undefined> =>
  db.maybe(
    toGrant,
    sql`select ${columns} from grants
        where continue_id = ${key.continueId} and continue_token_hash = ${hashSecret(key.continueToken)}
          and finalization_reason is distinct from ${REVOKED}`,
  )

/** A pending grant was polled: the next poll waits from now on. False: somebody polled since `lastBefore`, or it is pending no more. */
export async function recordPoll(db: Db, grantId: string, now: Date, lastBefore: Date): Promise<boolean> {
  const recorded = await db.execute(
    sql`update grants set continued_at = ${now}, updated_at = ${now}
        where id = ${grantId} and ${inState('PENDING')} and continued_at <= ${lastBefore}`,
  )
  return recorded === 1
}

/** Finalises an approved grant, with a token unless it is about a subject only. False: it is no longer approved. */
export async function issueGrant(
  db: Db,
  grantId: string,
  token: IssuedToken | undefined,
  now: Date,
): Promise<boolean> {
  const tokenCte = token ? sql`, token as (${insertTokenSql(token, now, sql`issued`)})` : sql``
  const issued = await db.maybe(
    (row) => row.id,
    sql`with issued as (
          update grants set state = 'FINALIZED', finalization_reason = 'ISSUED', continued_at = ${now}, updated_at = ${now}
          where id = ${grantId} and ${inState('APPROVED')}
          returning id)${tokenCte}
        select id from issued`,
  )
  return issued !== undefined
}

/** What somebody decided reaches a pending grant. False: it was decided, or ended, before. */
export async function settlePendingGrant(
  db: Db,
  grantId: string,
  decision: 'approve' | 'reject',
  now: Date,
): Promise<boolean> {
  const [state, reason] = decision === 'approve' ? ['APPROVED', null] : ['FINALIZED', 'REJECTED']
  const settled = await db.execute(
    sql`update grants set state = ${state}, finalization_reason = ${reason}, updated_at = ${now}
        where id = ${grantId} and ${inState('PENDING')}`,
  )
  return settled === 1
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

/** Requests that nobody agreed to in time: never approved, and nobody can any more. */
export const deleteAbandonedGrants = (db: Db, limit: Date): Promise<number> =>
  db.execute(
    // As a list of ids: otherwise all grants that there are would be walked through for the few.
    sql`delete from grants
        where id = any(array(select i.grant_id from interactions i where i.expires_at < ${limit})) and ${inState('PENDING')}`,
  )
