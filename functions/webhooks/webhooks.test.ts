import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConfigError, createDb, type DbPool, deriveId, sql } from '../../shared/platform/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestDatabase,
  waitFor,
} from '../../shared/testing/index.ts'
import { recordEvent } from '../../shared/webhooks/index.ts'
import { operatorTenantId, testEnvironment } from './test-environment.ts'
import { startWebhooks } from './wiring.ts'

const otherTenantId = deriveId('other tenant')
let database: TestDatabase
let db: DbPool
const toClose: { close(): Promise<void> }[] = []
before(async () => {
  database = await createTestDatabase('resources')
  db = createDb({ connectionString: database.connectionString })
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${otherTenantId}, 'sealed')`)
})
afterEach(async () => {
  for (const part of toClose.splice(0).reverse()) await part.close()
  await db.execute(sql`delete from tenant_settings`)
  await db.execute(sql`delete from webhook_events`)
  await db.execute(sql`delete from jobs`)
})
after(async () => {
  await db.close()
  await database.drop()
})

const environment = (webhookUrl: string, more: Record<string, string> = {}) =>
  testEnvironment(database.connectionString, webhookUrl, more)

async function serve(...args: Parameters<typeof startTestHttpServer>) {
  const server = await startTestHttpServer(...args)
  toClose.push(server)
  return server
}
const start = async (...args: Parameters<typeof environment>) => {
  const running = await startWebhooks(environment(...args))
  toClose.push(running)
  return running
}
const record = (tenantId: string) =>
  recordEvent(db, { tenantId, type: 'wallet_address.not_found', data: { walletAddressUrl: 'x' } })
const states = () =>
  db.many((row) => row.state as string, sql`select state from webhook_deliveries order by created_at, id`)

test('a start without its variables names all that are missing', async () => {
  await assert.rejects(startWebhooks({ USE_TIGERBEETLE: 'false' }), (error) => {
    assert.ok(error instanceof ConfigError)
    for (const name of ['WEBHOOK_URL', 'OPERATOR_TENANT_ID', 'ADMIN_API_SECRET'])
      assert.ok(
        error.problems.some((problem) => problem.includes(name)),
        name,
      )
    return true
  })
})

test('events go to their tenants’ endpoints, signed, within milliseconds', async () => {
  const ofNode = await serve()
  const ofTenant = await serve()
  const running = await start(ofNode.url)
  assert.deepEqual({ name: running.name, ports: running.ports }, { name: 'webhooks', ports: {} })
  await db.execute(
    sql`insert into tenant_settings (tenant_id, key, value, by_operator) values (${otherTenantId}, 'WEBHOOK_URL', ${ofTenant.url}, true)`,
  )
  const first = await record(operatorTenantId)
  const second = await record(otherTenantId)
  await waitFor(async () => (await states()).every((state) => state === 'delivered'))
  const idsAt = (server: typeof ofNode) => server.requests.map(({ body }) => JSON.parse(body).id as string)
  assert.deepEqual([idsAt(ofNode), idsAt(ofTenant)], [[first], [second]])
  assert.match(ofNode.requests[0]?.headers['rafiki-signature'] as string, /^t=\d{13}, v1=[0-9a-f]{64}$/)
})

test('A3: a URL that a tenant has set for itself is reached at public addresses only, and what answers there is not shown', async () => {
  const internal = await serve(() => ({ status: 500, body: 'an internal secret' }))
  const setUrl = (byOperator: boolean) => sql`
    insert into tenant_settings (tenant_id, key, value, by_operator) values (${otherTenantId}, 'WEBHOOK_URL', ${internal.url}, ${byOperator})
    on conflict (tenant_id, key) do update set by_operator = excluded.by_operator`
  await db.execute(setUrl(false))
  await start('http://127.0.0.1:9/', { LOCAL_CACHE_DURATION_MS: '0' })
  await record(otherTenantId)
  const [attempt] = await waitFor(async () => {
    const made = await db.many((row) => row, sql`select error, answer from webhook_attempts`)
    return made.length > 0 && made
  })
  assert.match(attempt?.error, /only https URLs/)
  assert.equal(attempt?.answer, null)
  assert.equal(internal.requests.length, 0)
  // The operator's word is trusted.
  await db.execute(setUrl(true))
  await record(otherTenantId)
  await waitFor(() => internal.requests.length === 1)
})

test('the default worker keeps many deliveries in flight', async () => {
  let inFlight = 0
  let most = 0
  let isPrompt = true
  const full = Promise.withResolvers<void>()
  const server = await serve(async () => {
    if (isPrompt) return
    most = Math.max(most, ++inFlight)
    // Nobody is answered before the last one is here, and then one more would have the time to come.
    if (inFlight === 128) full.resolve()
    await full.promise
    await new Promise((resolve) => setTimeout(resolve, 50))
    inFlight--
  })
  await start(server.url)
  const recordMany = (count: number) =>
    db.tx(async (tx) => {
      for (let index = 0; index < count; index++)
        await recordEvent(tx, { tenantId: operatorTenantId, type: 'wallet_address.not_found', data: {} })
    })
  // Prompt answers earn the places; the second half comes while they are worked off.
  await recordMany(600)
  await waitFor(() => server.requests.length > 300)
  isPrompt = false
  // Before the first of them has waited for as long as an endpoint may.
  const giveUp = setTimeout(full.resolve, 1_500)
  await waitFor(async () => (await states()).every((state) => state === 'delivered'))
  clearTimeout(giveUp)
  // On a slow machine many answers come too late to earn a place: 8 are there without. A tenant never has more than the most.
  assert.ok(most >= 32 && most <= 128, `${most} in flight`)
})

test('trap 14: a tenant may wait longer for its wallet than the node does', async () => {
  const server = await serve(() => new Promise((resolve) => setTimeout(() => resolve({}), 700)))
  await db.execute(
    sql`insert into tenant_settings (tenant_id, key, value) values (${otherTenantId}, 'WEBHOOK_TIMEOUT', '60000')`,
  )
  await start(server.url, { WEBHOOK_TIMEOUT: '300' })
  const [patient, hasty] = [await record(otherTenantId), await record(operatorTenantId)]
  const found = await waitFor(async () => {
    const rows = await db.many(
      (row) => [row.event_id as string, [row.state, row.last_error] as [string, string | null]] as const,
      sql`select event_id, state, last_error from webhook_deliveries where attempts = 1`,
    )
    return rows.length === 2 && new Map(rows)
  })
  assert.deepEqual(found.get(patient), ['delivered', null])
  assert.match(found.get(hasty)?.[1] ?? '', /within 300 ms/)
})

test('WEBHOOK_MAX_RETRY is honoured', async () => {
  const server = await serve(() => ({ status: 500 }))
  await start(server.url, { WEBHOOK_MAX_RETRY: '1' })
  await record(operatorTenantId)
  await waitFor(async () => (await states()).includes('dead'))
  assert.equal(server.requests.length, 1)
})

async function spawnServer(env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./server.ts', import.meta.url))], {
    env: { ...env, PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  toClose.push({
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  assert.equal(JSON.parse(line.toString()).started, 'webhooks')
  return child
}

test('an event whose worker is killed before the answer comes again under its id', async () => {
  let hang = true
  const server = await serve(() => (hang ? new Promise(() => undefined) : undefined))
  const child = await spawnServer(environment(server.url, { WEBHOOK_TIMEOUT: '60000' }))
  const id = await record(operatorTenantId)
  await waitFor(() => server.requests.length === 1)
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  assert.deepEqual(await states(), ['pending'])
  hang = false
  // The lease of the killed worker has run out.
  await db.execute(sql`update jobs set lease_until = now()`)
  await start(server.url)
  await waitFor(async () => (await states()).includes('delivered'))
  assert.deepEqual(
    server.requests.map(({ body }) => JSON.parse(body).id),
    [id, id],
  )
})

test('on SIGTERM the worker finishes what is in flight', async () => {
  const answer = Promise.withResolvers<undefined>()
  const server = await serve(() => answer.promise)
  const child = await spawnServer(environment(server.url))
  await record(operatorTenantId)
  await waitFor(() => server.requests.length === 1)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(child.exitCode, null)
  answer.resolve(undefined)
  assert.deepEqual(await exited, [0, null])
  assert.deepEqual(await states(), ['delivered'])
})
