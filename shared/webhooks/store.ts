import {
  type Db,
  joinSql,
  listPage,
  type Page,
  type Paged,
  present,
  type Row,
  rawSql,
  type Sql,
  sql,
  uuidv7,
} from '../platform/index.ts'
import {
  finishLease,
  heldLease,
  insertJobs,
  type Job,
  type JobOutcome,
  LeaseLost,
  type LoadWithClaim,
  leaseColumns,
  notifyJobs,
  outcomeOf,
} from '../queue/index.ts'
import type { NewWebhookEvent, WebhookDelivery, WebhookEvent, WebhookEventType } from './model.ts'

const columns = rawSql(
  `e.id, e.tenant_id, e.type, e.data, e.outgoing_payment_id, e.incoming_payment_id, e.wallet_address_id, e.asset_id, e.peer_id,
   e.withdrawal_account_id, e.withdrawal_asset_id, e.withdrawal_amount, e.created_at`,
)

const toEvent = (row: Row): WebhookEvent => ({
  id: row.id,
  tenantId: row.tenant_id,
  type: row.type,
  data: row.data,
  createdAt: row.created_at,
  ...present({
    outgoingPaymentId: row.outgoing_payment_id as string | null,
    incomingPaymentId: row.incoming_payment_id as string | null,
    walletAddressId: row.wallet_address_id as string | null,
    assetId: row.asset_id as string | null,
    peerId: row.peer_id as string | null,
  }),
  ...(row.withdrawal_amount !== null && {
    withdrawal: {
      accountId: row.withdrawal_account_id,
      assetId: row.withdrawal_asset_id,
      amount: row.withdrawal_amount,
    },
  }),
})

/**
 * Pieces for a `with` clause: the event, its deliveries and their jobs, if `source`, a query of at most one row, has one. Lets a
 * room write a change and its announcement in one statement, which stand or fall together. That statement must also select
 * {@link notifyDeliveries}. The event's id is `event.id`, or a new one.
 */
export function insertEvent(event: NewWebhookEvent, source: Sql): Sql {
  const recipients = [...new Set(event.recipientTenantIds ?? [event.tenantId])]
  const { withdrawal } = event
  return sql`
    event as (
      insert into webhook_events (id, tenant_id, type, data, outgoing_payment_id, incoming_payment_id, wallet_address_id,
        asset_id, peer_id, withdrawal_account_id, withdrawal_asset_id, withdrawal_amount)
      select ${event.id ?? uuidv7()}, ${event.tenantId}, ${event.type}, ${JSON.stringify(event.data)},
        ${event.outgoingPaymentId ?? null}, ${event.incomingPaymentId ?? null}, ${event.walletAddressId ?? null},
        ${event.assetId ?? null}, ${event.peerId ?? null}, ${withdrawal?.accountId ?? null}, ${withdrawal?.assetId ?? null},
        ${withdrawal?.amount ?? null}
      from (${source}) as source
      returning id
    ), deliveries as (
      insert into webhook_deliveries (id, event_id, recipient_tenant_id)
      select recipient.id, event.id, recipient.tenant_id
      from event, unnest(${recipients.map(() => uuidv7())}::uuid[], ${recipients}::uuid[]) as recipient (id, tenant_id)
      returning id, recipient_tenant_id
    ), delivery_jobs as (${insertJobs('webhooks', sql`select id, recipient_tenant_id from deliveries`)})`
}

/** Wakes the workers that deliver. */
export const notifyDeliveries: Sql = sql`(select ${notifyJobs('webhooks')} from delivery_jobs limit 1)`

/** Writes an event, its deliveries and their jobs, as part of the caller's transaction. Returns the event's id. */
export async function recordEvent(db: Db, event: NewWebhookEvent): Promise<string> {
  const id = event.id ?? uuidv7()
  await db.execute(sql`with ${insertEvent({ ...event, id }, sql`select`)} select ${notifyDeliveries}`)
  return id
}

/** The event, if one of these tenants owns it. Without `tenantIds`: whoever owns it. */
export const findEvent = (
  db: Db,
  filter: { id: string; tenantIds?: readonly string[] },
): Promise<WebhookEvent | undefined> =>
  db.maybe(
    toEvent,
    sql`select ${columns} from webhook_events e
        where e.id = ${filter.id} and ${filter.tenantIds ? sql`e.tenant_id = any(${filter.tenantIds}::uuid[])` : rawSql('true')}`,
  )

/** The latest event of these types about a payment. */
export const findPaymentEvent = (
  db: Db,
  filter: {
    outgoingPaymentId?: string
    incomingPaymentId?: string
    types: readonly WebhookEventType[]
  },
): Promise<WebhookEvent | undefined> =>
  db.maybe(
    toEvent,
    sql`select ${columns} from webhook_events e
        where ${
          filter.outgoingPaymentId !== undefined
            ? sql`e.outgoing_payment_id = ${filter.outgoingPaymentId}`
            : sql`e.incoming_payment_id = ${filter.incomingPaymentId ?? null}`
        } and e.type = any(${filter.types}::text[])
        order by e.created_at desc, e.id desc limit 1`,
  )

/** All events of these types about an incoming payment, oldest first. */
export const findPaymentEvents = (
  db: Db,
  filter: { incomingPaymentId: string; types: readonly WebhookEventType[] },
): Promise<WebhookEvent[]> =>
  db.many(
    toEvent,
    sql`select ${columns} from webhook_events e
        where e.incoming_payment_id = ${filter.incomingPaymentId} and e.type = any(${filter.types}::text[])
        order by e.created_at, e.id`,
  )

export interface EventFilter {
  /** Absent: events of every tenant. */
  tenantId?: string
  /** Any text: a type that does not exist matches nothing. */
  types?: { in?: readonly string[]; notIn?: readonly string[] }
  page: Page
}

/** Events by page, newest first by default. Throws `InvalidPage`. */
export function listEvents(db: Db, filter: EventFilter): Promise<Paged<WebhookEvent>> {
  const where: Sql[] = []
  if (filter.tenantId !== undefined) where.push(sql`e.tenant_id = ${filter.tenantId}`)
  if (filter.types?.in) where.push(sql`e.type = any(${filter.types.in}::text[])`)
  if (filter.types?.notIn) where.push(sql`e.type <> all(${filter.types.notIn}::text[])`)
  return listPage(
    db,
    {
      map: toEvent,
      columns,
      from: rawSql('webhook_events e'),
      alias: 'e',
      table: 'webhook_events',
      where: [joinSql(where)],
    },
    filter.page,
  )
}

/**
 * How long an event waits for the first attempt of an earlier one about the same payment. Bounded, because that one may be
 * unable to move.
 */
const ORDER_SECONDS_MAX = 60

/** For a consumer of this queue: what {@link findDelivery} would otherwise have to ask for. */
export const loadDelivery: LoadWithClaim = sql`
    select d.id as delivery_id, d.state as delivery_state, d.recipient_tenant_id, d.attempts as delivery_attempts,
      e.id as event_id, e.type as event_type, e.data as event_data,
      d.attempts = 0 and exists (
        select 1 from webhook_events earlier
        join webhook_deliveries untried on untried.event_id = earlier.id
        where (earlier.outgoing_payment_id = e.outgoing_payment_id or earlier.incoming_payment_id = e.incoming_payment_id)
          and (earlier.created_at, earlier.id) < (e.created_at, e.id)
          and earlier.created_at > now() - make_interval(secs => ${ORDER_SECONDS_MAX})
          and untried.recipient_tenant_id = d.recipient_tenant_id and untried.state = 'pending' and untried.attempts = 0
      ) as is_ahead
    from webhook_deliveries d join webhook_events e on e.id = d.event_id
    where d.id = claimed.key`

const toDelivery = (row: Row): WebhookDelivery => ({
  id: row.delivery_id,
  state: row.delivery_state,
  recipientTenantId: row.recipient_tenant_id,
  attempts: row.delivery_attempts,
  event: { id: row.event_id, type: row.event_type, data: row.event_data },
  isAhead: row.is_ahead,
})

/** A delivery with what to send: from the claim where that loaded it, otherwise read now. */
export async function findDelivery(db: Db, job: Job): Promise<WebhookDelivery | undefined> {
  if (job.loaded) return job.loaded.delivery_id === null ? undefined : toDelivery(job.loaded)
  return await db.maybe(
    toDelivery,
    sql`select loaded.* from (select ${job.key}::uuid as key) as claimed cross join lateral (${loadDelivery}) loaded`,
  )
}

export interface DeliveryAttempt {
  state: WebhookDelivery['state']
  attempts: number
  statusCode?: number
  error?: string
  now: Date
}

const afterAttempt = (job: Job, { state, now, ...attempt }: DeliveryAttempt): Sql => sql`
  update webhook_deliveries
  set state = ${state}, attempts = ${attempt.attempts}, status_code = ${attempt.statusCode ?? null},
      last_error = ${attempt.error ?? null}, updated_at = ${now}, delivered_at = ${state === 'delivered' ? now : null}
  from lease where id = ${job.key}`

/** Writes down an attempt that is followed by another. Throws `LeaseLost`. */
export async function recordAttempt(db: Db, job: Job, attempt: DeliveryAttempt): Promise<void> {
  const recorded = await db.execute(sql`with lease as (${heldLease(job)}) ${afterAttempt(job, attempt)}`)
  if (recorded === 0) throw new LeaseLost(job.queue, job.key)
}

/** Writes down the last attempt, and takes the job away in the same statement. Throws `LeaseLost`. */
export const recordLastAttempt = (db: Db, job: Job, attempt: DeliveryAttempt): Promise<JobOutcome> =>
  db.one(
    (row) => outcomeOf(job, row),
    sql`with ${finishLease(job)}, ended as (${afterAttempt(job, attempt)}) select ${leaseColumns}`,
  )
