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
  silentLogger,
  sql,
  verifyHmacDigest,
} from '../../shared/platform/index.ts'
import type { Consumer } from '../../shared/queue/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestClock,
  type TestDatabase,
  testClock,
  waitFor,
} from '../../shared/testing/index.ts'
import { type FindRecipient, recordEvent, type WebhookRecipient } from '../../shared/webhooks/index.ts'
import { consumeWebhooks } from './worker.ts'

const HOUR_MS = 3_600_000
const tenants = Array.from({ length: 4 }, (_, index) => deriveId('tenant', index)) as [
  string,
  string,
  string,
  string,
]
const [tenantId, otherId] = tenants

let database: TestDatabase
let db: DbPool
let clock: TestClock
let worker: Consumer | undefined
const http = createTrustedHttp()
const toClose: { close(): Promise<void> }[] = []

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  for (const id of tenants)
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, 'sealed')`)
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

/** The worker as it is deployed, with the shares of a deployment. */
function work(recipients: FindRecipient, poolSizeMax = 10): void {
  const { connectionString } = database
  const pool = createDb({ connectionString, poolSizeMax, applicationName: 'faulty-webhooks' })
  const listener = createListener({ connectionString, log: silentLogger })
  worker = consumeWebhooks(
    {
      db: pool,
      listener,
      clock,
      log: silentLogger,
      trustedHttp: http,
      guardedHttp: http,
      secretBox: createSecretBox('a secret'),
      recipients,
    },
    { workers: 1, idleMs: 5 },
  )
  toClose.push(pool, listener, worker)
}

const record = (owner: string, text = 'x') =>
  recordEvent(db, { tenantId: owner, type: 'wallet_address.not_found', data: { walletAddressUrl: text } })
const recordMany = (owner: string, count: number) =>
  db.tx(async (tx) => {
    for (let index = 0; index < count; index++)
      await recordEvent(tx, { tenantId: owner, type: 'wallet_address.not_found', data: {} })
  })
const countOf = (state: string) => db.execute(sql`select 1 from webhook_deliveries where state = ${state}`)
const never = () => new Promise<never>(() => undefined)

for (const [name, hours] of [
  ['F11: an endpoint that was down for 5 minutes', 5 / 60],
  ['F11: an endpoint that was down for 15 minutes', 0.25],
  ['F11: an endpoint that was down for 71 hours and a half', 71.5],
] as const)
  test(`${name} gets every event, once`, async () => {
    let down = true
    const server = await serve(() => ({ status: down ? 503 : 200 }))
    work(async () => recipient(server.url))
    const ids = [await record(tenantId), await record(tenantId), await record(tenantId)]
    const dueOrBusy = () =>
      db.execute(sql`select 1 from jobs where run_at <= ${clock.now()} or lease_until > now()`)
    const upAt = clock.nowMs() + hours * HOUR_MS
    for (;;) {
      await waitFor(async () => (await dueOrBusy()) === 0, 40_000)
      if (down && clock.nowMs() >= upAt) {
        down = false
        server.requests.length = 0
      }
      if ((await countOf('delivered')) === ids.length) break
      assert.equal(await countOf('dead'), 0)
      const next = await db.one(
        (row) => row.at as Date,
        sql`select min(run_at) as at from jobs where queue = 'webhooks'`,
      )
      assert.ok(next > clock.now(), 'waits for its time')
      clock.set(down ? new Date(Math.min(next.getTime(), upAt)) : next)
    }
    assert.deepEqual(server.requests.map(({ body }) => JSON.parse(body).id).sort(), ids.sort())
    assert.ok(clock.nowMs() - upAt <= 0.56 * HOUR_MS, 'and soon after it is back')
  })

test('F12: a tenant whose endpoint hangs with a backlog of 500 does not delay another tenant', async () => {
  const hanging = await serve(never)
  const quick = await serve()
  work(async (tenant) => recipient(tenant === tenantId ? hanging.url : quick.url, { timeoutMs: 8_000 }))
  await recordMany(tenantId, 500)
  await waitFor(() => hanging.requests.length >= 8)
  await recordMany(otherId, 50)
  const startedAt = performance.now()
  await waitFor(() => quick.requests.length === 50, 20_000)
  const elapsed = performance.now() - startedAt
  assert.ok(elapsed < 6_000, `${elapsed} ms, while an answer that does not come takes 8000`)
  assert.ok(hanging.requests.length <= 96, `${hanging.requests.length} requests to the endpoint that hangs`)
})

test('F12: endpoints that fail, refuse the connection or hang leave the others alone', async () => {
  const closed = await startTestHttpServer()
  await closed.close()
  const failing = await serve(() => ({ status: 500 }))
  const hanging = await serve(never)
  const quick = await serve()
  const urls = new Map(tenants.map((id, index) => [id, [failing, closed, hanging, quick][index]?.url]))
  work(async (tenant) => recipient(urls.get(tenant) ?? '', { timeoutMs: 8_000 }))
  for (const id of tenants.slice(0, 3)) await recordMany(id, 100)
  await waitFor(() => failing.requests.length > 0 && hanging.requests.length > 0)
  await recordMany(tenants[3], 20)
  const startedAt = performance.now()
  await waitFor(() => quick.requests.length === 20, 20_000)
  assert.ok(performance.now() - startedAt < 6_000)
})

test('F13: an event that cannot be signed, or whose recipient cannot be read, backs off, shows, and holds up nothing', async () => {
  const server = await serve()
  work(async (tenant) => {
    if (tenant === otherId) throw new Error('a stored secret cannot be decrypted')
    return recipient(server.url, { secret: 'a secret' })
  })
  // A lone surrogate has no canonical form.
  const unsignable = await record(tenantId)
  await db.execute(sql`update webhook_events set data = ${'{"text":"\\ud800"}'} where id = ${unsignable}`)
  const unreadable = await record(otherId)
  const good = await record(tenantId)
  await waitFor(async () => (await countOf('delivered')) === 1)
  await waitFor(async () => (await db.execute(sql`select 1 from webhook_attempts`)) === 2)
  await new Promise((resolve) => setTimeout(resolve, 100))
  const attempts = await db.many(
    (row) => [row.event_id, row.number, row.error] as [string, number, string],
    sql`select d.event_id, a.number, a.error from webhook_attempts a join webhook_deliveries d on d.id = a.delivery_id`,
  )
  assert.deepEqual(
    attempts.map(([id, number]) => [id, number]).sort(),
    [
      [unsignable, 1],
      [unreadable, 1],
    ].sort(),
  )
  for (const [, , error] of attempts) assert.match(error, /^cannot be sent: /)
  assert.deepEqual(
    server.requests.map(({ body }) => JSON.parse(body).id),
    [good],
  )
})

test('F14: slow answers are waited for side by side, and no database connection waits with them', async () => {
  const server = await serve(() => new Promise((resolve) => setTimeout(() => resolve({}), 400)))
  work(async () => recipient(server.url), 4)
  const startedAt = performance.now()
  await recordMany(tenantId, 96)
  await waitFor(() => server.requests.length > 20)
  const waiting = await db.one(
    (row) => Number(row.count),
    sql`select count(*) from pg_stat_activity where application_name = 'faulty-webhooks' and state like 'idle in transaction%'`,
  )
  assert.equal(waiting, 0)
  await waitFor(async () => (await countOf('delivered')) === 96, 40_000)
  const elapsed = performance.now() - startedAt
  assert.ok(elapsed < 96 * 400 * 0.5, `${elapsed} ms; one after the other it takes 38400`)
})

test('F15: an answer that is lost after the commit brings the same event, byte for byte, until one arrives', async () => {
  const server = await serve(async () => {
    if (server.requests.length < 10) throw new Error('connection closed')
    return {}
  })
  work(async () => recipient(server.url))
  await record(tenantId)
  await waitFor(async () => {
    clock.advance(5_000)
    return (await countOf('delivered')) === 1
  })
  assert.equal(server.requests.length, 10)
  assert.equal(new Set(server.requests.map(({ body }) => body)).size, 1)
})

test('F17: an event is sent although nobody was told of it, its job was lost in a lease, or its worker died before it sent', async () => {
  const server = await serve()
  const ids = [await record(tenantId), await record(tenantId)]
  // The first was claimed by a worker that died; for neither will there be a notification.
  await db.execute(sql`update jobs set lease_token = 7, lease_until = now() - interval '1 second', attempts = 1
    where key = (select id from webhook_deliveries where event_id = ${ids[0]})`)
  work(async () => recipient(server.url))
  await waitFor(async () => (await countOf('delivered')) === 2)
  assert.deepEqual(server.requests.map(({ body }) => JSON.parse(body).id).sort(), ids.sort())
})

test('F18, trap 5: 200 alone is acceptance', async () => {
  const statuses = [201, 202, 204, 301, 410, 429, 200]
  const server = await serve(() => ({
    status: statuses[server.requests.length - 1] ?? 200,
    headers: { location: '/elsewhere', 'retry-after': '1' },
  }))
  work(async () => recipient(server.url))
  await record(tenantId)
  await waitFor(async () => {
    clock.advance(10_000)
    return (await countOf('delivered')) === 1
  })
  assert.equal(server.requests.length, statuses.length)
  assert.ok(server.requests.every(({ path, method }) => path === '/' && method === 'POST'))
})

test('while secrets change, a receiver that knows either can verify, and the old header keeps its form', async () => {
  const [current, previous] = ['the new secret, long', 'the old secret, long']
  const known = { secret: current }
  const server = await serve(({ headers, body }) => {
    const signature = parseHmacSignature(headers['rafiki-signature'])
    const isGood = signature && verifyHmacDigest(signature, { secret: known.secret, body: JSON.parse(body) })
    return { status: isGood ? 200 : 401 }
  })
  work(async () => recipient(server.url, { secret: current, previousSecret: previous }))
  await record(tenantId)
  await waitFor(async () => (await countOf('delivered')) === 1)
  assert.equal(server.requests.length, 1)
  known.secret = previous
  await record(tenantId)
  await waitFor(async () => (await countOf('delivered')) === 2)
  assert.equal(
    server.requests.length,
    3,
    'refused under the new secret, accepted under the old one, in one attempt',
  )
  assert.equal(await db.execute(sql`select 1 from webhook_attempts`), 0)
  // Who reads the other header finds both digests, over the same time.
  for (const { headers, body } of server.requests) {
    const match = /^(t=\d+), (v1=[0-9a-f]{64}), (v1=[0-9a-f]{64})$/.exec(`${headers['upesi-signature']}`)
    assert.ok(match)
    for (const [index, secret] of [current, previous].entries()) {
      const signature = parseHmacSignature(`${match[1]}, ${match[index + 2]}`)
      assert.ok(signature && verifyHmacDigest(signature, { secret, body: JSON.parse(body) }))
    }
  }
})

test('an attempt with two signatures is over when its time is, and not twice as late', async () => {
  const server = await serve(async () => {
    const isFirst = server.requests.length === 1
    await new Promise((resolve) => setTimeout(resolve, isFirst ? 1_500 : 2_500))
    return { status: isFirst ? 401 : 200 }
  })
  work(async () =>
    recipient(server.url, { secret: 'the new secret', previousSecret: 'the old secret', timeoutMs: 3_000 }),
  )
  await record(tenantId)
  await waitFor(
    async () => (await db.execute(sql`select 1 from webhook_attempts where error is not null`)) === 1,
  )
  assert.equal(server.requests.length, 2)
})
