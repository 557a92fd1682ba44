import {
  type BatchedStatement,
  currentLogContext,
  type Db,
  deriveId,
  listPage,
  type Page,
  type Paged,
  present,
  type Row,
  rawSql,
  rowsSql,
  type Sql,
  sql,
  uuidv7,
} from '../platform/index.ts'
import {
  finishLeases,
  heldLeases,
  insertJobs,
  type Job,
  type JobOutcome,
  LeaseLost,
  type LoadWithClaim,
  leaseColumns,
  notifyJobs,
  ofQueue,
  outcomeOf,
} from '../queue/index.ts'
import type {
  DeliveryState,
  NewWebhookEvent,
  WebhookAttempt,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEvent,
  WebhookEventType,
} from './model.ts'

const columns = rawSql(
  `e.id, e.tenant_id, e.type, e.data, e.outgoing_payment_id, e.incoming_payment_id, e.wallet_address_id, e.asset_id, e.peer_id,
   e.withdrawal_account_id, e.withdrawal_asset_id, e.withdrawal_amount, e.created_at, e.data_from_sender_sealed`,
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
    sealedDataFromSender: row.data_from_sender_sealed as string | null,
  }),
  ...(row.withdrawal_amount !== null && {
    withdrawal: {
      accountId: row.withdrawal_account_id,
      assetId: row.withdrawal_asset_id,
      amount: row.withdrawal_amount,
    },
  }),
})

/** Whose places in the worker a delivery takes: its recipient's, but a service of the node must not delay the operator's wallet. */
export const shareOf = (endpoint: WebhookEndpoint, recipientTenantId: string): string =>
  endpoint === 'wallet' ? recipientTenantId : SERVICE_SHARES[endpoint]
const SERVICE_SHARES = { card: deriveId('webhooks', 'card'), pos: deriveId('webhooks', 'pos') }

/**
 * Pieces for a `with` clause: the event, its deliveries and their jobs, if `source`, a query of at most one row, has one. Lets a
 * room write a change and its announcement in one statement, which stand or fall together. That statement must also select
 * {@link notifyDeliveries}. The event's id is `event.id`, or a new one.
 */
export const insertEvent = (event: NewWebhookEvent, source: Sql): Sql =>
  insertEvents([event], sql`select 1 from (${source}) as source`, [currentLogContext().requestId])

/**
 * The same for many changes at a time. `events` are those of the statement's items, in their order, where an item has one; `happened`
 * is a query of the places, counted from 1, of the items whose events are to be written; `requestIds` are the items'.
 */
export function insertEvents(
  events: readonly (NewWebhookEvent | undefined)[],
  happened: Sql,
  requestIds: readonly (string | undefined)[],
): Sql {
  const given = events.flatMap((event, index) => (event ? [toRows(event, index + 1, requestIds[index])] : []))
  return sql`
    event as (
      insert into webhook_events (${eventColumns})
      select ${eventColumns} from (${happened}) as happened (place) join ${rowsSql(
        given.map(({ event }) => event),
        `given (place bigint, id uuid, tenant_id uuid, type text, data jsonb, outgoing_payment_id uuid, incoming_payment_id uuid,
          wallet_address_id uuid, asset_id uuid, peer_id uuid, withdrawal_account_id uuid, withdrawal_asset_id uuid,
          withdrawal_amount numeric, data_from_sender_sealed text)`,
      )} using (place)
      returning id
    ), recipients as (
      select recipient.* from event join ${rowsSql(
        given.flatMap(({ recipients }) => recipients),
        'recipient (id uuid, event_id uuid, tenant_id uuid, endpoint text, share uuid, request_id text)',
      )} on recipient.event_id = event.id
    ), deliveries as (
      insert into webhook_deliveries (id, event_id, recipient_tenant_id, endpoint)
      select id, event_id, tenant_id, endpoint from recipients
    ), delivery_jobs as (${insertJobs('webhooks', rawSql('select id, share, request_id from recipients'), undefined, rawSql('source.request_id'))})`
}

const eventColumns = rawSql(
  `id, tenant_id, type, data, outgoing_payment_id, incoming_payment_id, wallet_address_id, asset_id, peer_id,
   withdrawal_account_id, withdrawal_asset_id, withdrawal_amount, data_from_sender_sealed`,
)

function toRows(event: NewWebhookEvent, place: number, requestId: string | undefined) {
  const { id = uuidv7(), withdrawal } = event
  const wallets = [...new Set(event.recipientTenantIds ?? [event.tenantId])]
  const recipients = [
    ...wallets.map((tenantId) => ({ tenantId, endpoint: 'wallet' as const })),
    ...(event.services ?? []),
  ]
  return {
    event: {
      place,
      id,
      tenant_id: event.tenantId,
      type: event.type,
      data: event.data,
      outgoing_payment_id: event.outgoingPaymentId,
      incoming_payment_id: event.incomingPaymentId,
      wallet_address_id: event.walletAddressId,
      asset_id: event.assetId,
      peer_id: event.peerId,
      withdrawal_account_id: withdrawal?.accountId,
      withdrawal_asset_id: withdrawal?.assetId,
      withdrawal_amount: withdrawal?.amount.toString(),
      data_from_sender_sealed: event.sealedDataFromSender,
    },
    recipients: recipients.map(({ tenantId, endpoint }) => ({
      id: uuidv7(),
      event_id: id,
      tenant_id: tenantId,
      endpoint,
      share: shareOf(endpoint, tenantId),
      request_id: requestId,
    })),
  }
}

/** Wakes the workers that deliver. */
export const notifyDeliveries: Sql = sql`(select ${notifyJobs('webhooks')} from delivery_jobs limit 1)`

/** Writes an event, its deliveries and their jobs, as part of the caller's transaction. Returns the event's id. */
export async function recordEvent(db: Db, event: NewWebhookEvent): Promise<string> {
  const id = event.id ?? uuidv7()
  await db.execute(sql`with ${insertEvent({ ...event, id }, sql`select`)} select ${notifyDeliveries}`)
  return id
}

/** "limit 1" makes each a look-up of its own, whatever the planner believes about sizes. */
const eventById: BatchedStatement<{ id: string; tenantId?: string }, WebhookEvent> = {
  query: (asked) => sql`
    select asked.place, ${columns}
    from unnest((select ${asked.map(({ id }) => id)}::uuid[]), (select ${asked.map(({ tenantId }) => tenantId ?? null)}::uuid[]))
      with ordinality asked (id, tenant_id, place)
    cross join lateral (
      select * from webhook_events x where x.id = asked.id and (asked.tenant_id is null or x.tenant_id = asked.tenant_id) limit 1) e`,
  map: toEvent,
}

/** The event, if this tenant owns it. Without `tenantId`: whoever owns it. */
export const findEvent = (
  db: Db,
  filter: { id: string; tenantId?: string },
): Promise<WebhookEvent | undefined> => db.batched(eventById, filter)

/**
 * A payment's few events, to be looked through. The offset keeps that order: with plans made of a small table, conditions on their type and
 * time would be looked up in the indexes for lists, among all events there are.
 */
const eventsAbout = (column: Sql, payment: Sql): Sql =>
  sql`select * from webhook_events about where about.${column} = ${payment} offset 0`

interface AboutOutgoing {
  outgoingPaymentId: string
  types: readonly WebhookEventType[]
}

const latestAbout: BatchedStatement<AboutOutgoing, WebhookEvent> = {
  query: (asked) => sql`
    select asked.place, ${columns}
    from unnest((select ${asked.map(({ outgoingPaymentId }) => outgoingPaymentId)}::uuid[]), (select ${asked.map(({ types }) => types.join())}::text[]))
      with ordinality asked (payment_id, types, place)
    cross join lateral (
      select * from (${eventsAbout(rawSql('outgoing_payment_id'), rawSql('asked.payment_id'))}) x
      where x.type = any(string_to_array(asked.types, ','))
      order by x.created_at desc, x.id desc limit 1) e`,
  map: toEvent,
}

/** The latest event of these types about an outgoing payment. */
export const findPaymentEvent = (db: Db, filter: AboutOutgoing): Promise<WebhookEvent | undefined> =>
  db.batched(latestAbout, filter)

/** Of the latest event of a type about an outgoing payment, for a `select`. `payment` is an expression. */
export const paymentEventId = (type: WebhookEventType, payment: Sql): Sql => sql`(
  select x.id from (${eventsAbout(rawSql('outgoing_payment_id'), payment)}) x where x.type = ${type}
  order by x.created_at desc, x.id desc limit 1)`

interface AboutIncoming {
  incomingPaymentId: string
  types: readonly WebhookEventType[]
}
/** What an event lets the wallet take out. */
type AnnouncedWithdrawal = { eventId: string; amount: bigint }

const withdrawalsOf: BatchedStatement<AboutIncoming, AnnouncedWithdrawal[]> = {
  query: (asked) => sql`
    select asked.place, announced.ids, announced.amounts
    from unnest((select ${asked.map(({ incomingPaymentId }) => incomingPaymentId)}::uuid[]), (select ${asked.map(({ types }) => types.join())}::text[]))
      with ordinality asked (payment_id, types, place)
    cross join lateral (
      select array_agg(x.id::text order by x.created_at, x.id) as ids,
        array_agg(x.withdrawal_amount order by x.created_at, x.id) as amounts
      from (${eventsAbout(rawSql('incoming_payment_id'), rawSql('asked.payment_id'))}) x
      where x.type = any(string_to_array(asked.types, ','))
        and x.withdrawal_amount is not null
    ) announced
    where announced.ids is not null`,
  map: ({ ids, amounts }) =>
    (ids as string[]).map((eventId, index) => ({ eventId, amount: (amounts as bigint[])[index] ?? 0n })),
}

/** What events of these types about an incoming payment let its wallet take out, oldest first. */
export const findWithdrawals = async (db: Db, filter: AboutIncoming): Promise<AnnouncedWithdrawal[]> =>
  (await db.batched(withdrawalsOf, filter)) ?? []

export interface EventFilter {
  /** Absent: events of every tenant. */
  tenantId?: string
  /** Any text: a type that does not exist matches nothing. */
  types?: { in?: readonly string[]; notIn?: readonly string[] }
  /** Events with a delivery in this state; those to others than `recipientTenantId` do not count where it is given. */
  delivery?: { state: DeliveryState; recipientTenantId?: string }
  page: Page
}

/** Events by page, newest first by default. Throws `InvalidPage`. */
export function listEvents(db: Db, filter: EventFilter): Promise<Paged<WebhookEvent>> {
  const where: Sql[] = []
  if (filter.tenantId !== undefined) where.push(sql`e.tenant_id = ${filter.tenantId}`)
  if (filter.types?.notIn) where.push(sql`e.type <> all(${filter.types.notIn}::text[])`)
  if (filter.delivery) where.push(hasDelivery(filter.delivery))
  return listPage(
    db,
    {
      map: toEvent,
      columns,
      alias: 'e',
      tables: ['webhook_events'],
      where,
      ...(filter.types?.in && { anyOf: { column: 'type', type: 'text', values: filter.types.in } }),
      ...(filter.tenantId !== undefined && { cursorWhere: [sql`e.tenant_id = ${filter.tenantId}`] }),
    },
    filter.page,
  )
}

/** Dead ones are found along their own index, pending ones by the jobs that they all have. */
const hasDelivery = ({ state, recipientTenantId }: NonNullable<EventFilter['delivery']>): Sql => sql`
  exists (select from webhook_deliveries d ${rawSql(state === 'pending' ? `join jobs j on j.queue = 'webhooks' and j.key = d.id` : '')}
    where d.event_id = e.id and d.state = ${state} ${rawSql(state === 'dead' ? 'and d.dead_at is not null' : '')}
    ${recipientTenantId === undefined ? rawSql('') : sql`and d.recipient_tenant_id = ${recipientTenantId} and d.endpoint = 'wallet'`})`

/**
 * How long an event waits for the first attempt of an earlier one about the same payment, which has its job and so comes to it, also
 * after workers were away. Bounded, because nothing may wait for ever.
 */
const ORDER_SECONDS_MAX = 3_600

const earlierAbout = (payment: 'outgoing_payment_id' | 'incoming_payment_id'): Sql => sql`
          select x.id from (${eventsAbout(rawSql(payment), rawSql(`e.${payment}`))}) x
          where (x.created_at, x.id) < (e.created_at, e.id) and x.created_at > now() - make_interval(secs => ${ORDER_SECONDS_MAX})`

/** For a consumer of this queue: what {@link findDelivery} would otherwise have to ask for. */
export const loadDelivery: LoadWithClaim = sql`
    select d.id as delivery_id, d.state as delivery_state, d.recipient_tenant_id, d.endpoint, d.attempts as delivery_attempts,
      d.attempts_before, e.id as event_id, e.type as event_type, e.data as event_data,
      e.data_from_sender_sealed as event_sealed,
      extract(epoch from now() - e.created_at)::float8 * 1000 as event_age_ms,
      e.outgoing_payment_id, e.incoming_payment_id,
      d.attempts = 0 and exists (
        select from (${earlierAbout('outgoing_payment_id')} union all ${earlierAbout('incoming_payment_id')}) earlier
        -- The offset keeps the order: from the payment's few events to their deliveries, not through all that the endpoint ever had.
        cross join lateral (
          select from webhook_deliveries untried
          cross join lateral (select from jobs j where ${ofQueue('webhooks')} and j.key = untried.id offset 0) coming
          where untried.event_id = earlier.id and untried.recipient_tenant_id = d.recipient_tenant_id
            and untried.endpoint = d.endpoint and untried.state = 'pending' and untried.attempts = 0
          offset 0
        ) untried
      ) as is_ahead
    from webhook_deliveries d join webhook_events e on e.id = d.event_id
    where d.id = claimed.key`

const toDelivery = (row: Row): WebhookDelivery => ({
  id: row.delivery_id,
  state: row.delivery_state,
  recipientTenantId: row.recipient_tenant_id,
  endpoint: row.endpoint,
  attempts: row.delivery_attempts,
  attemptsBefore: row.attempts_before,
  event: {
    id: row.event_id,
    type: row.event_type,
    data: row.event_data,
    ...present({ sealedDataFromSender: row.event_sealed as string | null }),
  },
  isAhead: row.is_ahead,
  eventAgeMs: row.event_age_ms,
})

/** A delivery with what to send: from the claim where that loaded it, otherwise read now. */
export async function findDelivery(db: Db, job: Job): Promise<WebhookDelivery | undefined> {
  if (job.loaded) return job.loaded.delivery_id === null ? undefined : toDelivery(job.loaded)
  return await db.maybe(
    toDelivery,
    sql`select loaded.* from (select ${job.key}::uuid as key) as claimed cross join lateral (${loadDelivery}) loaded`,
  )
}

/** What became of a delivery: by an attempt, or because none was allowed. */
export interface DeliveryOutcome {
  state: DeliveryState
  made?: WebhookAttempt
  /** Without an attempt. */
  reason?: string
  now: Date
}

/** Attempts that are kept of one delivery, and for how long after it was made each is: enough for 72 hours and to look back. */
const ATTEMPTS_KEPT_MAX = 200
export const ATTEMPTS_KEPT_DAYS = 30

interface AttemptRecord {
  job: Job
  outcome: DeliveryOutcome
}

/** An accepted attempt is kept with its delivery; others are rows of their own, and push out the oldest. `leases` is a piece of the statement. */
function afterAttempts(records: readonly AttemptRecord[]): Sql {
  const column = <T>(read: (outcome: DeliveryOutcome) => T) =>
    records.map(({ outcome }) => read(outcome) ?? null)
  const made = sql`
    made as (
      select * from unnest(
        ${column(({ state }) => state)}::text[], ${column(({ now }) => now)}::timestamptz[], ${column(({ reason }) => reason)}::text[],
        ${column(({ made }) => made?.number)}::int[], ${column(({ made }) => made?.at)}::timestamptz[],
        ${column(({ made }) => made?.status)}::int[], ${column(({ made }) => made?.latencyMs)}::int[],
        ${column(({ made }) => made?.error)}::text[], ${column(({ made }) => made?.answer)}::text[]
      ) with ordinality as made (state, now, reason, number, at, status_code, latency_ms, error, answer, place)
    ), updated as (
      update webhook_deliveries d
      set state = made.state, attempts = coalesce(made.number, d.attempts),
        status_code = case when made.number is null then d.status_code else made.status_code end,
        last_error = coalesce(made.error, made.reason),
        latency_ms = case when made.state = 'delivered' then made.latency_ms end,
        answer = case when made.state = 'delivered' then made.answer end, updated_at = made.now,
        delivered_at = case when made.state = 'delivered' then made.now end, dead_at = case when made.state = 'dead' then made.now end
      from leases join made using (place)
      where d.id = leases.key and d.id = any(array(select key from leases)) returning d.id, leases.place
    )`
  if (records.every(({ outcome }) => !outcome.made || outcome.state === 'delivered')) return made
  return sql`${made}, logged as (
      insert into webhook_attempts (delivery_id, number, at, status_code, latency_ms, error, answer)
      select updated.id, made.number, made.at, made.status_code, made.latency_ms, made.error, made.answer
      from updated join made using (place) where made.number is not null and made.state <> 'delivered'
      on conflict do nothing
    ), forgotten as (
      delete from webhook_attempts x using updated join made using (place)
      where x.delivery_id = updated.id and x.delivery_id = any(array(select id from updated)) and x.number <= made.number - ${ATTEMPTS_KEPT_MAX}::int
    )`
}

const jobsOf = (records: readonly AttemptRecord[]) => records.map(({ job }) => job)

const attempts: BatchedStatement<AttemptRecord, true> = {
  query: (records) =>
    sql`with leases as materialized (${heldLeases(jobsOf(records))}), ${afterAttempts(records)} select place from leases`,
  map: () => true,
}

const lastAttempts: BatchedStatement<AttemptRecord, Row> = {
  query: (records) =>
    sql`with ${finishLeases(jobsOf(records))}, ${afterAttempts(records)} select ${leaseColumns} from leases`,
  map: (row) => row,
}

/** Writes down an attempt that is followed by another. Throws `LeaseLost`. */
export async function recordAttempt(db: Db, job: Job, outcome: DeliveryOutcome): Promise<void> {
  const recorded = await db.batched(attempts, { job, outcome })
  if (!recorded) throw new LeaseLost(job.queue, job.key)
}

/** Writes down what ends a delivery, and takes the job away in the same statement. Throws `LeaseLost`. */
export const recordLastAttempt = async (db: Db, job: Job, outcome: DeliveryOutcome): Promise<JobOutcome> =>
  outcomeOf(job, await db.batched(lastAttempts, { job, outcome }))
