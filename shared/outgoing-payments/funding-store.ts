import { assert, type BatchedStatement, type Db, isUuid, rawSql, sql } from '../platform/index.ts'
import { insertJobs, notifyJobs } from '../queue/index.ts'
import type { ScopedId } from '../tenants/index.ts'
import { insertEvents, type NewWebhookEvent, notifyDeliveries, paymentEventId } from '../webhooks/index.ts'
import { noteText } from './history.ts'
import { columns, inState, joins, type OutgoingPaymentRow, toRow } from './store.ts'

interface Beginning extends ScopedId {
  sealedDataToTransmit?: string
  now: Date
}

/** A payment whose funding has begun, and the event under whose id the money moves. */
export interface Begun {
  payment: OutgoingPaymentRow
  createdEventId: string
}

/**
 * A payment that is asked for twice in one statement is marked once, and both are told. The data is that of the first who brings any. Who may
 * not see the payment counts for nothing.
 */
const beginnings: BatchedStatement<Beginning, Begun> = {
  query: (items) => sql`
    with asked as (
      select asked.* from unnest((select ${items.map(({ id }) => id)}::uuid[]),
        (select ${items.map(({ scope }) => (scope === 'all' ? null : scope.tenantId))}::uuid[]),
        (select ${items.map(({ now }) => now)}::timestamptz[]),
        (select ${items.map(({ sealedDataToTransmit }) => sealedDataToTransmit ?? null)}::text[]))
        with ordinality asked (id, tenant_id, now, sealed, place)
      cross join lateral (
        select from outgoing_payments x where x.id = asked.id and (asked.tenant_id is null or x.tenant_id = asked.tenant_id) limit 1
      ) visible
    ), marked as (
      update outgoing_payments p set funding_started_at = coalesce(p.funding_started_at, once.now), updated_at = once.now,
        data_to_transmit_sealed = coalesce(p.data_to_transmit_sealed, once.sealed)
      from (
        select id, (array_agg(now order by place))[1] as now, (array_agg(sealed order by place) filter (where sealed is not null))[1] as sealed
        from asked group by id order by id
      ) once
      where p.id = any(array(select id from asked)) and p.id = once.id and ${inState('FUNDING')} returning p.*
    )
    select asked.place, ${columns}, ${paymentEventId('outgoing_payment.created', rawSql('p.id'))} as created_event_id
    from asked cross join lateral (select * from marked m where m.id = asked.id limit 1) p ${joins}`,
  map(row) {
    assert(row.created_event_id, 'a payment is created together with its event', row.id)
    return { payment: toRow(row), createdEventId: row.created_event_id }
  },
}

/** Says that money is about to be deposited: no cancel passes from now on. `undefined`: not in FUNDING, or not in this scope. */
export const beginFunding = async (db: Db, beginning: Beginning): Promise<Begun | undefined> =>
  isUuid(beginning.id) ? await db.batched(beginnings, beginning) : undefined

interface Start {
  id: string
  now: Date
  /** Where somebody wants to hear of it. */
  event?: NewWebhookEvent
}

const starts: BatchedStatement<Start, true> = {
  query: (items, requestIds) => {
    const notes = items.map(({ now }) => noteText(now, { kind: 'state', state: 'SENDING' }))
    const events = items.map(({ event }) => event)
    // Hardly ever, and its pieces cost something for nobody too.
    const isAnnounced = events.some((event) => event !== undefined)
    return sql`
      with asked as (
        select * from unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ now }) => now)}::timestamptz[], ${notes}::jsonb[],
          ${requestIds.map((id) => id ?? null)}::text[]) with ordinality asked (id, now, note, request_id, place)
      ), started as (
        update outgoing_payments p set state = 'SENDING', updated_at = once.now, history = p.history || once.note
        from (select distinct on (id) * from asked order by id, place) once
        where p.id = any(array(select id from asked)) and p.id = once.id and ${inState('FUNDING')} and p.funding_started_at is not null
        returning p.id, p.tenant_id, once.place, once.request_id
      ), job as (${insertJobs('outgoing-payments', sql`select id, tenant_id, request_id from started`, undefined, rawSql('source.request_id'))})
      ${isAnnounced ? sql`, ${insertEvents(events, rawSql('select place from started'), requestIds)}` : rawSql('')}
      select asked.place, (select ${notifyJobs('outgoing-payments')} from job limit 1) as woken
        ${isAnnounced ? sql`, ${notifyDeliveries} as notified` : rawSql('')}
      from asked join started using (id)`
  },
  map: () => true,
}

/** FUNDING → SENDING, the job that sends, and the event, in one statement. Nothing happens when it was done before. */
export const startSending = async (db: Db, start: Start): Promise<void> =>
  void (await db.batched(starts, start))
