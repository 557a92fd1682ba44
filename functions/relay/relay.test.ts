import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { ConfigError, createDb, type DbPool, sql, uuidv7 } from '../../shared/platform/index.ts'
import { enqueueJob } from '../../shared/queue/index.ts'
import { runTasks } from '../../shared/schedule/index.ts'
import {
  createTestDatabase,
  startTestBroker,
  type TestBroker,
  type TestDatabase,
  testNodeEnvironment,
  waitFor,
} from '../../shared/testing/index.ts'
import { openRelayTasks, startRelayProcess } from './wiring.ts'

let database: TestDatabase
let db: DbPool
let broker: TestBroker
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  const started = await startTestBroker('sqs')
  assert.ok(started)
  broker = started
})
after(async () => {
  await broker.stop()
  await db.close()
  await database.drop()
})

const environment = (more: Record<string, string> = {}) => ({
  ...testNodeEnvironment(database.connectionString),
  ...broker.environment,
  ...more,
})
const enqueueAll = async () => {
  for (const queue of ['webhooks', 'outgoing-payments', 'incoming-payments', 'tenant-mirror'] as const)
    await enqueueJob(db, { queue, key: uuidv7() })
}
const waiting = async () => {
  const [webhooks, payments] = [await broker.open('webhooks'), await broker.open('payments')]
  return [(await webhooks.depth()).waiting, (await payments.depth()).waiting]
}

test('the relay publishes jobs to the queues of their workers; mirroring tenants stays where it is', async () => {
  const relay = await startRelayProcess(environment())
  await enqueueAll()
  await waitFor(async () => (await waiting()).join() === '1,2')
  await relay.close()
  const left = sql`select queue from jobs where published_until is null`
  assert.deepEqual(await db.many((row) => row.queue, left), ['tenant-mirror'])
  await broker.purge()
  await db.execute(sql`delete from jobs`)
})

test('its task does the same once, and again does nothing', async () => {
  await enqueueAll()
  const { ctx, tasks, close } = await openRelayTasks(environment(), 'sandbox')
  for (let run = 0; run < 2; run++) {
    await runTasks(ctx, tasks, ['publish'])
    assert.deepEqual(await waiting(), [1, 2])
  }
  await close()
  await db.execute(sql`delete from jobs`)
})

test('without a broker, or with half of its queues, it does not start', async () => {
  for (const [more, problem] of [
    [{ QUEUE_DRIVER: 'postgres' }, /nothing to relay/],
    [{ SQS_PAYMENTS_QUEUE_URL: '' }, /needs SQS_PAYMENTS_QUEUE_URL/],
    [{ QUEUE_DRIVER: 'redis' }, /needs REDIS_URL/],
  ] as const)
    await assert.rejects(
      startRelayProcess(environment(more)),
      (error) => error instanceof ConfigError && problem.test(error.message),
    )
})

test('a start whose listener cannot listen closes what it opened', async () => {
  const blocker = createServer()
  await new Promise<void>((listening) => blocker.listen(0, '::', listening))
  const address = blocker.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const sessions = () =>
    db.execute(
      sql`select from pg_stat_activity where datname = current_database() and application_name like 'upesi%relay'`,
    )
  await assert.rejects(startRelayProcess(environment({ METRICS_PORT: String(port) })), { code: 'EADDRINUSE' })
  await waitFor(async () => (await sessions()) === 0)
  await new Promise((closed) => blocker.close(closed))
})
