import { assert, currentLogContext, type Db, type Row, rawSql, type Sql, sql } from '../platform/index.ts'
import { LeaseLost } from './errors.ts'
import {
  BACK_OFF_MS_MAX,
  type Job,
  type JobOutcome,
  type JobResult,
  type LoadWithClaim,
  type NewJob,
  type QueueName,
} from './model.ts'
import type { FreePlaces } from './shares.ts'

export const JOBS_CHANNEL = 'upesi_jobs'

/** Stands for "no tenant": a null would leave the index that fairness walks along. */
export const NO_TENANT = '00000000-0000-0000-0000-000000000000'

export const toJob = (row: Row): Job => ({
  queue: row.queue,
  key: row.key,
  ...(row.tenant_id !== NO_TENANT && { tenantId: row.tenant_id }),
  attempts: row.attempts,
  leaseToken: row.lease_token,
  requested: row.requested,
  ...(row.request_id !== null && { requestId: row.request_id }),
})

/**
 * A data-modifying piece for a `with` clause: one job for each row of `source`, a query of (key uuid, tenant_id uuid). Lets a
 * room write its rows and their jobs in one statement. The statement must also select {@link notifyJobs}. `runAt` is a time for all
 * of them, or an expression over further columns of `source`; absent or null it is now. `requestId` is an expression likewise, for
 * statements of several requests; absent it is the request under way. Keys of one statement differ; they are taken in their order,
 * as by everybody.
 */
export const insertJobs = (queue: QueueName, source: Sql, runAt?: Date | Sql, requestId?: Sql): Sql => sql`
  insert into jobs (queue, key, tenant_id, run_at, request_id)
  select ${queue}, source.key, coalesce(source.tenant_id, ${NO_TENANT}::uuid), coalesce((${runAt ?? null})::timestamptz, now()),
    ${requestId ?? sql`${currentLogContext().requestId ?? null}::text`}
  from (${source}) as source (key, tenant_id)
  order by source.key
  on conflict (queue, key) do update
  set requested = jobs.requested + 1, run_at = least(jobs.run_at, excluded.run_at),
    request_id = coalesce(excluded.request_id, jobs.request_id)
  returning key`

/** For {@link insertJobs} of statements of several requests, where none of them wants to be told of. */
export const noRequest = rawSql('null::text')

/** Wakes the workers of `queue` when the transaction commits. Repeats within a transaction are sent once. */
export const notifyJobs = (queue: QueueName): Sql => sql`pg_notify(${JOBS_CHANNEL}, ${queue})`

/**
 * Of jobs `j` that are found by their keys. No equality: with plans made of a small table the whole queue would be walked through for
 * them, along the index that begins with it.
 */
export const ofQueue = (queue: QueueName): Sql => sql`j.queue is not distinct from ${queue}`

/** Puts a job into the queue as part of the caller's transaction, or asks once more for one that is there. */
export async function enqueueJob(db: Db, job: NewJob): Promise<void> {
  const source = sql`select ${job.key}::uuid, ${job.tenantId ?? null}::uuid`
  await db.execute(sql`
    with job as (${insertJobs(job.queue, source, job.runAt)})
    select ${notifyJobs(job.queue)} from job`)
}

/**
 * For the transaction that records what a job found out: locks the job's row and throws {@link LeaseLost} when another worker
 * has claimed it since. Two workers can act on one job, after a pause of the first; only one can record.
 */
export async function holdLease(db: Db, job: Job): Promise<void> {
  const held = await db.maybe(() => true, heldLeases([job]))
  if (!held) throw new LeaseLost(job.queue, job.key)
}

/**
 * The same for a record that is one statement, of one job or of many of a queue: a row (place, key, again) for each lease that is
 * held, `place` counted from 1 in the order of `jobs`, and none for those that are lost. The caller joins it, and throws
 * {@link LeaseLost} for each job that it gets no row for. `again`: the job was asked for while it ran. Jobs are locked in the
 * order of their keys, as everybody does who locks several. By "any" each is a look-up, whatever plans were made of a small table;
 * with those of a table that was analysed while it was empty it is one walk through the queue, and not one for each job.
 */
export const heldLeases = (jobs: readonly Job[]): Sql => {
  const keys = jobs.map(({ key }) => key)
  return sql`
    select held.place, j.key, j.requested > held.requested as again
    from jobs j join unnest(${keys}::uuid[], ${jobs.map(({ leaseToken }) => leaseToken)}::bigint[],
      ${jobs.map(({ requested }) => requested)}::bigint[]) with ordinality as held (key, lease_token, requested, place)
      on j.key = held.key and j.lease_token = held.lease_token
    where ${ofQueue(queueOf(jobs))} and j.key = any(${keys}::uuid[])
    order by j.key for update of j`
}

function queueOf(jobs: readonly Job[]): QueueName {
  const queue = jobs[0]?.queue
  assert(
    queue !== undefined && jobs.every((job) => job.queue === queue),
    'jobs of one queue are recorded together',
  )
  return queue
}

/**
 * Pieces for a `with` clause, for a record that is one statement and ends its jobs: `leases` are {@link heldLeases}, and the rows
 * of jobs that were not asked for again go. The caller joins `leases`, selects {@link leaseColumns} from it, and makes of each
 * job's row, or of none, its {@link outcomeOf}.
 */
export const finishLeases = (jobs: readonly Job[]): Sql => sql`
  leases as materialized (${heldLeases(jobs)}), finished as (
    delete from jobs j where ${ofQueue(queueOf(jobs))} and j.key = any(array(select key from leases where not again))
  )`

export const leaseColumns = rawSql('leases.place, leases.again')

/** What {@link leaseColumns} say about a record that ends the job. Throws {@link LeaseLost} when there is no row. */
export function outcomeOf(job: Job, row: Row | undefined): JobOutcome {
  if (row === undefined) throw new LeaseLost(job.queue, job.key)
  return { status: row.again ? 'done' : 'finished' }
}

/** Of a job `j`: whether nobody works on it. Lease times are the database's, so that workers' clocks need not agree. */
export const unleased = rawSql('(j.lease_until is null or j.lease_until <= now())')
/** By when a job is due, by either clock. */
export const dueBy = (now: Date): Sql => sql`greatest(${now}::timestamptz, now())`
/**
 * What a claim sets. A message that led to it is on its way no more. Of a run that vanishes nobody records when to try again; from
 * the fourth attempt on that is set beforehand, so that a job over which processes die does not end one after the other. Whatever is
 * recorded of the run sets another time.
 */
export const leased = (leaseSeconds: number): Sql =>
  sql`lease_token = j.lease_token + 1, attempts = j.attempts + 1, published_until = null,
    run_at = case when j.attempts < ${VANISHED_MAX}::int then j.run_at
      else now() + make_interval(secs => least(power(2, least(j.attempts, 30) - 1), ${BACK_OFF_MS_MAX / 1000}::float8)) end,
    lease_until = now() + make_interval(secs => ${leaseSeconds}::float8)`
/** Runs that may vanish, as with any process that is ended, before another one has to wait. */
const VANISHED_MAX = 3
export const claimedColumns = rawSql(
  'j.queue, j.key, j.tenant_id, j.attempts, j.lease_token, j.requested, j.run_at, j.request_id',
)
/** The tenants of a queue, found by stepping along the index: one tenant's backlog costs nothing. */
export const tenantsOf = (queue: QueueName): Sql => sql`tenants as (
      (select tenant_id from jobs where queue = ${queue} order by tenant_id limit 1)
      union all
      select (select j.tenant_id from jobs j where j.queue = ${queue} and j.tenant_id > t.tenant_id order by j.tenant_id limit 1)
      from tenants t where t.tenant_id is not null
    )`

/**
 * For the end of a claim, behind `claimed`: what `load` finds, and whether it may be believed. A claim sees the other tables as they
 * were when it began, but a job as it is once its row could be locked; what was changed together with the job meanwhile would be missed.
 */
export const loading = (queue: QueueName, load: LoadWithClaim): { columns: Sql; joins: Sql } => ({
  columns: rawSql(
    'loaded.*, seen.requested = claimed.requested and seen.lease_token + 1 = claimed.lease_token as is_loaded',
  ),
  joins: sql`
    left join lateral (${load} limit 1) loaded on true
    left join lateral (
      select j.requested, j.lease_token from jobs j where ${ofQueue(queue)} and j.key = claimed.key limit 1
    ) seen on true`,
})

/** For a claim that loads nothing. */
export const NOTHING_TO_LOAD = { columns: rawSql('false as is_loaded'), joins: rawSql('') }

/** A job as it is claimed, with what {@link loading} found. */
export const toClaimedJob = (row: Row): Job => (row.is_loaded ? { ...toJob(row), loaded: row } : toJob(row))

export interface Claim {
  jobs: Job[]
  /** There is, or was a moment ago, more due work than was taken. */
  more: boolean
  /** Due work of tenants that have used up their own places was left, because there were too few common ones. */
  wantsCommon: boolean
  /** Milliseconds until the next job that is not due yet; `undefined` when nothing waits. */
  nextMs?: number
}

/**
 * Takes leases on due jobs, oldest first, at most `limit`: of each tenant what fits into its own places, and beyond them, oldest
 * first across tenants, what fits into the common ones. Walks from tenant to tenant along the index, so that one tenant's backlog
 * costs the others nothing. Lease times are the database's, so that workers' clocks need not agree; a job is due by either clock.
 */
export async function claimJobs(
  db: Db,
  input: {
    queue: QueueName
    now: Date
    limit: number
    leaseSeconds: number
    free: FreePlaces
    load?: LoadWithClaim
  },
): Promise<Claim> {
  const { queue, now, limit, free } = input
  const known = [...free.tenants]
  const due = dueBy(now)
  const { columns, joins } = input.load ? loading(queue, input.load) : NOTHING_TO_LOAD
  const rows = await db.many(
    (row) => row,
    sql`
    with recursive ${tenantsOf(queue)}, waiting as (
      select next.key, next.run_at, next.run_at <= ${due} as due, next.place > coalesce(known.own, ${free.idle.own}::int) as is_common
      from tenants t
      left join unnest(${known.map(([tenantId]) => tenantId ?? NO_TENANT)}::uuid[], ${known.map(([, { own }]) => own)}::int[],
        ${known.map(([, { places }]) => places)}::int[]) as known (tenant_id, own, places) on known.tenant_id = t.tenant_id
      cross join lateral (
        select j.key, j.run_at, row_number() over (order by j.run_at) as place from jobs j
        where j.queue = ${queue} and j.tenant_id = t.tenant_id and ${unleased}
        order by j.run_at limit least(${limit}::int, coalesce(known.places, ${free.idle.places}::int))
      ) next
      where t.tenant_id is not null
    ), admitted as (
      select key, run_at, not is_common or count(*) filter (where is_common) over (order by run_at, key) <= ${free.common}::int as has_place
      from waiting where due
    ), candidates as (
      select key, run_at from admitted where has_place order by run_at, key limit ${limit}
    ), locked as materialized (
      select j.key from jobs j
      where ${ofQueue(queue)} and j.key = any(array(select key from candidates)) and ${unleased} and j.run_at <= ${due}
      for update of j skip locked
    ), claimed as (
      update jobs j
      set ${leased(input.leaseSeconds)}
      where ${ofQueue(queue)} and j.key = any(array(select key from locked))
      returning ${claimedColumns}
    )
    select claimed.*, ${columns}, summary.candidates, summary.wants_common, summary.next_ms
    from (
      select (select count(*) from candidates)::int as candidates,
             exists (select from admitted where not has_place) as wants_common,
             (select extract(epoch from min(run_at) - ${due})::float8 * 1000 from waiting where not due) as next_ms
    ) summary
    left join claimed on true
    ${joins}
    order by claimed.run_at, claimed.key`,
  )
  const jobs = rows.filter((row) => row.key !== null).map(toClaimedJob)
  const { candidates, wants_common: wantsCommon, next_ms: nextMs } = rows[0] as Row
  return {
    jobs,
    more: candidates === limit || candidates > jobs.length,
    wantsCommon,
    ...(nextMs !== null && { nextMs }),
  }
}

/** Keeps the leases of jobs that are still worked on; those lost to others are left alone. */
export async function extendLeases(
  db: Db,
  input: { jobs: readonly Job[]; leaseSeconds: number },
): Promise<number> {
  return db.execute(sql`
    with leases as materialized (${heldLeases(input.jobs)})
    update jobs j set lease_until = now() + make_interval(secs => ${input.leaseSeconds}::float8)
    where ${ofQueue(queueOf(input.jobs))} and j.key = any(array(select key from leases))`)
}

/**
 * Records how runs ended, many in one statement: finished jobs go, others get their next time. A job that was asked for again
 * while it ran is due at once. Results whose lease was lost are ignored. Returns whether a job of these is due now. With
 * `announceWithinMs`, for workers that do not claim by themselves, jobs that are due by then are announced.
 *
 * The rows are locked first and judged by what the lock shows: a request that commits at this moment is then either seen
 * here, or finds no row and inserts one.
 */
export async function finishJobs(
  db: Db,
  queue: QueueName,
  results: readonly JobResult[],
  options: { announceWithinMs?: number } = {},
): Promise<{ again: boolean }> {
  const column = <T>(read: (result: JobResult) => T): T[] => results.map(read)
  const { announceWithinMs: soonMs } = options
  const announce =
    soonMs === undefined
      ? rawSql('')
      : sql`, (select ${notifyJobs(queue)} from held
          where again or retry_at <= now() + make_interval(secs => ${soonMs / 1000}::float8) limit 1)`
  return db.one(
    (row) => ({ again: row.again }),
    sql`
    with results as (
      select * from unnest(
        ${column(({ job }) => job.key)}::uuid[], ${column(({ job }) => job.leaseToken)}::bigint[],
        ${column(({ job }) => job.requested)}::bigint[], ${column(({ retryAt }) => retryAt ?? null)}::timestamptz[],
        ${column(({ threw }) => threw)}::boolean[]
      ) as r (key, lease_token, requested, retry_at, threw)
    ), held as materialized (
      select j.key, j.requested > r.requested as again, r.retry_at, r.threw
      from jobs j join results r on r.key = j.key and r.lease_token = j.lease_token
      where ${ofQueue(queue)} and j.key = any(${column(({ job }) => job.key)}::uuid[])
      order by j.key
      for update of j
    ), finished as (
      delete from jobs j where ${ofQueue(queue)} and j.key = any(array(select key from held where retry_at is null and not again))
    ), postponed as (
      update jobs j
      set lease_until = null, published_until = null, run_at = case when held.again then now() else held.retry_at end,
          attempts = case when held.threw then j.attempts else 0 end
      from held
      where ${ofQueue(queue)} and j.key = any(array(select key from held)) and j.key = held.key and (held.retry_at is not null or held.again)
    )
    select coalesce(bool_or(again), false) as again${announce} from held`,
  )
}
