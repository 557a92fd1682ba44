import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda'
import { createDb, type DbPool, deriveId, silentLogger, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createMessageWorker, enqueueJob, type IncomingMessage, type Job } from '../queue/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { invokeFunction } from '../testing/lambda-simulator/index.ts'
import { createQueueHandler } from './queue-handler.ts'

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

const noInvocation = { begin: async () => undefined, end: async () => undefined }

function handlerFor(run: (job: Job) => Promise<void>, on: Partial<DbPool> = {}) {
  const buried: [string, string][] = []
  const handler = createQueueHandler(async () => ({
    worker: createMessageWorker({ db: { ...db, ...on }, clock: systemClock, log: silentLogger }, [
      {
        queue: 'webhooks',
        concurrency: 1_000,
        leaseSeconds: 30,
        handler: async (job) => {
          await run(job)
          return { status: 'done' }
        },
      },
    ]),
    bury: async ({ id }: IncomingMessage, reason) => {
      buried.push([id, reason])
    },
    invocation: noInvocation,
  }))
  return { handler, buried }
}

const body = (key: string) => JSON.stringify({ queue: 'webhooks', key })
const eventOf = (
  messages: readonly { id: string; body: string; group?: string }[],
  queue = 'webhooks',
): SQSEvent => ({
  Records: messages.map(({ id, body, group }) => ({
    messageId: id,
    receiptHandle: id,
    body,
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: '0',
      SenderId: 'x',
      ApproximateFirstReceiveTimestamp: '0',
      ...(group !== undefined && { MessageGroupId: group }),
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queue}`,
    awsRegion: 'us-east-1',
  })),
})
const failedOf = (answer: unknown) =>
  (answer as SQSBatchResponse).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)
const jobsLeft = () => db.many((row) => row.key as string, sql`select key from jobs`)

test('a batch is worked on side by side; a handler that throws is no failure of its message', async () => {
  const keys = Array.from({ length: 5 }, () => uuidv7())
  for (const key of keys) await enqueueJob(db, { queue: 'webhooks', key })
  let atOnce = 0
  let most = 0
  const { handler } = handlerFor(async ({ key }) => {
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setTimeout(resolve, 20))
    atOnce--
    if (key === keys[0]) throw new Error('not now')
  })
  const event = eventOf(keys.map((key, index) => ({ id: String(index), body: body(key) })))
  assert.deepEqual(failedOf(await invokeFunction(handler, event)), [])
  assert.equal(most, 5)
  // It stands in its row when it is due again.
  assert.deepEqual(await jobsLeft(), [keys[0]])
  await db.execute(sql`delete from jobs`)
})

test('a message whose job cannot be claimed comes again, and says nothing of the others', async () => {
  const { handler } = handlerFor(async () => undefined, {
    many: () => Promise.reject(new Error('the database is away')),
  })
  const event = eventOf([
    { id: 'one', body: body(uuidv7()) },
    { id: 'bad', body: 'what is this?' },
  ])
  assert.deepEqual(failedOf(await invokeFunction(handler, event)), ['one'])
})

test('what can never be worked on goes to the dead letters with a reason, and does not come again', async () => {
  const { handler, buried } = handlerFor(async () => undefined)
  assert.deepEqual(failedOf(await invokeFunction(handler, eventOf([{ id: 'bad', body: '{' }]))), [])
  assert.deepEqual(buried, [['bad', 'not JSON']])
})

test('first in, first out: each group keeps its order, and after one that failed the rest of its group fails unrun', async () => {
  const keys = Array.from({ length: 6 }, (_, index) => deriveId('fifo', index))
  for (const key of keys) await enqueueJob(db, { queue: 'webhooks', key })
  const ran: string[] = []
  const failing = keys[1]
  const { handler } = handlerFor(
    async ({ key }) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10))
      ran.push(key)
    },
    {
      many: (map, query) =>
        JSON.stringify(query).includes(failing ?? '')
          ? Promise.reject(new Error('the database is away'))
          : db.many(map, query),
    },
  )
  const groups = ['a', 'a', 'a', 'b', 'b', 'b']
  const event = eventOf(
    keys.map((key, index) => ({ id: String(index), body: body(key), group: groups[index] ?? '' })),
    'payments.fifo',
  )
  assert.deepEqual(failedOf(await invokeFunction(handler, event)), ['1', '2'])
  assert.deepEqual(
    ran.filter((key) => keys.indexOf(key) >= 3),
    keys.slice(3),
  )
  assert.ok(!ran.includes(keys[2] ?? ''))
  await db.execute(sql`delete from jobs`)
})

test('first in, first out: also after one that could not be buried', async () => {
  const handler = createQueueHandler(async () => ({
    worker: createMessageWorker({ db, clock: systemClock, log: silentLogger }, [
      { queue: 'webhooks', concurrency: 10, leaseSeconds: 30, handler: async () => ({ status: 'done' }) },
    ]),
    bury: () => Promise.reject(new Error('no dead-letter queue')),
    invocation: noInvocation,
  }))
  const event = eventOf(
    [
      { id: 'before', body: body(uuidv7()), group: 'a' },
      { id: 'bad', body: '{', group: 'a' },
      { id: 'after', body: body(uuidv7()), group: 'a' },
      { id: 'other', body: body(uuidv7()), group: 'b' },
    ],
    'webhooks.fifo',
  )
  assert.deepEqual(failedOf(await invokeFunction(handler, event)), ['bad', 'after'])
})

test('an event of another kind is refused', async () => {
  const { handler } = handlerFor(async () => undefined)
  for (const event of [{}, { Records: [] }, { Records: [{ eventSource: 'aws:s3' }] }])
    await assert.rejects(invokeFunction(handler as never, event), /no batch of SQS messages/)
})
