import { type Db, type Row, rawSql, sql } from '../platform/index.ts'
import type { Job, LoadWithClaim, QueueName } from './model.ts'
import { claimedColumns, dueBy, leased, NO_TENANT, tenantsOf, toJob, unleased } from './store.ts'

/** A job that a message is about. */
export interface PublishedJob {
  key: string
  tenantId?: string
}

/** How many messages may be on their way. The backlog stays in the table, where it stands before nobody. */
export interface PublishWindow {
  /** Of each tenant always. */
  own: number
  /** Of one tenant at most. */
  most: number
  /** Of what tenants have beyond their own, together. */
  common: number
}

export interface Publication {
  jobs: PublishedJob[]
  /** Due jobs were left that have a place in the window. */
  more: boolean
  /** Due jobs wait for messages to be taken. */
  full: boolean
  /** Jobs of which a message should be at the broker, these included. */
  onTheirWay: number
  /** Milliseconds until the next job that is not due yet; `undefined` when none was seen. */
  nextMs?: number
}

/**
 * Marks due jobs as being on their way for `republishSeconds`, and returns them to be sent. Looks at each tenant's oldest jobs that
 * nobody works on: those of them that are on their way fill its window, until they are claimed. Several may do this at once.
 */
export async function takeForPublication(
  db: Db,
  input: { queue: QueueName; now: Date; limit: number; republishSeconds: number; window: PublishWindow },
): Promise<Publication> {
  const { queue, now, limit, window } = input
  const due = dueBy(now)
  const isOnItsWay = rawSql('(j.published_until is not null and j.published_until > now())')
  const rows = await db.many(
    (row) => row,
    sql`
    with recursive ${tenantsOf(queue)}, oldest as materialized (
      select next.key, next.run_at, next.place, next.is_on_its_way, next.run_at <= ${due} as due
      from tenants t cross join lateral (
        select j.key, j.run_at, ${isOnItsWay} as is_on_its_way, row_number() over (order by j.run_at) as place from jobs j
        where j.queue = ${queue} and j.tenant_id = t.tenant_id and ${unleased}
        order by j.run_at limit ${window.most}::int
      ) next
      where t.tenant_id is not null
    ), taken as (
      select count(*) as common from oldest where is_on_its_way and place > ${window.own}::int
    ), admitted as (
      select key, run_at, place, place <= ${window.own}::int or taken.common + count(*) filter (where place > ${window.own}::int)
        over (order by place, run_at, key) <= ${window.common}::int as has_place
      from oldest, taken where due and not is_on_its_way
    ), candidates as (
      select key from admitted where has_place order by place, run_at, key limit ${limit}
    ), locked as materialized (
      select j.key from jobs j
      where j.queue = ${queue} and j.key = any(array(select key from candidates)) and ${unleased} and j.run_at <= ${due}
        and not ${isOnItsWay}
      for update of j skip locked
    ), published as (
      update jobs j set published_until = now() + make_interval(secs => ${input.republishSeconds}::float8)
      where j.queue = ${queue} and j.key = any(array(select key from locked))
      returning j.key, j.tenant_id, j.run_at
    )
    select published.key, published.tenant_id, summary.*
    from (
      select (select count(*) from candidates)::int as candidates,
             exists (select from oldest where due and place = ${window.most}::int)
               or exists (select from admitted where not has_place) as is_full,
             (select count(*) from oldest where is_on_its_way)::int as on_their_way,
             (select extract(epoch from min(run_at) - ${due})::float8 * 1000 from oldest where not due) as next_ms
    ) summary
    left join published on true
    order by published.run_at, published.key`,
  )
  const jobs = rows
    .filter((row) => row.key !== null)
    .map((row) => ({ key: row.key, ...(row.tenant_id !== NO_TENANT && { tenantId: row.tenant_id }) }))
  const { candidates, is_full: full, on_their_way: others, next_ms: nextMs } = rows[0] as Row
  return {
    jobs,
    more: candidates === limit,
    full,
    onTheirWay: others + jobs.length,
    ...(nextMs !== null && { nextMs }),
  }
}

/**
 * Says when jobs may be published again that are on their way and that nobody works on: at once, because no message was sent, or
 * later, because there is no room for them now.
 */
export async function postponePublication(
  db: Db,
  input: { queue: QueueName; keys: readonly string[]; seconds: number },
): Promise<void> {
  const { queue, keys } = input
  await db.execute(sql`
    with locked as materialized (
      select j.key from jobs j
      where j.queue = ${queue} and j.key = any(${keys}::uuid[]) and ${unleased} and j.published_until is not null
      order by j.key for update of j
    )
    update jobs set published_until = now() + make_interval(secs => ${input.seconds}::float8)
    where queue = ${queue} and key = any(array(select key from locked))`)
}

/**
 * Takes leases on those of the named jobs that are due and that nobody works on: one job or none for each key, in their order. Due is
 * also what was found due by whoever published it last, whose clock may be a little before ours. Waits for rows that others are changing,
 * because a message that is passed over is not sent again for a while.
 */
export async function claimKeys(
  db: Db,
  input: {
    queue: QueueName
    keys: readonly string[]
    now: Date
    leaseSeconds: number
    load?: LoadWithClaim
  },
): Promise<(Job | undefined)[]> {
  const { queue, keys } = input
  const rows = await db.many(
    (row) => row,
    sql`
    with locked as materialized (
      select j.key from jobs j
      where j.queue = ${queue} and j.key = any(${[...new Set(keys)]}::uuid[]) and ${unleased}
        and (j.run_at <= ${dueBy(input.now)} or j.published_until is not null)
      order by j.key for update of j
    ), claimed as (
      update jobs j set ${leased(input.leaseSeconds)}
      where j.queue = ${queue} and j.key = any(array(select key from locked))
      returning ${claimedColumns}
    )
    select claimed.*, loaded.* from claimed left join lateral (${input.load ?? rawSql('select')} limit 1) loaded on true`,
  )
  const claimed = new Map<string, Job>()
  for (const row of rows) claimed.set(row.key, input.load ? { ...toJob(row), loaded: row } : toJob(row))
  return keys.map((key) => {
    const job = claimed.get(key)
    claimed.delete(key)
    return job
  })
}
