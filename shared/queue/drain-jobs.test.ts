import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createDb, type DbPool, silentLogger, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { drainJobs, enqueueJob, type JobHandler } from './index.ts'

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await db.close()
  await database.drop()
})
beforeEach(async () => {
  await db.execute(sql`delete from jobs`)
})

const drain = (handler: JobHandler, withinMs = 30_000) =>
  drainJobs(
    { db, clock: systemClock, log: silentLogger },
    { queue: 'tenant-mirror', handler, concurrency: 4, leaseSeconds: 10 },
    withinMs,
  )
const enqueue = async (count: number, runAt?: Date) => {
  for (let index = 0; index < count; index++)
    await enqueueJob(db, { queue: 'tenant-mirror', key: uuidv7(), ...(runAt && { runAt }) })
}
const left = () => db.one((row) => Number(row.count), sql`select count(*) as count from jobs`)

test('works off all that is due, some at once, and leaves what is not', async () => {
  await enqueue(11)
  await enqueue(2, systemClock.fromNow(60_000))
  let atOnce = 0
  let most = 0
  const ran = await drain(async () => {
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setTimeout(resolve, 5))
    atOnce--
    return { status: 'done' }
  })
  assert.deepEqual([ran, most, await left()], [11, 4, 2])
})

test('several at the same time share the work, and each job runs once', async () => {
  await enqueue(30)
  const keys: string[] = []
  const handler: JobHandler = async ({ key }) => {
    keys.push(key)
    return { status: 'done' }
  }
  const ran = await Promise.all([drain(handler), drain(handler), drain(handler)])
  assert.equal(
    ran.reduce((sum, count) => sum + count, 0),
    30,
  )
  assert.equal(new Set(keys).size, 30)
  assert.equal(await left(), 0)
})

test('one that throws waits for its time, and does not keep it going', async () => {
  await enqueue(1)
  assert.equal(await drain(() => Promise.reject(new Error('away'))), 1)
  assert.equal(await left(), 1)
  assert.equal(await drain(async () => ({ status: 'done' })), 0)
})

test('begins nothing after its time', async () => {
  await enqueue(9)
  assert.equal(await drain(async () => ({ status: 'done' }), 0), 0)
  const slow: JobHandler = () => new Promise((resolve) => setTimeout(() => resolve({ status: 'done' }), 30))
  assert.equal(await drain(slow, 20), 4)
  assert.equal(await left(), 5)
})
