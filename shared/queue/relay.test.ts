import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { createDb, type DbPool, deriveId, silentLogger, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { type Broker, enqueueJob, insertJobs, publishDueJobs, relayJobs } from './index.ts'

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

function brokerThat(takes: boolean) {
  const bodies: string[] = []
  const broker: Pick<Broker, 'send' | 'depth'> = {
    send: async (messages) => {
      if (takes) bodies.push(...messages.map(({ body }) => body))
      return messages.map(() => (takes ? undefined : new Error('no')))
    },
    depth: async () => ({ waiting: 0, inFlight: 0, dead: 0 }),
  }
  return { broker, bodies }
}

test('F36: a broker that takes nothing does not keep what is due for another from it, and is told of', async () => {
  for (const queue of ['webhooks', 'outgoing-payments'] as const)
    await enqueueJob(db, { queue, key: uuidv7() })
  const { broker, bodies } = brokerThat(true)
  const routes = [
    { queue: 'webhooks', broker: brokerThat(false).broker },
    { queue: 'outgoing-payments', broker },
  ] as const
  const ctx = { db, clock: systemClock, log: silentLogger }
  await assert.rejects(publishDueJobs(ctx, { routes, idleMs: 1_000 }), /webhooks/)
  assert.equal(bodies.length, 1)
  const free = sql`select queue from jobs where published_until is null`
  assert.deepEqual(await db.many((row) => row.queue, free), ['webhooks'])
})

const enqueueMany = (count: number, tenantId: string) =>
  db.execute(
    sql`with job as (${insertJobs('webhooks', sql`select gen_random_uuid(), ${tenantId}::uuid from generate_series(1, ${count}::int)`)}) select 1 from job`,
  )

test('F12: a relay that finds a long backlog at the broker adds nothing to it but a few jobs of tenants that are new there', async () => {
  const [old, fresh, another] = ['old', 'fresh', 'another'].map((name) => deriveId('tenant', name)) as [
    string,
    string,
    string,
  ]
  // Sent before its time, and never taken.
  await enqueueMany(300, old)
  await db.execute(sql`update jobs set published_until = now() - interval '1 minute'`)
  const sent = new Map<string | undefined, number>()
  let waiting = 5_000
  const broker: Pick<Broker, 'send' | 'depth'> = {
    send: async (messages) => {
      for (const { tenantId } of messages) sent.set(tenantId, (sent.get(tenantId) ?? 0) + 1)
      return messages.map(() => undefined)
    },
    depth: async () => ({ waiting, inFlight: 0, dead: 0 }),
  }
  await enqueueMany(100, fresh)
  const relay = relayJobs(
    { db, clock: systemClock, log: silentLogger },
    { routes: [{ queue: 'webhooks', broker }], idleMs: 20, republishSeconds: 0.1 },
  )
  try {
    await waitFor(() => sent.get(fresh) === 4)
    await enqueueMany(1, another)
    await waitFor(() => sent.get(another) === 1)
    // Their times are over by then, several times.
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.deepEqual(
      sent,
      new Map([
        [fresh, 4],
        [another, 1],
      ]),
    )
    waiting = 0
    await waitFor(() => (sent.get(old) ?? 0) >= 256)
  } finally {
    await relay.close()
  }
})

test('whoever publishes from time to time goes on while jobs make room for others, and does not wait for what hangs', async () => {
  const tenantId = deriveId('tenant', 'one')
  let isHanging = false
  let sent = 0
  const broker: Pick<Broker, 'send' | 'depth'> = {
    send: async (messages) => {
      sent += messages.length
      if (!isHanging)
        await db.execute(sql`delete from jobs where key = any(${messages.map(({ key }) => key)}::uuid[])`)
      return messages.map(() => undefined)
    },
    depth: async () => ({ waiting: 0, inFlight: 0, dead: 0 }),
  }
  const window = { own: 1, most: 75, common: 10, promptMs: 1_000, countsRunning: true }
  const publish = () =>
    publishDueJobs(
      { db, clock: systemClock, log: silentLogger },
      { routes: [{ queue: 'webhooks', broker, window }], idleMs: 1_000 },
    )
  await enqueueMany(200, tenantId)
  assert.deepEqual(await publish(), { sent: 200 })
  isHanging = true
  sent = 0
  await enqueueMany(200, tenantId)
  assert.deepEqual(await publish(), { sent: 5 })
  assert.equal(sent, 5)
})
