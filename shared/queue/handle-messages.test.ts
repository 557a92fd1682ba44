import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { createDb, type DbPool, deriveId, silentLogger, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { createMessageWorker } from './handle-messages.ts'
import { enqueueJob } from './store.ts'

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

const tenantId = deriveId('tenant', 'slow')
const messageOf = (key: string, id = uuidv7()) => ({
  id,
  body: JSON.stringify({ queue: 'webhooks', key, tenantId }),
  receiveCount: 1,
})

test('F12: while a message waits for a place, others about the same job do not wait beside it', async () => {
  const hold = Promise.withResolvers<void>()
  const ran: string[] = []
  const worker = createMessageWorker({ db, clock: systemClock, log: silentLogger }, [
    {
      queue: 'webhooks',
      concurrency: 10,
      shares: { own: 1, most: 1, common: 0 },
      leaseSeconds: 30,
      handler: async ({ key }) => {
        ran.push(key)
        await hold.promise
        return { status: 'done' }
      },
    },
  ])
  const [running, waits] = [uuidv7(), uuidv7()]
  for (const key of [running, waits]) await enqueueJob(db, { queue: 'webhooks', key, tenantId })
  const first = worker.handle([messageOf(running)])
  await waitFor(() => ran.length === 1)
  const [original] = worker.handle([messageOf(waits)])
  // The relay sends it again every so often.
  const repeats = worker.handle([messageOf(waits), messageOf(waits)])
  try {
    const ended = await Promise.race([
      Promise.all(repeats),
      new Promise((resolve) => setTimeout(resolve, 1_000, 'they wait')),
    ])
    assert.deepEqual(ended, [{ status: 'done' }, { status: 'done' }])
  } finally {
    hold.resolve()
  }
  assert.deepEqual(await Promise.all([...first, original]), [{ status: 'done' }, { status: 'done' }])
  assert.deepEqual(ran, [running, waits])
  // It is no longer in hand, and asked for again it runs again.
  await enqueueJob(db, { queue: 'webhooks', key: waits, tenantId })
  await Promise.all(worker.handle([messageOf(waits)]))
  assert.deepEqual(ran, [running, waits, waits])
})
