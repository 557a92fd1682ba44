import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDb, type DbPool, silentLogger, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { type Broker, enqueueJob, publishDueJobs } from './index.ts'

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
  const free = sql`select queue from jobs where published_until <= now()`
  assert.deepEqual(await db.many((row) => row.queue, free), ['webhooks'])
})
