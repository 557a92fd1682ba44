import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { createDb, type DbPool, deriveId, sql } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { claimKeys, type PublishWindow, postponePublication, takeForPublication } from './published-store.ts'
import { enqueueJob, finishJobs, insertJobs } from './store.ts'

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
})
afterEach(() => db.execute(sql`delete from jobs`))
after(async () => {
  await db.close()
  await database.drop()
})

const tenant = (name: string) => deriveId('tenant', name)
const insert = (count: number, of: string) =>
  db.execute(
    sql`with job as (${insertJobs('webhooks', sql`select gen_random_uuid(), ${tenant(of)}::uuid from generate_series(1, ${count}::int)`)}) select 1 from job`,
  )
const take = (window: PublishWindow = { own: 2, most: 10, common: 100 }, limit = 100) =>
  takeForPublication(db, { queue: 'webhooks', now: new Date(), limit, republishSeconds: 30, window })
const countOf = (jobs: readonly { tenantId?: string }[], of: string) =>
  jobs.filter(({ tenantId }) => tenantId === tenant(of)).length

test('F12: of one tenant only so many are on their way, until they are claimed', async () => {
  await insert(1_000, 'crowd')
  const first = await take()
  assert.equal(first.jobs.length, 10)
  assert.equal(first.full, true)
  assert.equal(first.onTheirWay, 10)
  assert.deepEqual((await take()).jobs, [])
  await insert(1, 'other')
  const second = await take()
  assert.equal(countOf(second.jobs, 'other'), 1)
  assert.equal(second.jobs.length, 1)
  const keys = first.jobs.slice(0, 4).map(({ key }) => key)
  const claimed = await claimKeys(db, { queue: 'webhooks', keys, now: new Date(), leaseSeconds: 30 })
  assert.ok(claimed.every((job) => job !== undefined))
  assert.equal(countOf((await take()).jobs, 'crowd'), 4)
})

test('F12: tenants with work share what is common, one part is left over, and each has its own always', async () => {
  const window = { own: 2, most: 10, common: 12 }
  const names = Array.from({ length: 8 }, (_, index) => `tenant ${index}`)
  const each = (jobs: readonly { tenantId?: string }[]) => names.map((name) => countOf(jobs, name))
  for (const name of names.slice(0, 2)) await insert(50, name)
  const first = await take(window)
  assert.deepEqual(each(first.jobs), [4, 4, 0, 0, 0, 0, 0, 0])
  assert.equal(first.full, true)
  await insert(50, names[2] ?? '')
  assert.deepEqual(each((await take(window)).jobs), [0, 0, 3, 0, 0, 0, 0, 0])
  for (const name of names.slice(3)) await insert(50, name)
  assert.deepEqual(each((await take(window)).jobs), [0, 0, 0, 2, 2, 2, 2, 2])
})

test('F12: who has nothing due takes no share', async () => {
  for (let index = 0; index < 20; index++) await insert(1, `later ${index}`)
  await db.execute(sql`update jobs set run_at = now() + interval '1 hour'`)
  await insert(50, 'a')
  const { jobs, nextMs = 0 } = await take({ own: 2, most: 100, common: 40 })
  assert.equal(jobs.length, 20)
  assert.ok(nextMs > 3_500_000 && nextMs <= 3_600_000, `${nextMs} ms`)
})

test('F12: where it is said that what is worked on counts, it fills the window until its lease has ended', async () => {
  const window = { own: 2, most: 10, common: 100, countsRunning: true }
  await insert(50, 'a')
  const keys = (await take(window)).jobs.map(({ key }) => key)
  assert.equal(keys.length, 10)
  assert.ok((await claim(keys)).every((job) => job !== undefined))
  const held = await take(window)
  assert.deepEqual(held.jobs, [])
  assert.deepEqual(held.inHand, [{ tenantId: tenant('a'), count: 10, isCut: true }])
  assert.equal((await take({ ...window, countsRunning: false })).jobs.length, 10)
  await db.execute(sql`update jobs set published_until = null`)
  // Of three the worker has died.
  await db.execute(
    sql`update jobs set lease_until = now() - interval '1 second' where key = any(${keys.slice(0, 3)}::uuid[])`,
  )
  const again = (await take(window)).jobs.map(({ key }) => key)
  assert.equal(again.length, 3)
})

test('F12: jobs of one instant fill the window too, wherever the index has those that are in hand', async () => {
  await insert(300, 'a')
  const window = { own: 2, most: 10, common: 100, countsRunning: true }
  const { jobs } = await take(window)
  // Their rows are elsewhere now, behind all the others of that instant.
  const filler = sql`update jobs set request_id = (select string_agg(md5(n::text), '') from generate_series(1, 50) n)
    where key = any(${jobs.map(({ key }) => key)}::uuid[])`
  await db.execute(filler)
  const { jobs: more, inHand } = await take(window)
  assert.deepEqual(more, [])
  assert.equal(inHand[0]?.count, 10)
})

test('what a tenant has earned comes to its share, up to the most', async () => {
  const window = { own: 2, most: 10, common: 12 }
  for (const name of ['a', 'b', 'c']) await insert(50, name)
  const earned = new Map([
    [tenant('a'), 4],
    [tenant('b'), 100],
  ])
  const { jobs } = await takeForPublication(db, {
    queue: 'webhooks',
    now: new Date(),
    limit: 100,
    republishSeconds: 30,
    window,
    earned,
  })
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => countOf(jobs, name)),
    [3 + 4, 10, 3],
  )
})

test('while there is too much at the broker, only a few jobs of tenants come to it that it has nothing of', async () => {
  await insert(50, 'old')
  await take()
  // On their way no more, but nobody has taken the messages.
  await db.execute(
    sql`update jobs set published_until = now() - interval '1 second' where published_until is not null`,
  )
  await insert(50, 'new')
  const takeNewcomers = () =>
    takeForPublication(db, {
      queue: 'webhooks',
      now: new Date(),
      limit: 100,
      republishSeconds: 30,
      window: { own: 2, most: 10, common: 100 },
      onlyNewcomers: true,
    })
  const { jobs } = await takeNewcomers()
  assert.deepEqual(
    ['old', 'new'].map((name) => countOf(jobs, name)),
    [0, 4],
  )
  assert.deepEqual((await takeNewcomers()).jobs, [])
  await db.execute(
    sql`update jobs set published_until = now() - interval '1 second' where published_until is not null`,
  )
  assert.deepEqual((await takeNewcomers()).jobs, [], 'also when their time is over')
  // What was not accepted is no message.
  await postponePublication(db, { queue: 'webhooks', keys: jobs.map(({ key }) => key), seconds: 0 })
  assert.equal((await takeNewcomers()).jobs.length, 4)
})

test('with too little room for all, tenants take turns', async () => {
  for (const name of ['a', 'b', 'c']) await insert(50, name)
  const { jobs, more } = await take(undefined, 9)
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => countOf(jobs, name)),
    [3, 3, 3],
  )
  assert.equal(more, true)
})

test('what was not sent is taken again, and what has no room later', async () => {
  await insert(2, 'a')
  const { jobs } = await take()
  const [one = '', other = ''] = jobs.map(({ key }) => key)
  await postponePublication(db, { queue: 'webhooks', keys: [one], seconds: 0 })
  await postponePublication(db, { queue: 'webhooks', keys: [other], seconds: 60 })
  assert.deepEqual(
    (await take()).jobs.map(({ key }) => key),
    [one],
  )
})

test('several relays at once take each job once', async () => {
  await insert(400, 'a')
  const window = { own: 0, most: 1_000, common: 1_000 }
  const taken = await Promise.all(Array.from({ length: 8 }, () => take(window, 50)))
  const keys = taken.flatMap(({ jobs }) => jobs.map(({ key }) => key))
  assert.equal(new Set(keys).size, keys.length)
})

test('of one job that is named twice one claim comes', async () => {
  await insert(1, 'a')
  const key = await db.one((row) => row.key as string, sql`select key from jobs`)
  const claims = await Promise.all(
    [0, 1].map(() =>
      claimKeys(db, { queue: 'webhooks', keys: [key, key], now: new Date(), leaseSeconds: 30 }),
    ),
  )
  assert.equal(claims.flat().filter((job) => job !== undefined).length, 1)
})

const claim = (keys: readonly string[]) =>
  claimKeys(db, { queue: 'webhooks', keys, now: new Date(), leaseSeconds: 30 })

test('F37: a job that the relay found due is claimed, although its clock is before ours', async () => {
  await insert(1, 'a')
  await db.execute(sql`update jobs set run_at = now() + interval '2 seconds'`)
  const now = new Date(Date.now() + 5_000)
  const window = { own: 2, most: 10, common: 100 }
  const { jobs } = await takeForPublication(db, {
    queue: 'webhooks',
    now,
    limit: 10,
    republishSeconds: 30,
    window,
  })
  const keys = jobs.map(({ key }) => key)
  assert.equal(keys.length, 1)
  assert.ok((await claim(keys))[0], 'otherwise it would wait until it is published again')
})

test('F37: a job that waits for its time is not run by a message of before, also where there was no room', async () => {
  await insert(1, 'a')
  const [published] = (await take()).jobs
  assert.ok(published)
  const keys = [published.key]
  const [job] = await claim(keys)
  assert.ok(job)
  const retryAt = new Date(Date.now() + 60_000)
  await finishJobs(db, 'webhooks', [{ job, retryAt, threw: false }])
  assert.deepEqual(await claim(keys), [undefined])
  await postponePublication(db, { queue: 'webhooks', keys, seconds: 5 })
  assert.deepEqual(await claim(keys), [undefined])
})

test('a job that is worked on is not claimed by another message, until its lease has ended', async () => {
  await insert(1, 'a')
  const keys = (await take()).jobs.map(({ key }) => key)
  assert.ok((await claim(keys))[0])
  assert.deepEqual(await claim(keys), [undefined])
  await db.execute(sql`update jobs set lease_until = now() - interval '1 second'`)
  assert.ok((await claim(keys))[0])
})

test('a job that nobody has published is not claimed before its time', async () => {
  await insert(1, 'a')
  await db.execute(sql`update jobs set run_at = now() + interval '1 minute'`)
  const keys = await db.many((row) => row.key as string, sql`select key from jobs`)
  assert.deepEqual(await claim(keys), [undefined])
})

test('F36: a relay that others keep from the rows does not look again at once', async () => {
  await insert(5, 'a')
  await db.tx(async (tx) => {
    await tx.execute(sql`select from jobs for update`)
    const { jobs, more, full } = await take(undefined, 5)
    assert.deepEqual([jobs, more, full], [[], false, true])
  })
})

test('what a claim loads is not believed when the job was asked for again while the claim waited for its row', async () => {
  await insert(1, 'one')
  const [first] = (await take()).jobs
  assert.ok(first)
  const { key } = first
  await db.execute(sql`create table if not exists state_of_jobs (key uuid primary key, state text)`)
  await db.execute(sql`insert into state_of_jobs values (${key}, 'old')`)
  const claim = async () => {
    const terms = { queue: 'webhooks', keys: [key], now: new Date(), leaseSeconds: 0 } as const
    const [job] = await claimKeys(db, {
      ...terms,
      load: sql`select s.state from state_of_jobs s where s.key = claimed.key`,
    })
    assert.ok(job)
    return job
  }
  assert.equal((await claim()).loaded?.state, 'old')
  let waiting: ReturnType<typeof claim> | undefined
  await db.tx(async (tx) => {
    await tx.execute(sql`update state_of_jobs set state = 'new' where key = ${key}`)
    await enqueueJob(tx, { queue: 'webhooks', key, tenantId: tenant('one') })
    waiting = claim()
    await waitFor(async () => (await waitingForLocks()) > 0)
  })
  const job = await waiting
  assert.equal(job?.requested, 2n)
  assert.equal(job?.loaded, undefined)
  assert.equal((await claim()).loaded?.state, 'new')
})

const waitingForLocks = () =>
  db.one(
    ({ count }) => Number(count),
    sql`select count(*) as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
