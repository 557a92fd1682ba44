import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  createDb,
  type DbPool,
  deriveId,
  silentLogger,
  sql,
  systemClock,
} from '../../shared/platform/index.ts'
import {
  type Broker,
  createMessageWorker,
  insertJobs,
  type Job,
  type JobOutcome,
  type OutgoingMessage,
  relayJobs,
} from '../../shared/queue/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../shared/testing/index.ts'
import { functionWindow } from './windows.ts'

const BATCHES = 10
const crowd = deriveId('tenant', 'crowd')
const other = deriveId('tenant', 'other')

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString, poolSizeMax: 12 })
})
after(async () => {
  await db.close()
  await database.drop()
})

const enqueue = (count: number, tenantId: string) =>
  db.execute(
    sql`with job as (${insertJobs('webhooks', sql`select gen_random_uuid(), ${tenantId}::uuid from generate_series(1, ${count}::int)`)}) select 1 from job`,
  )

/**
 * A queue that invokes a function, in the worst case: first come, first served, one message in each batch, and so many batches at the
 * same time. An invocation ends with its message.
 */
function startFunction(handler: (job: Job) => Promise<JobOutcome>) {
  const waiting: OutgoingMessage[] = []
  const worker = createMessageWorker({ db, clock: systemClock, log: silentLogger }, [
    { queue: 'webhooks', concurrency: 10_000, leaseSeconds: 30, handler },
  ])
  let running = 0
  const invoke = (): void => {
    while (running < BATCHES) {
      const message = waiting.shift()
      if (!message) return
      running++
      const [verdict] = worker.handle([{ id: message.key, body: message.body, receiveCount: 1 }])
      void verdict?.then(() => {
        running--
        invoke()
      })
    }
  }
  const broker: Pick<Broker, 'send' | 'depth'> = {
    async send(messages) {
      waiting.push(...messages)
      invoke()
      return messages.map(() => undefined)
    },
    depth: async () => ({ waiting: waiting.length, inFlight: running, dead: 0 }),
  }
  return { broker, running: () => running }
}

test('F12: of a function one tenant whose endpoint hangs holds a part of the batches, and another is served at once', async (t) => {
  const hold = Promise.withResolvers<void>()
  let begun = 0
  let before: number | undefined
  const fn = startFunction(async ({ tenantId }) => {
    if (tenantId === other) before = begun
    else {
      begun++
      await hold.promise
    }
    return { status: 'done' }
  })
  await enqueue(500, crowd)
  const relay = relayJobs(
    { db, clock: systemClock, log: silentLogger },
    {
      routes: [{ queue: 'webhooks', broker: fn.broker, window: functionWindow('webhooks', BATCHES) }],
      idleMs: 20,
    },
  )
  t.after(async () => {
    hold.resolve()
    await relay.close()
    await db.execute(sql`delete from jobs`)
  })
  await waitFor(() => begun === BATCHES / 2)
  // Its share, as long as they hang.
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(begun, BATCHES / 2)
  assert.equal(fn.running(), BATCHES / 2)
  await enqueue(1, other)
  await waitFor(() => before !== undefined)
  assert.equal(before, BATCHES / 2, 'none of the crowd has gone first')
})

test('one tenant whose endpoint answers has all of a function when it is alone', async (t) => {
  let begun = 0
  let inFlight = 0
  let most = 0
  const fn = startFunction(async () => {
    begun++
    most = Math.max(most, ++inFlight)
    await new Promise((resolve) => setTimeout(resolve, 20))
    inFlight--
    return { status: 'done' }
  })
  await enqueue(500, crowd)
  const relay = relayJobs(
    { db, clock: systemClock, log: silentLogger },
    {
      routes: [{ queue: 'webhooks', broker: fn.broker, window: functionWindow('webhooks', BATCHES) }],
      idleMs: 20,
    },
  )
  t.after(() => relay.close())
  await waitFor(() => begun === 500, 30_000)
  assert.equal(most, BATCHES)
})
