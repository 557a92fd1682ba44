import { type BatchedStatement, type Db, rawSql, type Sql, sql } from '../platform/index.ts'
import { insertJobs, notifyJobs } from '../queue/index.ts'
import { insertEvent, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import { noteText } from './history.ts'

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
      where p.id = once.id and p.state = 'FUNDING' returning p.id
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
}

/** The pieces `started` and `job`: FUNDING → SENDING and the jobs that send. Nothing happens to what was started before. */
const started = (starts: readonly Start[]): Sql => {
  const notes = starts.map(({ now }) => noteText(now, { kind: 'state', state: 'SENDING' }))
  return sql`started as (
      update outgoing_payments p set state = 'SENDING', updated_at = once.now, history = p.history || once.note
      from (
        select distinct on (id) * from unnest(${starts.map(({ id }) => id)}::uuid[], ${starts.map(({ now }) => now)}::timestamptz[],
          ${notes}::jsonb[]) asked (id, now, note) order by id
      ) once
      where p.id = once.id and p.state = 'FUNDING' and p.funding_started_at is not null
      returning p.id, p.tenant_id
    ), job as (${insertJobs('outgoing-payments', sql`select id, tenant_id from started`)})`
}
const wakeWorkers = sql`(select ${notifyJobs('outgoing-payments')} from job limit 1)`

const unannounced: BatchedStatement<Start, true> = {
  query: (starts) => sql`
    with ${started(starts)}
    select asked.place, ${wakeWorkers}
    from unnest(${starts.map(({ id }) => id)}::uuid[]) with ordinality asked (id, place) join job on job.key = asked.id`,
  map: () => true,
}

/** FUNDING → SENDING and the job that sends, with the event where somebody wants to hear of it. Nothing happens when it was done before. */
export async function startSending(db: Db, start: Start, event?: NewWebhookEvent): Promise<void> {
  if (!event) await db.batched(unannounced, start)
  else
    await db.execute(sql`
    with ${started([start])}, ${insertEvent(event, rawSql('select from started'))}
    select ${wakeWorkers}, ${notifyDeliveries}`)
}
