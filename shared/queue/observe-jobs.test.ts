import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  configuration,
  createDb,
  type Db,
  type DbPool,
  Fault,
  silentLogger,
  sql,
  uuidv7,
} from '../platform/index.ts'
import { createTelemetry, type Telemetry, telemetryVariables, toPrometheus } from '../telemetry/index.ts'
import { createTestDatabase, startTestCollector, type TestDatabase } from '../testing/index.ts'
import { LeaseLost } from './errors.ts'
import type { Job } from './model.ts'
import { observeQueue, observeRuns } from './observe-jobs.ts'
import { enqueueJob } from './store.ts'

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

const start = (env: Record<string, string> = {}): Promise<Telemetry> =>
  createTelemetry(configuration.loadConfig(telemetryVariables, env), { name: 'test', log: silentLogger })
const linesOf = async ({ instruments }: Telemetry): Promise<string[]> =>
  toPrometheus(await instruments.collect()).split('\n')
const jobOf = (key: string, attempts = 1): Job => ({
  queue: 'webhooks',
  key,
  attempts,
  leaseToken: 1n,
  requested: 1n,
})

test('a queue shows how deep and how old it is, and what has been tried in vain', async () => {
  const telemetry = await start()
  observeQueue(telemetry, db, 'webhooks')
  const keys = Array.from({ length: 5 }, () => uuidv7())
  for (const key of keys) await enqueueJob(db, { queue: 'webhooks', key })
  await enqueueJob(db, { queue: 'incoming-payments', key: uuidv7() })
  await db.execute(
    sql`update jobs set run_at = now() - interval '90 seconds', attempts = 4 where key = ${keys[0]}`,
  )
  await db.execute(sql`update jobs set run_at = now() + interval '1 hour' where key = ${keys[1]}`)
  await db.execute(
    sql`update jobs set lease_until = now() + interval '1 hour', attempts = 1 where key = ${keys[2]}`,
  )
  const lines = await linesOf(telemetry)
  for (const line of [
    'upesi_queue_jobs{queue="webhooks",state="due"} 3',
    'upesi_queue_jobs{queue="webhooks",state="running"} 1',
    'upesi_queue_jobs{queue="webhooks",state="later"} 1',
    'upesi_queue_retrying_jobs{queue="webhooks"} 1',
  ])
    assert.ok(lines.includes(line), line)
  const age = lines.find((line) => line.startsWith('upesi_queue_oldest_due_seconds{'))
  assert.match(age ?? '', / (89|9\d)(\.\d+)?$/)
  await telemetry.close()
})

test('however many look, the table is asked once in a while; without a database the rest is shown', async () => {
  const telemetry = await start()
  let asked = 0
  let isAway = false
  const counting = {
    one: (...input: Parameters<Db['one']>) => {
      asked++
      if (isAway) return Promise.reject(new Error('away'))
      return db.one(...input)
    },
  } as unknown as Db
  observeQueue(telemetry, counting, 'webhooks')
  for (let n = 0; n < 5; n++) await linesOf(telemetry)
  assert.equal(asked, 1)
  await telemetry.close()

  const other = await start()
  isAway = true
  observeQueue(other, counting, 'webhooks')
  other.instruments.counter('upesi_queue_messages_sent').add(1, { queue: 'webhooks', outcome: 'sent' })
  const lines = await linesOf(other)
  assert.ok(!lines.some((line) => line.startsWith('upesi_queue_jobs')))
  assert.ok(lines.some((line) => line.startsWith('upesi_queue_messages_sent')))
  await other.close()
})

test('runs are counted by how they ended, and end as they did', async () => {
  const telemetry = await start()
  const ends: Record<string, () => Promise<{ status: 'done' } | { status: 'retry'; at: Date }>> = {
    done: async () => ({ status: 'done' }),
    retry: async () => ({ status: 'retry', at: new Date() }),
    postponed: () => Promise.reject(new Fault('database_unavailable', { retryable: true })),
    threw: () => Promise.reject(new Error('broken')),
    lease_lost: () => Promise.reject(new LeaseLost('webhooks', 'x')),
  }
  for (const end of Object.values(ends))
    await observeRuns(
      { telemetry, log: silentLogger },
      'webhooks',
      end,
    )(jobOf(uuidv7(), 3)).catch(() => undefined)
  await assert.rejects(
    observeRuns({ telemetry, log: silentLogger }, 'webhooks', ends.threw!)(jobOf(uuidv7())),
    /broken/,
  )
  const lines = await linesOf(telemetry)
  for (const outcome of Object.keys(ends)) {
    const count = outcome === 'threw' ? 2 : 1
    const line = `upesi_queue_run_ms_count{queue="webhooks",outcome="${outcome}"} ${count}`
    assert.ok(lines.includes(line), line)
  }
  assert.ok(lines.includes('upesi_queue_attempts_bucket{queue="webhooks",le="1"} 1'))
  assert.ok(lines.includes('upesi_queue_attempts_count{queue="webhooks"} 6'))
  await telemetry.close()
})

test('a run belongs to the trace of its payment, whoever put the job there', async (t) => {
  const collector = await startTestCollector()
  t.after(() => collector.close())
  const telemetry = await start({
    ENABLE_TELEMETRY_TRACES: 'true',
    OPEN_TELEMETRY_TRACE_COLLECTOR_URLS: collector.url,
    OPEN_TELEMETRY_PROTOCOL: 'http/json',
  })
  const key = uuidv7()
  const handler = observeRuns(
    { telemetry, log: silentLogger },
    'outgoing-payments',
    async () => ({ status: 'done' }),
    (job) => ({ outgoingPaymentId: job.key }),
  )
  await telemetry.tracing.span('something else', {}, () => handler(jobOf(key)))
  await telemetry.close()
  const run = collector.spans.find(({ name }) => name === 'outgoing-payments job')
  assert.equal(run?.traceId, key.replaceAll('-', ''))
  assert.equal(run?.attributes['upesi.outgoing_payment.id'], key)
})
