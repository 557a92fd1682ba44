import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import {
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs'
import type { SQSRecord } from 'aws-lambda'
import { startRelayProcess } from '../functions/relay/wiring.ts'
import { createWebhooksHandlers } from '../functions/webhooks/lambda-handlers.ts'
import { operatorTenantId, testEnvironment } from '../functions/webhooks/test-environment.ts'
import { openWebhooks } from '../functions/webhooks/wiring.ts'
import { createDb, type DbPool, deriveId, silentLogger, sql } from '../shared/platform/index.ts'
import { openBroker } from '../shared/queue/index.ts'
import {
  createTestDatabase,
  startDatabaseProxy,
  startTestHttpServer,
  type TestAnswer,
  type TestDatabase,
  waitFor,
} from '../shared/testing/index.ts'
import { startEventSourceMapping } from '../shared/testing/lambda-simulator/index.ts'
import { startTestSqs, type TestQueue, type TestSqs } from '../shared/testing/sqs.ts'
import { recordEvent } from '../shared/webhooks/index.ts'
import { LAMBDA_TIMEOUT_SECONDS } from './queues.ts'

// A webhook's way on AWS: the row and its job, the relay, SQS, the event source mapping, the function's own handler, the wallet. The
// emulator at AWS_ENDPOINT_URL, or one in this process.
/** Machines that build are slow at times. */
const until = (condition: () => unknown) => waitFor(condition, 30_000)

let database: TestDatabase
let db: DbPool
let sqs: TestSqs
const toClose: { close(): Promise<void> }[] = []
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  sqs = await startTestSqs()
})
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
  await db.execute(sql`delete from webhook_events`)
  await db.execute(sql`delete from jobs`)
})
after(async () => {
  await sqs.stop()
  await db.close()
  await database.drop()
})

function closing<T extends { close(): Promise<void> }>(part: T): T {
  toClose.push(part)
  return part
}

interface Batch {
  records: SQSRecord[]
  failedIds: string[]
  error?: unknown
}

interface World {
  queue: TestQueue
  wallet: Awaited<ReturnType<typeof startTestHttpServer>>
  /** How each invocation ended. */
  batches: Batch[]
  environment: Record<string, string>
  /** Publishes what is due, until it is closed. */
  relay(): Promise<{ close(): Promise<void> }>
  /** The function and what invokes it. */
  deploy(options?: { databaseUrl?: string; concurrencyMax?: number }): void
}

async function createWorld(
  options: { answer?: TestAnswer; visibilitySeconds?: number; maxReceiveCount?: number } = {},
): Promise<World> {
  const queue = await sqs.createQueue('webhooks', {
    attributes: {
      VisibilityTimeout: String(options.visibilitySeconds ?? 30),
      ReceiveMessageWaitTimeSeconds: '0',
    },
  })
  if (options.maxReceiveCount !== undefined) await limitReceives(queue, options.maxReceiveCount)
  const payments = await sqs.createQueue('payments')
  const wallet = closing(await startTestHttpServer(options.answer))
  const environment = testEnvironment(database.connectionString, wallet.url, {
    ...sqs.environment,
    QUEUE_DRIVER: 'sqs',
    SQS_WEBHOOKS_QUEUE_URL: queue.url,
    SQS_WEBHOOKS_DEAD_LETTER_QUEUE_URL: queue.deadLetterUrl,
    SQS_PAYMENTS_QUEUE_URL: payments.url,
    WEBHOOK_TIMEOUT: '10000',
  })
  const batches: Batch[] = []
  return {
    queue,
    wallet,
    batches,
    environment,
    relay: async () => closing(await startRelayProcess(environment)),
    deploy({ databaseUrl, concurrencyMax } = {}) {
      const { handler } = createWebhooksHandlers({
        ...environment,
        ...(databaseUrl && { DATABASE_URL: databaseUrl }),
        DATABASE_POOL_SIZE: '2',
      })
      closing(
        startEventSourceMapping(handler, {
          client: sqs.client,
          queueUrl: queue.url,
          timeoutMs: 60_000,
          onBatch: (batch) => batches.push(batch),
          ...(concurrencyMax && { concurrencyMax }),
        }),
      )
    },
  }
}

async function limitReceives({ url, deadLetterUrl }: TestQueue, maxReceiveCount: number): Promise<void> {
  const { Attributes } = await sqs.client.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: ['QueueArn'] }),
  )
  await sqs.client.send(
    new SetQueueAttributesCommand({
      QueueUrl: url,
      Attributes: {
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount }),
      },
    }),
  )
}

/** Messages in a queue, those that are handed out included. */
async function countOf(url: string): Promise<number> {
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  const { Attributes = {} } = await sqs.client.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] }),
  )
  return names.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0)
}

const record = () =>
  recordEvent(db, {
    tenantId: operatorTenantId,
    type: 'wallet_address.not_found',
    data: { walletAddressUrl: 'https://wallet.example/nobody' },
  })
const states = () => db.many((row) => row.state as string, sql`select state from webhook_deliveries`)
const allDelivered = async () => {
  const found = await states()
  return found.length > 0 && found.every((state) => state === 'delivered')
}
const idsAt = (wallet: World['wallet']) => wallet.requests.map(({ body }) => JSON.parse(body).id as string)

/** The database, as the function has it: the way there can be cut. */
const startLine = async () => closing(await startDatabaseProxy(database.connectionString))

test('an event goes through relay, queue and function to the wallet, signed, once; nothing is left', async () => {
  const world = await createWorld()
  world.deploy()
  await world.relay()
  const ids = [await record(), await record(), await record()]
  await until(allDelivered)
  assert.deepEqual(idsAt(world.wallet).sort(), [...ids].sort())
  for (const { headers } of world.wallet.requests)
    assert.match(String(headers['rafiki-signature']), /^t=\d{13}, v1=[0-9a-f]{64}$/)
  await until(async () => (await countOf(world.queue.url)) === 0)
  assert.equal(await countOf(world.queue.deadLetterUrl), 0)
  assert.deepEqual(
    world.batches.flatMap(({ failedIds }) => failedIds),
    [],
  )
})

test('a wallet that answers 500 has its attempt recorded, and gets the same event when it is due again', async () => {
  let isDown = true
  const world = await createWorld({ answer: () => ({ status: isDown ? 500 : 200 }) })
  world.deploy()
  await world.relay()
  const id = await record()
  const attempts = () =>
    db.many(
      (row) => row.status_code as number | null,
      sql`select status_code from webhook_attempts order by number`,
    )
  await until(async () => (await attempts()).length === 1)
  // The message has done what it was for; when to try again stands in the job.
  await until(async () => (await countOf(world.queue.url)) === 0)
  const due = await db.one((row) => row.run_at as Date, sql`select run_at from jobs where queue = 'webhooks'`)
  assert.ok(due.getTime() > Date.now())
  assert.deepEqual(await states(), ['pending'])
  isDown = false
  await db.execute(sql`update jobs set run_at = now()`)
  await until(allDelivered)
  assert.deepEqual(idsAt(world.wallet), [id, id])
  assert.equal(new Set(world.wallet.requests.map(({ body }) => body)).size, 1, 'the same bytes')
  assert.deepEqual(
    world.batches.flatMap(({ failedIds }) => failedIds),
    [],
  )
  assert.equal(await countOf(world.queue.deadLetterUrl), 0)
})

test('a function that cannot reach the database leaves its messages: they come again after the visibility timeout', async () => {
  const world = await createWorld({ visibilitySeconds: 1 })
  const line = await startLine()
  world.deploy({ databaseUrl: line.connectionString })
  const relay = await world.relay()
  // Warm, as a sandbox is whose database goes away.
  await record()
  await until(allDelivered)
  line.cut()
  const id = await record()
  await until(() => world.batches.some(({ failedIds }) => failedIds.length > 0))
  await relay.close()
  assert.ok(!idsAt(world.wallet).includes(id))
  line.mode = 'pass'
  await until(allDelivered)
  assert.equal(idsAt(world.wallet).filter((one) => one === id).length, 1)
  const isAgain = ({ attributes }: SQSRecord) => Number(attributes.ApproximateReceiveCount) >= 2
  await until(() =>
    world.batches.some(({ records, failedIds }) => failedIds.length === 0 && records.some(isAgain)),
  )
  await until(async () => (await countOf(world.queue.url)) === 0)
  assert.equal(await countOf(world.queue.deadLetterUrl), 0)
})

test('what fails too often is a dead letter, and is delivered after a redrive', async () => {
  const world = await createWorld({ visibilitySeconds: 1, maxReceiveCount: 2 })
  const line = await startLine()
  line.cut()
  world.deploy({ databaseUrl: line.connectionString })
  const relay = await world.relay()
  const id = await record()
  await until(async () => (await countOf(world.queue.url)) > 0 || world.batches.length > 0)
  await relay.close()
  await until(async () => (await countOf(world.queue.deadLetterUrl)) === 1)
  assert.equal(await countOf(world.queue.url), 0)
  assert.equal(world.batches.filter(({ failedIds }) => failedIds.length > 0).length, 2, 'as often as it may')
  line.mode = 'pass'
  const broker = await openBroker(
    { log: silentLogger },
    {
      queueDriver: 'sqs',
      redisUrl: 'none',
      redisCaFile: undefined,
      redisKeyFile: undefined,
      redisCertFile: undefined,
      sqsWebhooksQueueUrl: world.queue.url,
      sqsPaymentsQueueUrl: undefined,
      sqsWebhooksDeadLetterQueueUrl: world.queue.deadLetterUrl,
      sqsPaymentsDeadLetterQueueUrl: undefined,
      awsRegion: sqs.region,
      awsEndpointUrl: sqs.endpoint,
    },
    'webhooks',
  )
  assert.ok(broker)
  closing(broker)
  assert.equal(await broker.redrive(10), 1)
  await until(allDelivered)
  assert.deepEqual(idsAt(world.wallet), [id])
  assert.equal(await countOf(world.queue.deadLetterUrl), 0)
})

test('a message that is handed out again while its webhook is under way sends nothing twice', async () => {
  let answer: () => void = () => undefined
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const world = await createWorld({
    visibilitySeconds: 1,
    answer: () => answered.then(() => ({ status: 200 })),
  })
  world.deploy({ concurrencyMax: 3 })
  const relay = await world.relay()
  const id = await record()
  await until(() => world.wallet.requests.length === 1)
  await relay.close()
  // Its visibility timeout is over before the wallet answers: another invocation gets it, and finds the job in work.
  await until(() => world.batches.length >= 1)
  assert.deepEqual(await states(), ['pending'])
  assert.deepEqual(idsAt(world.wallet), [id])
  answer()
  await until(allDelivered)
  await until(() => world.batches.length >= 2)
  assert.deepEqual(idsAt(world.wallet), [id])
  await until(async () => (await countOf(world.queue.url)) === 0)
})

test('poison goes to the dead letters at once, with a reason; its neighbours in the batch are delivered', async () => {
  const world = await createWorld()
  const id = await record()
  const { key } = await db.one(
    (row) => ({ key: row.key as string }),
    sql`select key from jobs where queue = 'webhooks'`,
  )
  const bodies = [
    'not { json',
    '[]',
    JSON.stringify({ queue: 'webhooks', key: 'no uuid' }),
    JSON.stringify({ queue: 'webhooks', key, tenantId: operatorTenantId }),
    JSON.stringify({ queue: 'no such queue', key }),
    // Gone, as one is whose work was done by somebody else: no poison, and nothing to do.
    JSON.stringify({ queue: 'webhooks', key: deriveId('gone'), tenantId: operatorTenantId }),
  ]
  await sqs.client.send(
    new SendMessageBatchCommand({
      QueueUrl: world.queue.url,
      Entries: bodies.map((body, index) => ({ Id: String(index), MessageBody: body })),
    }),
  )
  world.deploy({ concurrencyMax: 1 })
  await until(allDelivered)
  assert.deepEqual(idsAt(world.wallet), [id])
  await until(() => world.batches.flatMap(({ records }) => records).length === bodies.length)
  const together = world.batches.find(({ records }) => records.some(({ body }) => body === bodies[3]))
  assert.ok(together && together.records.length > 1, 'it came with some of them')
  assert.deepEqual(
    world.batches.flatMap(({ failedIds }) => failedIds),
    [],
  )
  await until(async () => (await countOf(world.queue.deadLetterUrl)) === 4)
  const { Messages = [] } = await sqs.client.send(
    new ReceiveMessageCommand({
      QueueUrl: world.queue.deadLetterUrl,
      MaxNumberOfMessages: 10,
      MessageAttributeNames: ['reason'],
    }),
  )
  assert.deepEqual(
    Object.fromEntries(
      Messages.map(({ Body, MessageAttributes }) => [Body, MessageAttributes?.reason?.StringValue]),
    ),
    {
      'not { json': 'not JSON',
      '[]': 'not an object',
      [bodies[2] ?? '']: '"key" is not a UUID',
      [bodies[4] ?? '']: 'nobody works on its queue here',
    },
  )
  assert.equal(await countOf(world.queue.url), 0)
})

test('F12: 500 events for an endpoint that hangs hold half of the function; another tenant’s one is delivered meanwhile', async () => {
  const hold = Promise.withResolvers<undefined>()
  const batchesAtOnce = 4
  const [crowd, other] = ['crowd', 'other'].map((name) => deriveId('tenant', name)) as [string, string]
  const world = await createWorld({ answer: ({ path }) => (path === `/${crowd}` ? hold.promise : undefined) })
  for (const id of [crowd, other]) {
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, 'sealed')`)
    await db.execute(
      sql`insert into tenant_settings (tenant_id, key, value, by_operator)
        values (${id}, 'WEBHOOK_URL', ${`${world.wallet.url}/${id}`}, true)`,
    )
  }
  const recordOf = (tenantId: string) =>
    recordEvent(db, { tenantId, type: 'wallet_address.not_found', data: { walletAddressUrl: 'x' } })
  for (let event = 0; event < 500; event++) await recordOf(crowd)
  // Its time limit is ten seconds, and nobody waits for it here.
  world.environment.SQS_WEBHOOKS_MAX_CONCURRENCY = String(batchesAtOnce)
  world.deploy({ concurrencyMax: batchesAtOnce })
  await world.relay()
  const arrived = (id: string) => world.wallet.requests.filter(({ path }) => path === `/${id}`).length
  try {
    await until(() => arrived(crowd) === batchesAtOnce / 2)
    await recordOf(other)
    await until(() => arrived(other) === 1)
    assert.equal(arrived(crowd), batchesAtOnce / 2, 'none of the crowd has gone first')
  } finally {
    hold.resolve(undefined)
  }
})

test('an attempt is over and recorded before a function is ended, whatever time a tenant has set; a worker that polls waits for it', async () => {
  const world = await createWorld()
  const limitOf = async (host: 'sandbox' | 'server') => {
    const { ctx, close } = await openWebhooks({ ...world.environment, WEBHOOK_TIMEOUT: '600000' }, host)
    const { timeoutMs } = await ctx.recipients(operatorTenantId, 'wallet')
    await close()
    return timeoutMs
  }
  assert.ok((await limitOf('sandbox')) <= (LAMBDA_TIMEOUT_SECONDS - 10) * 1_000)
  assert.equal(await limitOf('server'), 600_000)
})
