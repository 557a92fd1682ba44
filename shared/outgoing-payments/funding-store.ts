import { type BatchedStatement, type Db, rawSql, sql } from '../platform/index.ts'
import { insertJobs, notifyJobs } from '../queue/index.ts'
import { insertEvents, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import { noteText } from './history.ts'
import { inState } from './store.ts'

interface Beginning {
  id: string
  sealedDataToTransmit?: string
  now: Date
}

/** A payment that is asked for twice in one statement is marked once, and both are told. The data is that of the first who brings any. */
const beginnings: BatchedStatement<Beginning, true> = {
  query: (items) => sql`
    with asked as (
      select * from unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ now }) => now)}::timestamptz[],
        ${items.map(({ sealedDataToTransmit }) => sealedDataToTransmit ?? null)}::text[])
        with ordinality asked (id, now, sealed, place)
    ), marked as (
      update outgoing_payments p set funding_started_at = coalesce(p.funding_started_at, once.now), updated_at = once.now,
        data_to_transmit_sealed = coalesce(p.data_to_transmit_sealed, once.sealed)
      from (
        select id, (array_agg(now order by place))[1] as now, (array_agg(sealed order by place) filter (where sealed is not null))[1] as sealed
        from asked group by id order by id
      ) once
      where p.id = any(${items.map(({ id }) => id)}::uuid[]) and p.id = once.id and ${inState('FUNDING')} returning p.id
    )
    select asked.place from asked join marked using (id)`,
  map: () => true,
}

/** Says that money is about to be deposited: no cancel passes from now on. `false` when the payment is no longer in FUNDING. */
export const markFundingStarted = async (db: Db, beginning: Beginning): Promise<boolean> =>
  (await db.batched(beginnings, beginning)) ?? false

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
        where p.id = any(${items.map(({ id }) => id)}::uuid[]) and p.id = once.id and ${inState('FUNDING')} and p.funding_started_at is not null
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
