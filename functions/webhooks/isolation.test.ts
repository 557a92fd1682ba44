import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb, type DbPool, deriveId, sql } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  type ReceivedRequest,
  startTestHttpServer,
  type TestDatabase,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { recordEvent } from '../../shared/webhooks/index.ts'
import { testEnvironment } from './test-environment.ts'
import { startWebhooks } from './wiring.ts'

const TIMEOUT_MS = 3_000
/** No place comes free again while a test counts them, however slow the machine is. */
const NEVER_MS = 30_000
/** An event that nothing holds up is there long before a single timeout is over. */
const PROMPT_MS = 1_200
const CROWD = 40
const crowd = Array.from({ length: CROWD }, (_, index) => deriveId('crowd', index))
/** One whose URL is the operator's word, and one whose URL is its own. */
const quick = [deriveId('quick', 0), deriveId('quick', 1)] as const

let database: TestDatabase
let db: DbPool
/** All tenants are customers of one provider: one host, a path for each. */
let provider: TestHttpServer
let isHanging: (request: ReceivedRequest) => boolean
let isOver = Promise.withResolvers<undefined>()
const toClose: { close(): Promise<void> }[] = []

before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  provider = await startTestHttpServer((request) => (isHanging(request) ? isOver.promise : undefined))
  for (const [index, id] of [...crowd, ...quick].entries()) {
    await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${id}, 'sealed')`)
    await db.execute(
      sql`insert into tenant_settings (tenant_id, key, value, by_operator)
        values (${id}, 'WEBHOOK_URL', ${`${provider.url}/${id}`}, ${index % 2 === 0})`,
    )
  }
})
afterEach(async () => {
  isHanging = () => false
  isOver.resolve(undefined)
  isOver = Promise.withResolvers()
  for (const part of toClose.splice(0).reverse()) await part.close()
  await db.execute(sql`delete from jobs`)
  await db.execute(sql`delete from webhook_events`)
  provider.requests.length = 0
})
after(async () => {
  await provider.close()
  await db.close()
  await database.drop()
})

/** The worker as it is deployed, with one worker, which is the default. */
async function start(timeoutMs = TIMEOUT_MS): Promise<void> {
  const { connectionString } = database
  toClose.push(
    await startWebhooks(
      testEnvironment(connectionString, provider.url, {
        WEBHOOK_TIMEOUT: String(timeoutMs),
        // Half of them are the tenants' own words.
        EGRESS_ALLOW: '127.0.0.0/8',
        EGRESS_ALLOW_HTTP: 'true',
      }),
    ),
  )
}

const record = (tenantIds: readonly string[], each: number) =>
  db.tx(async (tx) => {
    for (let index = 0; index < each; index++)
      for (const tenantId of tenantIds)
        await recordEvent(tx, {
          tenantId,
          type: 'wallet_address.not_found',
          data: { walletAddressUrl: 'x' },
        })
  })
const isOfCrowd = ({ path }: ReceivedRequest) => !quick.some((id) => path === `/${id}`)
const arrived = (tenantId: string) => provider.requests.filter(({ path }) => path === `/${tenantId}`).length

/** How long it takes until all of them have arrived. */
async function msFor(tenantId: string, events: number): Promise<number> {
  const before = arrived(tenantId)
  const startedAt = performance.now()
  await record([tenantId], events)
  await waitFor(() => arrived(tenantId) === before + events)
  return performance.now() - startedAt
}

test('F12: forty endpoints that hang with backlogs, at the host of another tenant, do not delay that tenant', async () => {
  isHanging = isOfCrowd
  await record(crowd, 50)
  await start(NEVER_MS)
  await waitFor(() => crowd.every((id) => arrived(id) >= 8))
  for (const tenantId of quick)
    for (const events of [1, 20]) {
      const ms = await msFor(tenantId, events)
      assert.ok(ms < PROMPT_MS, `${events} events took ${ms} ms`)
    }
  assert.ok(
    crowd.every((id) => arrived(id) === 8),
    'and each of them has its own places only',
  )
})

test('F12: forty endpoints that were prompt and hang from one moment to the next do not delay another tenant', async () => {
  let answers = CROWD * 25
  let places = new Map<string, number>()
  // From one request to the next: a slow machine leaves as much waiting as a quick one.
  isHanging = (request) => {
    if (!isOfCrowd(request) || answers-- > 0) return false
    if (answers < -1) return true
    const [first] = provider.requests.splice(-1) as [ReceivedRequest]
    // Their turns are not even to the event: some may have little left, and fill no places with it.
    places = new Map(crowd.map((id) => [id, Math.min(8, 70 - arrived(id))]))
    provider.requests.splice(0, Number.POSITIVE_INFINITY, first)
    return true
  }
  await record(crowd, 70)
  await start(NEVER_MS)
  await waitFor(() => places.size > 0)
  // They have earned more than their own places: now nothing is left of what is common to all.
  await waitFor(async () => {
    const before = provider.requests.length
    await sleep(300)
    return crowd.every((id) => arrived(id) >= (places.get(id) ?? 0)) && before === provider.requests.length
  })
  const ms = await msFor(quick[0], 5)
  assert.ok(ms < PROMPT_MS, `${ms} ms`)
  assert.ok(provider.requests.length <= CROWD * 8 + 256 + 5, `${provider.requests.length} requests`)
})

test('F12: a backlog of thousands, promptly answered, does not delay another tenant', async () => {
  const [busyId] = crowd as [string]
  await record([busyId], 3_000)
  await start()
  await waitFor(() => arrived(busyId) > 100)
  const ms = await msFor(quick[0], 5)
  assert.ok(arrived(busyId) < 3_000, 'the backlog is still there')
  assert.ok(ms < PROMPT_MS, `${ms} ms`)
})

test('F12: an endpoint that stays silent comes down to one delivery at a time, and is back at once when it answers', async () => {
  let silent = true
  isHanging = () => silent
  const [slowId] = crowd as [string]
  await record([slowId], 100)
  await start(200)
  await waitFor(() => arrived(slowId) >= 8)
  await sleep(2_000)
  // Eight at first, and then ten timeouts: eight each time if nothing were learnt.
  assert.ok(arrived(slowId) < 40, `${arrived(slowId)} requests`)
  silent = false
  const before = arrived(slowId)
  await waitFor(() => arrived(slowId) >= 100 && arrived(slowId) > before)
})
