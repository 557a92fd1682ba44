// Attempts that end at the same time are recorded together, and each has its own end.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createDb, type DbPool, deriveId, silentLogger, sql, systemClock } from '../platform/index.ts'
import { type Job, LeaseLost } from '../queue/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import type { WebhookAttempt } from './model.ts'
import { type DeliveryOutcome, recordAttempt, recordEvent, recordLastAttempt } from './store.ts'

const tenantId = deriveId('tenant', 1)
const EVENTS = 60

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString, log: silentLogger })
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
})
beforeEach(async () => {
  await db.execute(sql`delete from webhook_events`)
  await db.execute(sql`delete from jobs`)
})
after(async () => {
  await db.close()
  await database.drop()
})

/** Deliveries under a lease, oldest first. */
async function claimed(count = EVENTS): Promise<Job[]> {
  for (let index = 0; index < count; index++)
    await recordEvent(db, { tenantId, type: 'wallet_address.not_found', data: {} })
  await db.execute(sql`update jobs set lease_token = 1, lease_until = now() + interval '1 hour'`)
  return await db.many(
    (row): Job => ({ queue: 'webhooks', key: row.key, attempts: 1, leaseToken: 1n, requested: 1n }),
    sql`select key from jobs order by key`,
  )
}

const now = systemClock.now()
const attempt = (more: Partial<WebhookAttempt> = {}): WebhookAttempt => ({
  number: 1,
  at: now,
  latencyMs: 3,
  ...more,
})
const delivered = (answer?: string): DeliveryOutcome => ({
  state: 'delivered',
  made: attempt({ status: 200, ...(answer !== undefined && { answer }) }),
  now,
})

const stateOf = (key: string) =>
  db.one(
    (row) => ({
      state: row.state as string,
      attempts: row.attempts as number,
      status: row.status_code as number | null,
      error: row.last_error as string | null,
      answer: row.answer as string | null,
      latencyMs: row.latency_ms as number | null,
      ended: row.delivered_at !== null || row.dead_at !== null,
      logged: row.logged as number[],
      hasJob: row.has_job as boolean,
    }),
    sql`select d.*, exists (select from jobs where key = d.id) as has_job,
        array(select number from webhook_attempts where delivery_id = d.id order by number) as logged
      from webhook_deliveries d where id = ${key}`,
  )

/** Statements that wrote the deliveries: rows of one have one transaction. */
const statements = () =>
  db.one(
    (row) => Number(row.count),
    sql`select count(distinct xmin::text) as count from webhook_deliveries where attempts > 0`,
  )

test('deliveries that end at the same time are one statement, and their jobs go with it', async () => {
  const jobs = await claimed()
  const outcomes = await Promise.all(
    jobs.map((job, index) => recordLastAttempt(db, job, delivered(`answer ${index}`))),
  )
  assert.ok(outcomes.every(({ status }) => status === 'finished'))
  assert.equal(await statements(), 1)
  for (const [index, { key }] of jobs.entries())
    assert.deepEqual(await stateOf(key), {
      state: 'delivered',
      attempts: 1,
      status: 200,
      error: null,
      answer: `answer ${index}`,
      latencyMs: 3,
      ended: true,
      logged: [],
      hasJob: false,
    })
})

test('F17: of deliveries recorded together, one whose lease was lost, one that was sent again and one that cannot be written have their own ends', async () => {
  const jobs = await claimed()
  const [lost, again, broken, dead, unsent] = jobs as [Job, Job, Job, Job, Job]
  await db.execute(sql`update jobs set lease_token = 2 where key = ${lost.key}`)
  await db.execute(sql`update jobs set requested = 2 where key = ${again.key}`)
  const special = new Map<string, DeliveryOutcome>([
    // No text of Postgres holds this.
    [broken.key, delivered('\0')],
    [dead.key, { state: 'dead', made: attempt({ status: 500, error: 'answered 500', answer: 'no' }), now }],
    [unsent.key, { state: 'dead', reason: 'no attempts are allowed any more', now }],
  ])
  const ends = await Promise.allSettled(
    jobs.map((job) => recordLastAttempt(db, job, special.get(job.key) ?? delivered())),
  )
  const endOf = (job: Job) => {
    const end = ends[jobs.indexOf(job)]
    return end?.status === 'fulfilled' ? end.value.status : end?.reason
  }
  assert.ok(endOf(lost) instanceof LeaseLost)
  assert.equal(endOf(again), 'done')
  assert.ok(endOf(broken) instanceof Error && !(endOf(broken) instanceof LeaseLost))
  for (const job of jobs.filter((each) => ![lost, again, broken].includes(each)))
    assert.equal(endOf(job), 'finished')
  const pending = { state: 'pending', attempts: 0, ended: false, hasJob: true }
  assert.partialDeepStrictEqual(await stateOf(lost.key), pending)
  assert.partialDeepStrictEqual(await stateOf(broken.key), pending)
  assert.partialDeepStrictEqual(await stateOf(again.key), { state: 'delivered', hasJob: true })
  assert.partialDeepStrictEqual(await stateOf(dead.key), {
    state: 'dead',
    status: 500,
    error: 'answered 500',
    answer: null,
    ended: true,
    logged: [1],
    hasJob: false,
  })
  assert.partialDeepStrictEqual(await stateOf(unsent.key), {
    state: 'dead',
    attempts: 0,
    status: null,
    error: 'no attempts are allowed any more',
    logged: [],
    hasJob: false,
  })
})

test('attempts that are followed by others are recorded together, keep their jobs, and push out the oldest', async () => {
  const jobs = await claimed()
  const [lost, old] = jobs as [Job, Job]
  await db.execute(sql`update jobs set lease_token = 2 where key = ${lost.key}`)
  await db.execute(sql`
    insert into webhook_attempts (delivery_id, number, at) select ${old.key}::uuid, n, now() from generate_series(1, 3) n`)
  const failed = (number: number): DeliveryOutcome => ({
    state: 'pending',
    made: attempt({ number, error: 'no answer' }),
    now,
  })
  const ends = await Promise.allSettled(
    jobs.map((job) => recordAttempt(db, job, failed(job === old ? 202 : 1))),
  )
  for (const [index, end] of ends.entries())
    if (jobs[index] === lost) assert.ok(end.status === 'rejected' && end.reason instanceof LeaseLost)
    else assert.equal(end.status, 'fulfilled')
  assert.equal(await statements(), 1)
  assert.partialDeepStrictEqual(await stateOf(lost.key), { attempts: 0, logged: [], hasJob: true })
  assert.partialDeepStrictEqual(await stateOf(old.key), { attempts: 202, logged: [3, 202], hasJob: true })
  for (const { key } of jobs.slice(2))
    assert.deepEqual(await stateOf(key), {
      state: 'pending',
      attempts: 1,
      status: null,
      error: 'no answer',
      answer: null,
      latencyMs: null,
      ended: false,
      logged: [1],
      hasJob: true,
    })
})

test('two processes that record the same deliveries, in any order, come through, and each delivery is recorded once', async () => {
  const other = createDb({ connectionString: database.connectionString })
  for (let round = 0; round < 5; round++) {
    const jobs = await claimed(30)
    const record = (pool: DbPool, mine: readonly Job[]) =>
      Promise.allSettled(mine.map((job) => recordLastAttempt(pool, job, delivered())))
    const [first, second] = await Promise.all([record(db, jobs), record(other, jobs.toReversed())])
    const winners = jobs.filter((_, index) => {
      const ends = [first[index], second.toReversed()[index]]
      for (const end of ends)
        if (end?.status === 'rejected') assert.ok(end.reason instanceof LeaseLost, end.reason)
      return ends.filter((end) => end?.status === 'fulfilled').length === 1
    })
    assert.equal(winners.length, jobs.length)
    await waitFor(async () => (await db.execute(sql`select from jobs`)) === 0 || undefined)
    await db.execute(sql`delete from webhook_events`)
  }
  await other.close()
})
