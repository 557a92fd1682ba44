import {
  type BatchedStatement,
  type Db,
  isUuid,
  joinById,
  joinSql,
  plannedAnew,
  present,
  type Row,
  rawSql,
  type Sql,
  sql,
} from '../platform/index.ts'
import { insertJobs, notifyJobs, ofQueue } from '../queue/index.ts'
import { WebhookRefusal } from './errors.ts'
import type { DeliveryReport, WebhookAttempt } from './model.ts'
import { shareOf } from './store.ts'

/** Absent: of every tenant, and of the node's services. A tenant sees and sends again what goes from it to its own wallet. */
export interface DeliveryScope {
  tenantId?: string
}

const scopeSql = ({ tenantId }: DeliveryScope): Sql =>
  tenantId === undefined
    ? rawSql('true')
    : sql`d.recipient_tenant_id = ${tenantId} and d.endpoint = 'wallet' and e.tenant_id = ${tenantId}`

const toAttempt = (row: Row): WebhookAttempt => ({
  number: row.number,
  at: new Date(row.at),
  ...present({
    latencyMs: row.latency_ms as number | null,
    status: row.status_code as number | null,
    error: row.error as string | null,
    answer: row.answer as string | null,
  }),
})

/** Counting stops there: more says no more. */
const COUNTED_MAX = 100_000

/** Deliveries that were given up, of everybody. */
export const countDeadDeliveries = (db: Db): Promise<number> =>
  db.one(
    (row) => Number(row.count),
    sql`
    select count(*) as count from (
      select from webhook_deliveries where dead_at is not null limit ${COUNTED_MAX}
    ) as dead`,
  )

const toReport = (row: Row): DeliveryReport => ({
  id: row.id,
  recipientTenantId: row.recipient_tenant_id,
  endpoint: row.endpoint,
  state: row.state,
  attempts: (row.attempts as Row[]).map(toAttempt),
  ...(row.next_attempt_at !== null && { nextAttemptAt: new Date(row.next_attempt_at) }),
})

const reports: BatchedStatement<{ eventId: string } & DeliveryScope, DeliveryReport[]> = {
  map: (row) => (row.deliveries as Row[]).map(toReport),
  query: (keys) => sql`
    select k.place, json_agg(r order by r.created_at, r.id) as deliveries
    from unnest(${keys.map(({ eventId }) => eventId)}::uuid[], ${keys.map(({ tenantId }) => tenantId ?? null)}::uuid[])
      with ordinality as k (event_id, tenant_id, place)
    cross join lateral (
      select d.id, d.recipient_tenant_id, d.endpoint, d.state, d.created_at,
        case when d.state = 'pending' then (select run_at from jobs j where ${ofQueue('webhooks')} and j.key = d.id) end as next_attempt_at,
        coalesce((
          select json_agg(a order by a.number) from (
            select number, at, status_code, latency_ms, error, answer from webhook_attempts where delivery_id = d.id
            union all
            select d.attempts, d.delivered_at, d.status_code, d.latency_ms, null, d.answer where d.state = 'delivered'
          ) a
        ), '[]') as attempts
      from (select * from webhook_deliveries where event_id = k.event_id offset 0) d ${joinById('webhook_events', 'e', 'd.event_id')}
      where (k.tenant_id is null or (d.recipient_tenant_id = k.tenant_id and d.endpoint = 'wallet' and e.tenant_id = k.tenant_id))
    ) r
    group by k.place`,
}

/** Where an event goes, how far that is, and what was tried. */
export const findDeliveries = async (
  db: Db,
  eventId: string,
  scope: DeliveryScope,
): Promise<DeliveryReport[]> => (await db.batched(reports, { eventId, ...scope })) ?? []

/** What one call sends again at most: more would be one long transaction. */
export const RESEND_SIZE_MAX = 10_000

export interface Resent {
  deliveries: number
  /** There is more: ask again, in a range from the time of the last event that was sent again. */
  hasMore: boolean
  lastEventAt?: Date
}

export interface EventRange {
  /** The first moment, and the one after the last. */
  from: Date
  to: Date
  /** Any text: a type that does not exist matches nothing. */
  type?: string
}

/** One event, whatever became of it. Throws {@link WebhookRefusal} when it is not the tenant's. */
export async function resendEvent(
  db: Db,
  scope: DeliveryScope,
  input: { eventId: string; now: Date },
): Promise<Resent> {
  const mine = sql`e.id = ${input.eventId} and ${scope.tenantId === undefined ? rawSql('true') : sql`e.tenant_id = ${scope.tenantId}`}`
  const found =
    isUuid(input.eventId) && (await db.maybe(() => true, sql`select from webhook_events e where ${mine}`))
  if (!found) throw new WebhookRefusal('unknown_webhook_event', { message: 'unknown webhook event' })
  return await resend(db, input.now, RESEND_SIZE_MAX, chosenFrom(scope, [sql`e.id = ${input.eventId}`]))
}

/** Events of a time, oldest first, whatever became of them. */
export const resendEvents = (
  db: Db,
  scope: DeliveryScope,
  input: EventRange & { now: Date; limit?: number },
): Promise<Resent> => {
  const { from, to, type, now, limit = RESEND_SIZE_MAX } = input
  const where = [sql`e.created_at >= ${from} and e.created_at < ${to}`]
  if (type !== undefined) where.push(sql`e.type = ${type}`)
  // Tenant by tenant, along the index by tenant and time: an index by time alone would cost each event.
  const owners =
    scope.tenantId === undefined
      ? rawSql('select id from tenants')
      : sql`select ${scope.tenantId}::uuid as id`
  return resend(
    db,
    now,
    limit,
    sql`select d.id, d.recipient_tenant_id, d.endpoint, e.created_at
      from (${owners}) owner
      cross join lateral (
        select * from webhook_events e where e.tenant_id = owner.id and ${joinSql(where)} order by e.created_at limit ${limit + 1}
      ) e
      join webhook_deliveries d on d.event_id = e.id
      where ${scopeSql(scope)} order by e.created_at, e.id`,
  )
}

/** Deliveries that were given up, oldest first. */
export const resendDeadEvents = (
  db: Db,
  scope: DeliveryScope,
  input: { now: Date; limit?: number },
): Promise<Resent> =>
  resend(
    db,
    input.now,
    input.limit ?? RESEND_SIZE_MAX,
    sql`${chosenFrom(scope, [rawSql('d.dead_at is not null')])} order by d.dead_at, d.id`,
  )

const chosenFrom = (scope: DeliveryScope, where: Sql[]): Sql =>
  sql`select d.id, d.recipient_tenant_id, d.endpoint, e.created_at
    from webhook_deliveries d join webhook_events e on e.id = d.event_id where ${joinSql([...where, scopeSql(scope)])}`

/**
 * Deliveries begin anew, with the chances of new ones, and under the ids of their events. The jobs first: whoever records an
 * attempt takes these locks in the same order. One that is under way now is not interrupted; when it ends well, that was it.
 */
const resend = (db: Db, now: Date, limit: number, chosen: Sql): Promise<Resent> =>
  db.tx(async (tx) => {
    const rows = await tx.many(
      (row) => ({
        id: row.id as string,
        share: shareOf(row.endpoint, row.recipient_tenant_id),
        at: row.created_at as Date,
      }),
      plannedAnew(sql`${chosen} limit ${limit + 1}`),
    )
    const taken = rows.slice(0, limit)
    const last = taken.at(-1)
    if (!last) return { deliveries: 0, hasMore: false }
    const ids = taken.map(({ id }) => id)
    const source = sql`select * from unnest(${ids}::uuid[], ${taken.map(({ share }) => share)}::uuid[]) as r (id, share) order by id`
    await tx.execute(
      sql`with job as (${insertJobs('webhooks', source)}) select ${notifyJobs('webhooks')} from job limit 1`,
    )
    await tx.execute(sql`
      insert into webhook_attempts (delivery_id, number, at, status_code, latency_ms, answer)
      select id, attempts, delivered_at, status_code, latency_ms, answer from webhook_deliveries
      where id = any(${ids}::uuid[]) and state = 'delivered' on conflict do nothing`)
    await tx.execute(sql`
      update webhook_deliveries
      set state = 'pending', attempts_before = attempts, dead_at = null, delivered_at = null, latency_ms = null, answer = null,
        updated_at = ${now}
      where id = any(${ids}::uuid[])`)
    return { deliveries: taken.length, hasMore: rows.length > limit, lastEventAt: last.at }
  })

const FORGET_SIZE_MAX = 10_000

/**
 * Forgets attempts from before a time. Returns how many. By their places: joined by their key they may be looked for among all there are.
 * They are never changed, and so are where they were found.
 */
export async function forgetAttempts(db: Db, before: Date): Promise<number> {
  let total = 0
  for (;;) {
    const forgotten = await db.execute(sql`
      delete from webhook_attempts where ctid = any(array(
        select ctid from webhook_attempts where at < ${before} order by at limit ${FORGET_SIZE_MAX}))`)
    total += forgotten
    if (forgotten < FORGET_SIZE_MAX) return total
  }
}
