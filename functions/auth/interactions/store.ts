import { type Db, joinById, type Row, rawSql, type Sql, sql } from '../../../shared/platform/index.ts'
import { type AccessItem, accessSql, toAccess } from '../access/index.ts'
import { type Subject, subjectIdsSql, withNewGrantSql } from '../grants/index.ts'
import { hashSecret } from '../tokens/index.ts'
import type { Interaction } from './model.ts'

/** Names an interaction; without the nonce nobody learns that it exists. */
export interface InteractionKey {
  id: string
  nonce: string
}

const toInteraction = (row: Row): Interaction => ({
  id: row.id,
  state: row.state,
  expiresAt: row.expires_at,
  referenceSealed: row.interact_ref_sealed,
  grantId: row.grant_id,
  tenantId: row.tenant_id,
  grantState: row.grant_state,
  ...(row.finalization_reason !== null && { finalizationReason: row.finalization_reason }),
  client: { name: row.client_name, uri: row.client },
  ...(row.finish_uri !== null && { finish: { uri: row.finish_uri, nonce: row.finish_nonce } }),
  ...(row.consent_url !== null && { consentUrl: row.consent_url }),
})

const columns = sql`i.id, i.state, i.expires_at, i.interact_ref_sealed, i.grant_id, g.tenant_id, g.state as grant_state,
  g.finalization_reason, g.client_name, g.client, g.finish_uri, g.finish_nonce,
  case when t.deleted_at is null then t.idp_consent_url end as consent_url`

const joined = sql`interactions i ${joinById('grants', 'g', 'i.grant_id')} ${joinById('tenants', 't', 'g.tenant_id')}`

/** Of an interaction `i`. The offset makes it a look-up for each: otherwise all grants that there are would be walked through. */
const grantIn = (state: 'PENDING' | 'FINALIZED'): Sql =>
  rawSql(`
  exists (select from grants g where g.id = i.grant_id and g.state = '${state}' offset 0)`)

/** A pending grant and its interaction, in one statement. */
export async function insertInteraction(
  db: Db,
  grant: Parameters<typeof withNewGrantSql>[0],
  interaction: { id: string; nonce: string; referenceSealed: string; expiresAt: Date },
  now: Date,
): Promise<void> {
  await db.execute(sql`${withNewGrantSql(grant, now)}
    insert into interactions (id, grant_id, nonce_hash, interact_ref_sealed, state, expires_at, created_at, updated_at)
    select ${interaction.id}::uuid, id, ${hashSecret(interaction.nonce)}::bytea, ${interaction.referenceSealed}, 'PENDING',
      ${interaction.expiresAt}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
    from granted`)
}

export const findInteraction = (db: Db, key: InteractionKey): Promise<Interaction | undefined> =>
  db.maybe(
    toInteraction,
    sql`select ${columns} from ${joined} where i.id = ${key.id} and i.nonce_hash = ${hashSecret(key.nonce)}`,
  )

export interface InteractionDetails extends Interaction {
  access: AccessItem[]
  subject?: Subject
}

/** For one of the tenants only, as their identity provider sees it. */
export const findInteractionDetails = (
  db: Db,
  key: InteractionKey,
  tenantIds: readonly string[],
): Promise<InteractionDetails | undefined> =>
  db.maybe(
    (row) => ({
      ...toInteraction(row),
      access: toAccess(row.access),
      ...(row.sub_ids !== null && { subject: { sub_ids: row.sub_ids } }),
    }),
    sql`select ${columns}, ${accessSql(sql`g.id`)} as access,
          ${subjectIdsSql(sql`g.id`)} as sub_ids
        from ${joined}
        where i.id = ${key.id} and i.nonce_hash = ${hashSecret(key.nonce)} and g.tenant_id = any(${tenantIds})`,
  )

/** Once, in time, and while the grant waits for it. False: it was chosen before, or it is too late. */
export async function recordChoice(
  db: Db,
  id: string,
  state: 'APPROVED' | 'DENIED',
  now: Date,
): Promise<boolean> {
  const recorded = await db.execute(
    sql`update interactions i set state = ${state}, updated_at = ${now}
        where i.id = ${id} and i.state = 'PENDING' and i.expires_at > ${now} and ${grantIn('PENDING')}`,
  )
  return recorded === 1
}

/** More than anybody opens one request; whoever has its address could otherwise fill the table without proving anything. */
const SESSIONS_MAX = 100

/** Sessions of browsers are kept as hashes, each for one interaction. False: it was started too often. */
export async function insertSession(
  db: Db,
  session: { id: string; interactionId: string; expiresAt: Date },
): Promise<boolean> {
  const inserted = await db.execute(
    sql`insert into sessions (id_hash, interaction_id, expires_at)
        select ${hashSecret(session.id)}::bytea, ${session.interactionId}::uuid, ${session.expiresAt}::timestamptz
        where (select count(*) from sessions where interaction_id = ${session.interactionId}) < ${SESSIONS_MAX}`,
  )
  return inserted === 1
}

export async function isSessionOf(
  db: Db,
  session: { id: string; interactionId: string },
  now: Date,
): Promise<boolean> {
  const found = await db.maybe(
    () => true,
    sql`select 1 from sessions
        where id_hash = ${hashSecret(session.id)} and interaction_id = ${session.interactionId} and expires_at > ${now}`,
  )
  return found === true
}

export const deleteOldSessions = (db: Db, now: Date): Promise<number> =>
  db.execute(sql`delete from sessions where expires_at <= ${now}`)

/**
 * Interactions that ended before `limit`, except where the client may still fetch what was agreed to: it needs nothing from
 * here, but an operator may want to see where the grant came from.
 */
export const deleteOldInteractions = (db: Db, limit: Date): Promise<number> =>
  db.execute(sql`delete from interactions i where i.expires_at < ${limit} and ${grantIn('FINALIZED')}`)
