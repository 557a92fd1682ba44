import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import {
  createDb,
  createListener,
  createSecretBox,
  createTrustedHttp,
  type DbPool,
  deriveId,
  parseHmacSignature,
  rawSql,
  signHmac,
  silentLogger,
  sql,
  uuidv7,
  verifyHmacDigest,
  violatedConstraint,
} from '../platform/index.ts'
import { consumeJobs, type Job, LeaseLost, type Shares } from '../queue/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestClock,
  type TestDatabase,
  testClock,
  waitFor,
} from '../testing/index.ts'
import { deliverWebhook } from './deliver-webhook.ts'
import { nextAttemptMs, orderWaitMs, type WebhookRecipient } from './model.ts'
import {
  findEvent,
  findPaymentEvent,
  findWithdrawals,
  insertEvents,
  listEvents,
  loadDelivery,
  notifyDeliveries,
  recordEvent,
} from './store.ts'

const tenantId = deriveId('tenant', 1)
const otherTenantId = deriveId('tenant', 2)
const incomingPaymentId = deriveId('incoming', 1)
const secret = 'kS0yXq9b1o2E8yW7m3dP6u4hZr5cT0vLJfGaN1xQeRw='

let database: TestDatabase
let db: DbPool
let clock: TestClock
const http = createTrustedHttp()
const secretBox = createSecretBox('a secret')
const toClose: { close(): Promise<void> }[] = []

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  for (const id of [tenantId, otherTenantId])
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, 'sealed')`)
  // Payments and assets belong to rooms above this one; their ids are enough here.
  for (const name of ['incoming_payment_id', 'outgoing_payment_id', 'withdrawal_asset_id'])
    await db.execute(rawSql(`alter table webhook_events drop constraint webhook_events_${name}_fkey`))
})
beforeEach(() => {
  clock = testClock()
})
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
  await db.execute(sql`delete from jobs`)
  await db.execute(sql`delete from webhook_events`)
})
after(async () => {
  await http.close()
  await db.close()
  await database.drop()
})

const someEvent = { tenantId, type: 'wallet_address.not_found' as const, data: { walletAddressUrl: 'x' } }

interface DeliveryRow {
  state: string
  attempts: number
  statusCode: number | null
  lastError: string | null
  deliveredAt: Date | null
}
const deliveries = (eventId?: string) =>
  db.many(
    (row): DeliveryRow => ({
      state: row.state,
      attempts: row.attempts,
      statusCode: row.status_code,
      lastError: row.last_error,
      deliveredAt: row.delivered_at,
    }),
    sql`select * from webhook_deliveries where ${eventId ?? null}::uuid is null or event_id = ${eventId ?? null} order by id`,
  )

async function serve(...args: Parameters<typeof startTestHttpServer>) {
  const server = await startTestHttpServer(...args)
  toClose.push(server)
  return server
}

const recipient = (url: string, more: Partial<WebhookRecipient> = {}): WebhookRecipient => ({
  url,
  signatureVersion: 1,
  timeoutMs: 1_000,
  ...more,
})

function work(
  recipients: (tenantId: string) => Promise<WebhookRecipient>,
  options: { concurrency?: number; shares?: Shares } = {},
) {
  const pool = createDb({ connectionString: database.connectionString })
  const listener = createListener({ connectionString: database.connectionString, log: silentLogger })
  const ctx = {
    db: pool,
    clock,
    trustedHttp: http,
    guardedHttp: http,
    log: silentLogger,
    secretBox,
    recipients,
  }
  const consumer = consumeJobs(
    { db: pool, listener, clock, log: silentLogger },
    {
      queue: 'webhooks',
      load: loadDelivery,
      handler: (job) => deliverWebhook(ctx, job),
      concurrency: 16,
      idleMs: 20,
      leaseSeconds: 30,
      ...options,
    },
  )
  toClose.push(pool, listener, consumer)
}

test('an event arrives as ordinary JSON in the order of its fields, signed over the canonical form', async () => {
  const server = await serve()
  work(async () => recipient(`${server.url}/hooks`, { secret, signatureVersion: 3 }))
  const data = {
    zeta: 1,
    alpha: { b: 'ü', a: undefined },
    receivedAmount: { value: '2500', assetCode: 'USD', assetScale: 2 },
  }
  const id = await recordEvent(db, { tenantId, type: 'incoming_payment.completed', data, incomingPaymentId })
  const request = await waitFor(() => server.requests[0])
  assert.equal(request.method, 'POST')
  assert.equal(request.path, '/hooks')
  assert.equal(request.headers['content-type'], 'application/json')
  assert.equal(
    request.body,
    `{"id":"${id}","type":"incoming_payment.completed","data":{"zeta":1,"alpha":{"b":"ü"},"receivedAmount":{"value":"2500","assetCode":"USD","assetScale":2}}}`,
  )
  const signature = parseHmacSignature(request.headers['rafiki-signature'])
  assert.equal(signature?.version, 3)
  assert.equal(signature?.timestampMs, clock.nowMs())
  assert.ok(signature && verifyHmacDigest(signature, { secret, body: JSON.parse(request.body) }))
  const delivered = await waitFor(async () => (await deliveries()).find(({ state }) => state === 'delivered'))
  assert.deepEqual(delivered, {
    state: 'delivered',
    attempts: 1,
    statusCode: 200,
    lastError: null,
    deliveredAt: clock.now(),
  })
})

test('the worked example of the contract gives its signature', () => {
  const body = {
    id: '0f2a6f9e-6f0e-4c35-9d0f-7a2c55e0b9d4',
    type: 'incoming_payment.completed',
    data: {
      id: 'b7f0b0a2-1c9b-4a3e-8d13-5a0c9d8e7f60',
      walletAddressId: '3d2c1b0a-9f8e-4d7c-8b6a-5f4e3d2c1b0a',
      createdAt: '2026-09-18T10:00:00.000Z',
      expiresAt: '2026-09-19T10:00:00.000Z',
      receivedAmount: { value: '2500', assetCode: 'USD', assetScale: 2 },
      completed: true,
      incomingAmount: { value: '2500', assetCode: 'USD', assetScale: 2 },
      metadata: { ref: 'INV-7' },
    },
  }
  assert.equal(
    signHmac({ secret, version: 1, timestampMs: 1789776045678, body }),
    't=1789776045678, v1=d24500547ce2ae2b7d2417a5c10638c418860018bb22d7762d74af23fb5c3d7f',
  )
})

test('without a secret nothing is signed', async () => {
  const server = await serve()
  work(async () => recipient(server.url))
  await recordEvent(db, someEvent)
  const request = await waitFor(() => server.requests[0])
  assert.equal(request.headers['rafiki-signature'], undefined)
})

for (const status of [201, 202, 204, 301, 302, 400, 404, 410, 429, 500, 503])
  test(`an answer of ${status} is no acceptance; the same event comes again with a new signature`, async () => {
    const server = await serve(() => ({
      status: server.requests.length === 1 ? status : 200,
      headers: { location: '/elsewhere' },
    }))
    work(async () => recipient(server.url, { secret }))
    const id = await recordEvent(db, someEvent)
    const failed = await waitFor(async () => (await deliveries()).find(({ attempts }) => attempts === 1))
    assert.deepEqual(failed, {
      state: 'pending',
      attempts: 1,
      statusCode: status,
      lastError: `answered ${status}`,
      deliveredAt: null,
    })
    clock.advance(9_999)
    await new Promise((resolve) => setTimeout(resolve, 60))
    assert.equal(server.requests.length, 1, 'not before ten seconds')
    clock.advance(1_002)
    const delivered = await waitFor(async () =>
      (await deliveries()).find(({ state }) => state === 'delivered'),
    )
    assert.equal(delivered.attempts, 2)
    const [first, second] = server.requests
    assert.equal(JSON.parse(first?.body ?? '').id, id)
    assert.equal(first?.body, second?.body)
    assert.notEqual(first?.headers['rafiki-signature'], second?.headers['rafiki-signature'])
  })

test('a refused connection and a missing answer are failed attempts', async () => {
  const closed = await startTestHttpServer()
  await closed.close()
  const hanging = await serve(() => new Promise(() => undefined))
  work(async (tenant) =>
    tenant === tenantId ? recipient(closed.url) : recipient(hanging.url, { timeoutMs: 100 }),
  )
  const refused = await recordEvent(db, someEvent)
  const unanswered = await recordEvent(db, { ...someEvent, tenantId: otherTenantId })
  const failed = (id: string) =>
    waitFor(async () => (await deliveries(id)).find(({ attempts }) => attempts === 1))
  assert.match((await failed(refused)).lastError ?? '', /ECONNREFUSED/)
  assert.match((await failed(unanswered)).lastError ?? '', /no answer .* within 100 ms/)
  assert.equal((await failed(refused)).statusCode, null)
})

test('a limit of attempts ends in a dead delivery', async () => {
  const server = await serve(() => ({ status: 500 }))
  work(async () => recipient(server.url, { attemptsMax: 3 }))
  await recordEvent(db, someEvent)
  for (let attempt = 1; attempt < 3; attempt++) {
    await waitFor(async () => (await deliveries())[0]?.attempts === attempt)
    clock.advance(70_000)
  }
  const dead = await waitFor(async () => (await deliveries()).find(({ state }) => state === 'dead'))
  assert.equal(dead.attempts, 3)
  assert.equal(dead.statusCode, 500)
  await waitFor(async () => (await db.execute(sql`select 1 from jobs`)) === 0)
  assert.equal(server.requests.length, 3)
})

test('a limit of no attempts sends nothing', async () => {
  const server = await serve()
  work(async () => recipient(server.url, { attemptsMax: 0 }))
  await recordEvent(db, someEvent)
  await waitFor(async () => (await deliveries()).find(({ state }) => state === 'dead'))
  assert.equal(server.requests.length, 0)
})

test('with a limit the waits are those that wallets know', () => {
  const waits = Array.from({ length: 10 }, (_, index) => nextAttemptMs(index + 1, 10, 0))
  assert.deepEqual(
    waits,
    [10, 20, 30, 40, 50, 60, 60, 60, 60].map((s) => s * 1_000).concat([undefined as never]),
  )
})

test('without a limit attempts go on for 72 hours and at most half an hour apart', () => {
  let elapsedMs = 0
  let attempts = 1
  let longestMs = 0
  for (;;) {
    const waitMs = nextAttemptMs(attempts, undefined, 0)
    if (waitMs === undefined) break
    assert.ok(waitMs >= longestMs, 'waits never shrink')
    longestMs = waitMs
    elapsedMs += waitMs
    attempts++
  }
  assert.ok(elapsedMs >= 72 * 3_600_000, `${elapsedMs} ms`)
  assert.ok(elapsedMs < 73 * 3_600_000, `${elapsedMs} ms`)
  assert.equal(longestMs, 1_800_000)
  assert.equal(nextAttemptMs(1, undefined, 0.5), 10_500)
})

test('a wallet that was down for three days gets everything, each event once accepted', async () => {
  let down = true
  const server = await serve(() => ({ status: down ? 503 : 200 }))
  work(async () => recipient(server.url), { concurrency: 64 })
  const ids = await Promise.all(Array.from({ length: 10 }, () => recordEvent(db, someEvent)))
  // Only the first attempts and the state after 71 hours are made; the schedule between has its own test.
  await waitFor(async () => (await deliveries()).every(({ attempts }) => attempts === 1))
  await db.execute(sql`update webhook_deliveries set attempts = 150`)
  down = false
  clock.advance(1_800_000 * 1.1)
  await waitFor(async () => (await deliveries()).every(({ state }) => state === 'delivered'))
  const accepted = server.requests.slice(ids.length).map(({ body }) => JSON.parse(body).id as string)
  assert.deepEqual(accepted.sort(), ids.sort())
})

test('an endpoint that hangs does not delay another tenant', async () => {
  const hanging = await serve(() => new Promise(() => undefined))
  const quick = await serve()
  work(async (tenant) => recipient(tenant === tenantId ? hanging.url : quick.url, { timeoutMs: 2_000 }), {
    concurrency: 8,
    shares: { own: 0, most: 4, common: 8 },
  })
  await db.tx(async (tx) => {
    for (let index = 0; index < 200; index++) await recordEvent(tx, someEvent)
  })
  await waitFor(() => hanging.requests.length >= 4)
  const startedAt = performance.now()
  for (let index = 0; index < 20; index++) await recordEvent(db, { ...someEvent, tenantId: otherTenantId })
  await waitFor(() => quick.requests.length === 20)
  const elapsed = performance.now() - startedAt
  assert.ok(elapsed < 1_500, `${elapsed} ms, although an answer takes 2,000`)
  assert.ok(hanging.requests.length <= 8, `${hanging.requests.length} requests to the hanging endpoint`)
})

test('an event that cannot be prepared backs off and leaves the others alone', async () => {
  const server = await serve()
  // A lone surrogate has no canonical form, so this one cannot be signed.
  const broken = await recordEvent(db, { ...someEvent, data: { text: 'good' } })
  await db.execute(sql`update webhook_events set data = ${'{"text":"\\ud800"}'} where id = ${broken}`)
  const good = await recordEvent(db, someEvent)
  work(async () => recipient(server.url, { secret }))
  await waitFor(async () => (await deliveries(good))[0]?.state === 'delivered')
  const failed = await waitFor(async () => (await deliveries(broken)).find(({ attempts }) => attempts === 1))
  assert.equal(failed.state, 'pending')
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal((await deliveries(broken))[0]?.attempts, 1)
  assert.equal(server.requests.length, 1)
})

test('first attempts about one payment keep their order', async () => {
  const order: string[] = []
  const server = await serve(async ({ body }) => {
    const { type } = JSON.parse(body) as { type: string }
    if (type === 'incoming_payment.created') await new Promise((resolve) => setTimeout(resolve, 100))
    order.push(type)
    return { status: 500 }
  })
  work(async () => recipient(server.url))
  const event = { tenantId, incomingPaymentId, data: {} }
  await recordEvent(db, { ...event, type: 'incoming_payment.created' })
  await recordEvent(db, { ...event, type: 'incoming_payment.completed' })
  await recordEvent(db, someEvent)
  await waitFor(() => {
    clock.advance(10)
    return order.length === 3
  })
  // A refused event does not hold back the next: order concerns first attempts.
  assert.deepEqual(order, [
    'wallet_address.not_found',
    'incoming_payment.created',
    'incoming_payment.completed',
  ])
})

test('the order is kept though workers were away for minutes, and not for what has no job', async () => {
  const order: string[] = []
  const server = await serve(async ({ body }) => {
    const { type } = JSON.parse(body) as { type: string }
    if (type === 'incoming_payment.created') await new Promise((resolve) => setTimeout(resolve, 100))
    order.push(type)
  })
  const event = { tenantId, incomingPaymentId, data: {} }
  await recordEvent(db, { ...event, type: 'incoming_payment.created' })
  await recordEvent(db, { ...event, type: 'incoming_payment.completed' })
  await db.execute(sql`update webhook_events set created_at = created_at - interval '20 minutes'`)
  work(async () => recipient(server.url))
  // What comes before its turn waits by this clock.
  const delivered = (eventId?: string) =>
    waitFor(async () => {
      clock.advance(100)
      return (await deliveries(eventId)).every(({ state }) => state === 'delivered')
    })
  await delivered()
  assert.deepEqual(order, ['incoming_payment.created', 'incoming_payment.completed'])
  const lost = await recordEvent(db, { ...event, type: 'incoming_payment.created' })
  await delivered(lost)
  await db.execute(
    sql`update webhook_deliveries set state = 'pending', attempts = 0 where event_id = ${lost}`,
  )
  const next = await recordEvent(db, { ...event, type: 'incoming_payment.completed' })
  await delivered(next)
})

test('who came before its turn asks more rarely the longer it waits', () => {
  assert.deepEqual([0, 100, 500, 5_000, 60_000].map(orderWaitMs), [20, 20, 50, 500, 1_000])
})

test('every recipient gets the event under the same id, once', async () => {
  const server = await serve()
  const urls: Record<string, string> = {
    [tenantId]: `${server.url}/one`,
    [otherTenantId]: `${server.url}/two`,
  }
  work(async (tenant) => recipient(urls[tenant] ?? ''))
  const id = await recordEvent(db, { ...someEvent, recipientTenantIds: [tenantId, otherTenantId, tenantId] })
  await waitFor(async () => (await deliveries(id)).every(({ state }) => state === 'delivered'))
  assert.deepEqual(server.requests.map(({ path }) => path).sort(), ['/one', '/two'])
  assert.deepEqual(
    server.requests.map(({ body }) => JSON.parse(body).id),
    [id, id],
  )
})

test('an event, its deliveries and its jobs belong to the transaction', async () => {
  await assert.rejects(
    db.tx(async (tx) => {
      await recordEvent(tx, someEvent)
      throw new Error('rolled back')
    }),
    /rolled back/,
  )
  assert.equal(await db.execute(sql`select 1 from webhook_events`), 0)
  assert.equal(await db.execute(sql`select 1 from webhook_deliveries`), 0)
  assert.equal(await db.execute(sql`select 1 from jobs`), 0)
})

test('of many changes in one statement, each has the event that is its own, if it happened', async () => {
  const events = Array.from({ length: 300 }, (_, index) =>
    index % 5 === 3
      ? undefined
      : {
          ...someEvent,
          id: deriveId('event', index),
          data: { index },
          recipientTenantIds: index % 2 === 0 ? [tenantId, otherTenantId] : [otherTenantId],
          withdrawal: {
            accountId: deriveId('account', index),
            assetId: tenantId,
            amount: 2n ** 64n - 1n - BigInt(index),
          },
        },
  )
  const happened = (index: number) => index % 3 === 0
  const requestIds = events.map((_, index) => (index % 2 === 0 ? `request-${index}` : undefined))
  const places = events.flatMap((_, index) => (happened(index) ? [index + 1] : []))
  await db.execute(
    sql`with ${insertEvents(events, sql`select unnest(${places}::int[])`, requestIds)} select ${notifyDeliveries}`,
  )
  const expected = events.flatMap((event, index) => (event && happened(index) ? [event] : []))
  const written = await listEvents(db, { page: { first: 100, sortOrder: 'ASC' } })
  assert.ok(expected.length > 50 && expected.length <= 100)
  assert.equal(written.items.length, expected.length)
  const byId = new Map(written.items.map((event) => [event.id, event]))
  for (const { id, data, withdrawal, recipientTenantIds } of expected) {
    assert.deepEqual(byId.get(id)?.data, data)
    assert.deepEqual(byId.get(id)?.withdrawal, withdrawal)
    const jobs = await db.many(
      (row) => ({
        tenantId: row.tenant_id as string,
        requestId: (row.request_id ?? undefined) as string | undefined,
      }),
      sql`select j.tenant_id, j.request_id from webhook_deliveries d join jobs j on j.queue = 'webhooks' and j.key = d.id
        where d.event_id = ${id} and d.recipient_tenant_id = j.tenant_id order by j.tenant_id`,
    )
    const requestId = requestIds[events.findIndex((event) => event?.id === id)]
    assert.deepEqual(
      jobs,
      [...recipientTenantIds].sort().map((tenantId) => ({ tenantId, requestId })),
    )
  }
})

test('an event id is used once', async () => {
  const id = uuidv7()
  await recordEvent(db, { ...someEvent, id })
  await assert.rejects(
    recordEvent(db, { ...someEvent, id }),
    (error) => violatedConstraint(error) === 'webhook_events_pkey',
  )
  assert.equal((await deliveries()).length, 1)
})

test('a worker that lost its lease records no attempt', async () => {
  const server = await serve()
  await recordEvent(db, someEvent)
  const job = await db.one(
    (row): Job => ({
      queue: 'webhooks',
      key: row.key,
      attempts: 1,
      leaseToken: row.lease_token,
      requested: 1n,
    }),
    sql`select key, lease_token from jobs`,
  )
  await db.execute(sql`update jobs set lease_token = lease_token + 1`)
  const recipients = async () => recipient(server.url)
  const ctx = { db, clock, trustedHttp: http, guardedHttp: http, log: silentLogger, secretBox, recipients }
  await assert.rejects(deliverWebhook(ctx, job), LeaseLost)
  assert.equal((await deliveries())[0]?.attempts, 0)
  // Delivered or gone: nothing is sent.
  await db.execute(sql`update webhook_deliveries set state = 'delivered'`)
  assert.deepEqual(await deliverWebhook(ctx, job), { status: 'done' })
  await db.execute(sql`delete from webhook_events`)
  assert.deepEqual(await deliverWebhook(ctx, job), { status: 'done' })
  assert.equal(server.requests.length, 1)
})

test('events are found by id within tenants, by payment, and listed by tenant and type', async () => {
  const withdrawal = {
    accountId: incomingPaymentId,
    assetId: deriveId('asset', 1),
    amount: 18446744073709551615n,
  }
  const created = await recordEvent(db, {
    tenantId,
    type: 'incoming_payment.created',
    data: {},
    incomingPaymentId,
  })
  const completed = await recordEvent(db, {
    tenantId,
    type: 'incoming_payment.completed',
    data: { n: 1 },
    incomingPaymentId,
    withdrawal,
  })
  const other = await recordEvent(db, { ...someEvent, tenantId: otherTenantId })

  const event = await findEvent(db, { id: completed, tenantId })
  assert.ok(event?.createdAt instanceof Date)
  assert.deepEqual(
    { ...event, createdAt: undefined },
    {
      id: completed,
      tenantId,
      type: 'incoming_payment.completed',
      data: { n: 1 },
      incomingPaymentId,
      withdrawal,
      createdAt: undefined,
    },
  )
  assert.equal(await findEvent(db, { id: completed, tenantId: otherTenantId }), undefined)
  assert.equal((await findEvent(db, { id: other }))?.tenantId, otherTenantId)

  const outgoingPaymentId = deriveId('outgoing', 1)
  const about = { tenantId, data: {}, outgoingPaymentId }
  const begun = await recordEvent(db, { ...about, type: 'outgoing_payment.created' })
  const ended = await recordEvent(db, { ...about, type: 'outgoing_payment.failed' })
  const ofPayment = async (types: Parameters<typeof findPaymentEvent>[1]['types']) =>
    (await findPaymentEvent(db, { outgoingPaymentId, types }))?.id
  const late = await recordEvent(db, {
    tenantId,
    type: 'incoming_payment.expired',
    data: {},
    incomingPaymentId,
    withdrawal: { ...withdrawal, amount: 7n },
  })
  const ofIncoming = (id: string, ...types: Parameters<typeof findWithdrawals>[1]['types']) =>
    findWithdrawals(db, { incomingPaymentId: id, types })
  const [first, last] = [
    { eventId: completed, amount: withdrawal.amount },
    { eventId: late, amount: 7n },
  ]
  // Together, as they come when many ask at once.
  assert.deepEqual(
    await Promise.all([
      ofPayment(['outgoing_payment.created', 'outgoing_payment.failed']),
      ofPayment(['outgoing_payment.created']),
      ofPayment(['outgoing_payment.completed']),
      ofIncoming(incomingPaymentId, 'incoming_payment.completed', 'incoming_payment.expired'),
      ofIncoming(incomingPaymentId, 'incoming_payment.expired'),
      ofIncoming(incomingPaymentId, 'incoming_payment.created'),
      ofIncoming(tenantId, 'incoming_payment.completed'),
    ]),
    [ended, begun, undefined, [first, last], [last], [], []],
  )
  await db.execute(sql`delete from webhook_events where id = any(${[begun, ended, late]}::uuid[])`)

  const ids = async (filter: Omit<Parameters<typeof listEvents>[1], 'page'>) =>
    (await listEvents(db, { ...filter, page: {} })).items.map(({ id }) => id)
  assert.deepEqual(await ids({}), [other, completed, created])
  assert.deepEqual(await ids({ tenantId }), [completed, created])
  assert.deepEqual(await ids({ types: { in: ['incoming_payment.created', 'no_such_type'] } }), [created])
  assert.deepEqual(await ids({ types: { notIn: ['incoming_payment.created'] } }), [other, completed])
  const page = await listEvents(db, { page: { first: 1, after: other } })
  assert.deepEqual(
    page.items.map(({ id }) => id),
    [completed],
  )
  assert.equal(page.hasNextPage, true)
})
