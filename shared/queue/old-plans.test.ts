import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDb, type DbPool, rawSql, sql, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { takeForPublication } from './published-store.ts'
import { claimJobs, heldLeases } from './store.ts'

const BACKLOG = 20_000

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  // One connection: its plans and its counts of rows read are what this is about.
  db = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
})
after(async () => {
  await db.close()
  await database.drop()
})

const insert = (count: number) =>
  db.execute(sql`insert into jobs (queue, key, tenant_id, run_at)
    select 'webhooks', gen_random_uuid(), ${uuidv7()}::uuid, now() - make_interval(secs => n / 1e6) from generate_series(1, ${count}::int) n`)

async function rowsRead(): Promise<number> {
  await db.execute(sql`select pg_stat_force_next_flush()`)
  await db.execute(sql`select pg_stat_clear_snapshot()`)
  return await db.one(
    (row) => Number(row.rows),
    sql`select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows from pg_stat_user_tables where relname = 'jobs'`,
  )
}

test('with plans for an empty queue, the leases of many jobs are found in one walk through it at most', async () => {
  await db.execute(rawSql('alter table jobs set (autovacuum_enabled = off)'))
  // A queue that was emptied: as many pages as before, and nothing in them.
  await insert(BACKLOG)
  await db.execute(rawSql('delete from jobs'))
  await db.execute(rawSql('analyze jobs'))
  await insert(BACKLOG)
  const { jobs } = await claimJobs(db, {
    queue: 'webhooks',
    now: new Date(),
    limit: 50,
    leaseSeconds: 30,
    free: { idle: { own: 50, places: 50 }, tenants: new Map(), common: 0 },
  })
  assert.equal(jobs.length, 50)
  const before = await rowsRead()
  assert.equal((await db.many((row) => row, heldLeases(jobs))).length, 50)
  const read = (await rowsRead()) - before
  assert.ok(read < 2 * BACKLOG, `${read} rows read`)
})

const TENANTS = 100
const JOBS_EACH = 400

for (const plans of ['a full queue', 'an empty one'])
  test(`F12: with plans for ${plans}, a look of the relay reads no more than is common to all tenants`, async () => {
    await db.execute(rawSql('alter table jobs set (autovacuum_enabled = off)'))
    await db.execute(rawSql('delete from jobs'))
    await db.execute(rawSql('vacuum analyze jobs'))
    for (let tenant = 0; tenant < TENANTS; tenant++) await insert(JOBS_EACH)
    if (plans === 'a full queue') await db.execute(rawSql('analyze jobs'))
    const window = { own: 16, most: 256, common: 2_048 }
    const share = Math.floor(window.common / (TENANTS + 1))
    const look = async () => {
      const before = await rowsRead()
      const { jobs } = await takeForPublication(db, {
        queue: 'webhooks',
        now: new Date(),
        limit: 512,
        republishSeconds: 30,
        window,
      })
      return { taken: jobs.length, read: (await rowsRead()) - before }
    }
    let taken = 0
    for (let looks = 0; looks < 6; looks++) {
      const found = await look()
      taken += found.taken
      // Of each tenant its share, and the steps from one to the next; each job that is taken is looked at thrice.
      const most = TENANTS * (share + 4) + 3 * found.taken
      assert.ok(found.read <= most, `look ${looks} read ${found.read} rows, at most ${most} expected`)
    }
    assert.equal(taken, TENANTS * share)
  })
