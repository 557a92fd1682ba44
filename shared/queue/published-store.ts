import { type Db, type Row, rawSql, sql } from '../platform/index.ts'
import type { InHand } from './earnings.ts'
import type { Job, LoadWithClaim, QueueName } from './model.ts'
import {
  claimedColumns,
  dueBy,
  leased,
  loading,
  NO_TENANT,
  NOTHING_TO_LOAD,
  ofQueue,
  tenantsOf,
  toClaimedJob,
  unleased,
} from './store.ts'

/** A job that a message is about. */
export interface PublishedJob {
  key: string
  tenantId?: string
}

/** How much of a queue may be in a broker's hands. The backlog stays in the table, where it stands before nobody. */
export interface PublishWindow {
  /** Of each tenant always. */
  own: number
  /** Of one tenant at most. */
  most: number
  /** What tenants share: each has one part, and one is left over for who comes next. */
  common: number
  /**
   * Jobs that are worked on count as well as those that are on their way: where consumers keep no places for tenants, as functions do
   * not, and one tenant's would hold all that can be worked on at the same time.
   */
  countsRunning?: boolean
}

export interface Publication {
  jobs: PublishedJob[]
  /** Due jobs were left that have a place in the window. */
  more: boolean
  /** Due jobs wait for others to leave the window. */
  full: boolean
  /** Jobs of which a message should be at the broker, these included. */
  onTheirWay: number
  /** What the window counts, before these; of tenants with any. */
  inHand: InHand[]
  /** Milliseconds until the next job that is not due yet; `undefined` when there is none. */
  nextMs?: number
}

/** Of a tenant of which the broker has no message, when it has too many of others. */
const NEWCOMER_MAX = 4

/**
 * Marks due jobs as being on their way for `republishSeconds`, and returns them to be sent. Looks at each tenant's oldest due jobs, so many
 * as it may have in the window: its share, and what it has earned beyond. Tenants that have nothing due count for nothing, so that one
 * alone has half of what is common, or the most; and however many there are, together no more rows are read than are common, or all of
 * their own, and what is due since the same instant as the last of them. Several may do this at once.
 */
export async function takeForPublication(
  db: Db,
  input: {
    queue: QueueName
    now: Date
    limit: number
    republishSeconds: number
    window: PublishWindow
    earned?: ReadonlyMap<string | undefined, number>
    /** Only jobs of tenants of which no message was sent that has led to nothing yet, and few of each. */
    onlyNewcomers?: boolean
  },
): Promise<Publication> {
  const {
    queue,
    now,
    limit,
    window,
    onlyNewcomers = false,
    earned = new Map<string | undefined, number>(),
  } = input
  const due = dueBy(now)
  const isOnItsWay = rawSql('(j.published_until is not null and j.published_until > now())')
  const rows = await db.many(
    (row) => row,
    sql`
    with recursive ${tenantsOf(queue)}, busy as materialized (
      select t.tenant_id from tenants t cross join lateral (
        select from jobs j where j.queue = ${queue} and j.tenant_id = t.tenant_id and j.run_at <= ${due} order by j.run_at limit 1
      ) first
      where t.tenant_id is not null
    ), shares as materialized (
      select busy.tenant_id, least(${window.most}::int, greatest(${window.own}::int, (${window.common}::int
        / (1 + count(*) over ()))::int) + coalesce(known.earned, 0)) as places
      from busy
      left join unnest(${[...earned.keys()].map((tenantId) => tenantId ?? NO_TENANT)}::uuid[], ${[...earned.values()]}::int[])
        as known (tenant_id, earned) on known.tenant_id = busy.tenant_id
    ), oldest as materialized (
      select shares.tenant_id, shares.places, next.*,
        row_number() over (partition by shares.tenant_id order by next.is_in_hand desc, next.run_at, next.key) as place
      from shares cross join lateral (
        select j.key, j.run_at, j.published_until is not null as was_sent, ${isOnItsWay} as is_on_its_way,
          ${isOnItsWay} or not ${unleased} as is_in_hand
        from jobs j
        where j.queue = ${queue} and j.tenant_id = shares.tenant_id and j.run_at <= ${due}
          and (${window.countsRunning === true}::boolean or ${unleased})
        order by j.run_at fetch first (shares.places) rows with ties
      ) next
    ), found as materialized (
      select tenant_id, max(places) as places, count(*) as due, bool_or(was_sent) as was_sent,
        count(*) filter (where is_in_hand) as in_hand
      from oldest group by tenant_id
    ), candidates as (
      select oldest.key from oldest join found on found.tenant_id = oldest.tenant_id
      where not oldest.is_in_hand and oldest.place <= oldest.places
        and (not ${onlyNewcomers}::boolean or (not found.was_sent and oldest.place <= ${NEWCOMER_MAX}::int))
      order by oldest.place, oldest.run_at, oldest.key limit ${limit}
    ), locked as materialized (
      select j.key from jobs j
      where ${ofQueue(queue)} and j.key = any(array(select key from candidates)) and ${unleased} and j.run_at <= ${due}
        and not ${isOnItsWay}
      for update of j skip locked
    ), published as (
      update jobs j set published_until = now() + make_interval(secs => ${input.republishSeconds}::float8)
      where ${ofQueue(queue)} and j.key = any(array(select key from locked))
      returning j.key, j.tenant_id, j.run_at
    )
    select published.key, published.tenant_id, summary.*
    from (
      select (select count(*) from candidates)::int as candidates,
             exists (select from found where due >= places) as is_full,
             (select count(*) from oldest where is_on_its_way)::int as on_their_way,
             (select json_agg(json_build_array(tenant_id, in_hand, in_hand >= places)) from found where in_hand > 0) as in_hand,
             (select extract(epoch from min(next.run_at) - ${due})::float8 * 1000 from tenants t cross join lateral (
                select j.run_at from jobs j where j.queue = ${queue} and j.tenant_id = t.tenant_id and j.run_at > ${due}
                order by j.run_at limit 1) next) as next_ms
    ) summary
    left join published on true
    order by published.run_at, published.key`,
  )
  const jobs = rows
    .filter((row) => row.key !== null)
    .map((row) => ({ key: row.key, ...tenantOf(row.tenant_id) }))
  const { candidates, is_full: full, on_their_way: others, in_hand: inHand, next_ms: nextMs } = rows[0] as Row
  return {
    jobs,
    // What others hold is theirs in a moment, or free.
    more: candidates === limit && jobs.length > 0,
    full: full || candidates > jobs.length,
    onTheirWay: others + jobs.length,
    inHand: ((inHand ?? []) as [string, number, boolean][]).map(([tenantId, count, isCut]) => ({
      tenantId: tenantOf(tenantId).tenantId,
      count,
      isCut,
    })),
    ...(nextMs !== null && { nextMs }),
  }
}

const tenantOf = (column: string): { tenantId?: string } => (column === NO_TENANT ? {} : { tenantId: column })

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
      where ${ofQueue(queue)} and j.key = any(${keys}::uuid[]) and ${unleased} and j.published_until is not null
      order by j.key for update of j
    )
    update jobs j set published_until = now() + make_interval(secs => nullif(${input.seconds}::float8, 0))
    where ${ofQueue(queue)} and j.key = any(array(select key from locked))`)
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
  const { columns, joins } = input.load ? loading(queue, input.load) : NOTHING_TO_LOAD
  const rows = await db.many(
    (row) => row,
    sql`
    with locked as materialized (
      select j.key from jobs j
      where ${ofQueue(queue)} and j.key = any(${[...new Set(keys)]}::uuid[]) and ${unleased}
        and (j.run_at <= ${dueBy(input.now)} or j.published_until is not null)
      order by j.key for update of j
    ), claimed as (
      update jobs j set ${leased(input.leaseSeconds)}
      where ${ofQueue(queue)} and j.key = any(array(select key from locked))
      returning ${claimedColumns}
    )
    select claimed.*, ${columns} from claimed ${joins}`,
  )
  const claimed = new Map<string, Job>()
  for (const row of rows) claimed.set(row.key, toClaimedJob(row))
  return keys.map((key) => {
    const job = claimed.get(key)
    claimed.delete(key)
    return job
  })
}
