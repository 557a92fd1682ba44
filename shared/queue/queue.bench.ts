// How fast one worker process drains the queue when handlers cost nothing, and what a notification costs a commit.
import {
  createDb,
  createListener,
  type Db,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../platform/index.ts'
import { createTestDatabase } from '../testing/index.ts'
import { consumeJobs, enqueueJob, insertJobs } from './index.ts'

const JOBS = 20_000
const COMMITS = 4_000
const COMMITTERS = 16

const database = await createTestDatabase('resources')
const { connectionString } = database
const db = createDb({ connectionString, poolSizeMax: COMMITTERS })
const perSecond = (count: number, startedAt: number) =>
  Math.round((count / (performance.now() - startedAt)) * 1000)

async function drain(tenants: number): Promise<void> {
  const source = sql`select gen_random_uuid(), md5((n % ${tenants}::int)::text)::uuid from generate_series(1, ${JOBS}::int) n`
  await db.execute(sql`with job as (${insertJobs('webhooks', source)}) select 1 from job`)
  await db.execute(sql`analyze jobs`)
  let left = JOBS
  const finished = Promise.withResolvers<void>()
  const listener = createListener({ connectionString, log: silentLogger })
  const startedAt = performance.now()
  const consumer = consumeJobs(
    { db, listener, clock: systemClock, log: silentLogger },
    {
      queue: 'webhooks',
      concurrency: 128,
      idleMs: 1_000,
      leaseSeconds: 30,
      handler: async () => {
        await new Promise(setImmediate)
        if (--left === 0) finished.resolve()
        return { status: 'done' }
      },
    },
  )
  await finished.promise
  await consumer.close()
  console.log(`drain, ${tenants} tenants: ${perSecond(JOBS, startedAt)} jobs/s`)
  await listener.close()
}

async function commits(label: string, write: (db: Db) => Promise<unknown>): Promise<void> {
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: COMMITTERS }, async () => {
      for (let index = 0; index < COMMITS / COMMITTERS; index++) await db.tx(write)
    }),
  )
  console.log(`${label}: ${perSecond(COMMITS, startedAt)} commits/s by ${COMMITTERS} at once`)
  await db.execute(sql`delete from jobs`)
}

await drain(1)
await drain(100)
await commits('insert a job', (tx) =>
  tx.execute(insertJobs('webhooks', sql`select ${uuidv7()}::uuid, null::uuid`)),
)
await commits('insert a job and notify', (tx) => enqueueJob(tx, { queue: 'webhooks', key: uuidv7() }))
await db.close()
await database.drop()
