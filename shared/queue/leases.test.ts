// Records of many jobs in one statement: each lease is judged for itself, and beside requests that come at the same moment.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { createDb, type Db, type DbPool, type Row, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { LeaseLost } from './errors.ts'
import type { Job } from './model.ts'
import { claimKeys } from './published-store.ts'
import { createTenantShares } from './shares.ts'
import {
  claimJobs,
  enqueueJob,
  extendLeases,
  finishJobs,
  finishLeases,
  insertJobs,
  leaseColumns,
  outcomeOf,
} from './store.ts'

const JOBS = 60
const ROUNDS = 10

let database: TestDatabase
let db: DbPool
/** As other processes would be. */
let others: DbPool[]

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  others = [1, 2].map(() => createDb({ connectionString: database.connectionString, poolSizeMax: 4 }))
})
afterEach(async () => {
  await db.execute(sql`delete from jobs`)
})
after(async () => {
  await Promise.all([db, ...others].map((pool) => pool.close()))
  await database.drop()
})

const shuffled = <T>(items: readonly T[]): T[] => {
  const copy = [...items]
  for (let index = copy.length - 1; index > 0; index--) {
    const other = randomInt(index + 1)
    const [one, two] = [copy[index] as T, copy[other] as T]
    copy[index] = two
    copy[other] = one
  }
  return copy
}

const claim = async (limit = 100): Promise<Job[]> => {
  const free = createTenantShares({ concurrency: limit }).free()
  const { jobs } = await claimJobs(db, {
    queue: 'webhooks',
    now: systemClock.now(),
    limit,
    leaseSeconds: 30,
    free,
  })
  return jobs
}

async function claimed(count: number): Promise<Job[]> {
  const source = sql`select gen_random_uuid(), null::uuid from generate_series(1, ${count}::int)`
  await db.execute(sql`with job as (${insertJobs('webhooks', source)}) select from job`)
  const jobs = await claim()
  assert.equal(jobs.length, count)
  return jobs
}

/** What became of each job, in the order in which they were given. */
async function finish(on: Db, jobs: readonly Job[]): Promise<string[]> {
  const rows = await on.many((row) => row, sql`with ${finishLeases(jobs)} select ${leaseColumns} from leases`)
  const byPlace = new Map<number, Row>(rows.map((row) => [Number(row.place), row]))
  return jobs.map((job, index) => {
    try {
      return outcomeOf(job, byPlace.get(index + 1)).status
    } catch (error) {
      assert.ok(error instanceof LeaseLost)
      return 'lost'
    }
  })
}

const keysLeft = async (): Promise<Set<string>> =>
  new Set(await db.many((row) => row.key as string, sql`select key from jobs`))

test('F37: of jobs that end in one statement each has its own end: gone, asked for again, or lost', async () => {
  const kinds = ['finished', 'done', 'lost', 'vanished'] as const
  for (let round = 0; round < ROUNDS; round++) {
    const jobs = shuffled(await claimed(JOBS)).map((job) => ({ job, kind: kinds[randomInt(kinds.length)] }))
    const keysOf = (kind: string) => jobs.filter((each) => each.kind === kind).map(({ job }) => job.key)
    for (const key of keysOf('done')) await enqueueJob(db, { queue: 'webhooks', key })
    // Another worker has claimed these since, and ended those.
    await db.execute(
      sql`update jobs set lease_token = lease_token + 1 where key = any(${keysOf('lost')}::uuid[])`,
    )
    await db.execute(sql`delete from jobs where key = any(${keysOf('vanished')}::uuid[])`)
    const outcomes = await finish(
      db,
      jobs.map(({ job }) => job),
    )
    assert.deepEqual(
      outcomes,
      jobs.map(({ kind }) => (kind === 'vanished' ? 'lost' : kind)),
    )
    assert.deepEqual(await keysLeft(), new Set([...keysOf('done'), ...keysOf('lost')]))
    await db.execute(sql`delete from jobs`)
  }
})

test('F37: requests that come while many jobs end in one statement are not lost, and nobody waits in a circle', async () => {
  const [one, two] = others as [DbPool, DbPool]
  for (let round = 0; round < ROUNDS; round++) {
    const jobs = await claimed(JOBS)
    const requested = shuffled(jobs).slice(0, JOBS / 2)
    const half = JOBS / 2
    const [first, second] = await Promise.all([
      finish(db, shuffled(jobs.slice(0, half))),
      finish(one, shuffled(jobs.slice(half))),
      // The same rows, asked for in other orders. None of these gives up for another's sake.
      extendLeases(two, { jobs: shuffled(jobs), leaseSeconds: 30 }),
      finishJobs(
        two,
        'webhooks',
        shuffled(jobs).map((job) => ({ job: { ...job, leaseToken: -1n }, threw: false })),
      ),
      ...requested.map(({ key }) => enqueueJob(two, { queue: 'webhooks', key })),
    ])
    assert.ok([...first, ...second].every((outcome) => outcome === 'finished' || outcome === 'done'))
    const left = await keysLeft()
    for (const { key } of requested) assert.ok(left.has(key), 'asked for and gone')
    assert.equal(left.size, requested.length)
    await db.execute(sql`delete from jobs`)
  }
})

test('leases are extended by those who hold them alone', async () => {
  const jobs = await claimed(3)
  const [lost] = jobs as [Job]
  await db.execute(
    sql`update jobs set lease_token = lease_token + 1, lease_until = now() where key = ${lost.key}`,
  )
  assert.equal(await extendLeases(db, { jobs, leaseSeconds: 3_600 }), 2)
  const extended = await db.many(
    (row) => row.key as string,
    sql`select key from jobs where lease_until > now() + interval '30 minutes' order by key`,
  )
  assert.deepEqual(
    extended,
    jobs
      .slice(1)
      .map(({ key }) => key)
      .sort(),
  )
})

test('jobs of two queues are not recorded together', () => {
  const job: Job = { queue: 'webhooks', key: uuidv7(), attempts: 1, leaseToken: 1n, requested: 1n }
  assert.throws(() => finishLeases([job, { ...job, queue: 'outgoing-payments' }]))
})

test('F31: a job whose workers die over it comes after pauses that grow, however it comes', async () => {
  const key = uuidv7()
  await enqueueJob(db, { queue: 'webhooks', key })
  const claimByKey = async () => {
    const [job] = await claimKeys(db, {
      queue: 'webhooks',
      keys: [key],
      now: systemClock.now(),
      leaseSeconds: 30,
    })
    return job
  }
  const die = () => db.execute(sql`update jobs set lease_until = now() - interval '1 second'`)
  const attempts: (number | undefined)[] = []
  for (let round = 0; round < 8; round++) {
    const job = round % 2 === 0 ? (await claim())[0] : await claimByKey()
    attempts.push(job?.attempts)
    await die()
  }
  assert.deepEqual(attempts, [1, 2, 3, 4, undefined, undefined, undefined, undefined])
  const pauseSeconds = () =>
    db.one(
      (row) => Number(row.pause),
      sql`select extract(epoch from run_at - now())::float8 as pause from jobs`,
    )
  const first = await pauseSeconds()
  assert.ok(first > 2 && first <= 4, `${first} s`)
  // Its time comes, and it runs as any other.
  await db.execute(sql`update jobs set run_at = now()`)
  const [job] = await claim()
  assert.equal(job?.attempts, 5)
  const second = await pauseSeconds()
  assert.ok(second > first && second <= 8, `${second} s`)
  await db.execute(sql`update jobs set attempts = 1000, lease_until = null, run_at = now()`)
  await claim()
  const longest = await pauseSeconds()
  assert.ok(longest > 290 && longest <= 300, `${longest} s`)
})
