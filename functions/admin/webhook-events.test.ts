import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { createListener, createTrustedHttp, silentLogger, sql, uuidv7 } from '../../shared/platform/index.ts'
import { consumeJobs } from '../../shared/queue/index.ts'
import {
  createTestDatabase,
  startTestHttpServer,
  type TestHttpServer,
  waitFor,
} from '../../shared/testing/index.ts'
import { deliverWebhook, loadDelivery, recordEvent } from '../../shared/webhooks/index.ts'
import { type Party, startTestAdmin, type TestAdmin } from './harness.ts'

interface Attempt {
  number: number
  status: number | null
  latencyMs: number
  error: string | null
  answer: string | null
  at: string
}
interface Event {
  id: string
  deliveries: { recipientTenantId: string; endpoint: string; state: string; attempts: Attempt[] }[]
}
interface Resent {
  count: number
  hasMore: boolean
  lastEventAt: string | null
}

let admin: TestAdmin
let wallet: TestHttpServer
let tenant: Party
let other: Party
let status = 200
let url = ''
const closers: (() => Promise<void>)[] = []

before(async () => {
  const database = await createTestDatabase('resources')
  admin = await startTestAdmin(database)
  wallet = await startTestHttpServer(() => ({ status, body: 'Bad\u0000 mood‮ today' }))
  tenant = await admin.newTenant('tenant')
  other = await admin.newTenant('other')
  await nameEndpoint(tenant)
  const { node } = admin
  const listener = createListener({ connectionString: database.connectionString, log: silentLogger })
  const http = createTrustedHttp()
  url = wallet.url
  const recipients = async () => ({
    url,
    signatureVersion: 1,
    timeoutMs: 1_000,
    attemptsMax: 1,
  })
  const consumer = consumeJobs(
    { ...node, listener },
    {
      queue: 'webhooks',
      load: loadDelivery,
      handler: (job) => deliverWebhook({ ...node, trustedHttp: http, recipients }, job),
      concurrency: 16,
      idleMs: 20,
      leaseSeconds: 30,
    },
  )
  closers.push(
    () => consumer.close(),
    () => listener.close(),
    () => http.close(),
    () => wallet.close(),
    () => admin.close(),
  )
})
afterEach(async () => {
  status = 200
  wallet.requests.length = 0
  await admin.node.db.execute(sql`delete from webhook_events`)
})
after(async () => {
  for (const close of closers) await close()
})

/** Of its own; without one its webhooks go to the operator's. */
const nameEndpoint = (party: Party) =>
  admin.succeed(party, 'createTenantSettings', {
    input: { settings: [{ key: 'WEBHOOK_URL', value: `https://${party.tenantId}.example/` }] },
  })
const record = (party: Party, more: { recipientTenantIds?: string[] } = {}) =>
  recordEvent(admin.node.db, {
    tenantId: party.tenantId,
    type: 'wallet_address.not_found',
    data: { walletAddressUrl: 'x' },
    ...more,
  })
const settled = () =>
  waitFor(
    async () =>
      (await admin.node.db.execute(sql`select 1 from webhook_deliveries where state = 'pending'`)) === 0 &&
      (await admin.node.db.execute(sql`select 1 from jobs`)) === 0,
  )
const events = async (party: Party, args: Record<string, unknown> = {}) =>
  ((await admin.succeed(party, 'webhookEvents', args)).edges as { node: Event }[]).map(({ node }) => node)
const resend = async (party: Party, name: string, input: Record<string, unknown>) =>
  (await admin.succeed(party, name, { input })) as unknown as Resent
const idsSent = () => wallet.requests.map(({ body }) => JSON.parse(body).id as string)

test('an event tells where it went and what was tried', async () => {
  status = 503
  const id = await record(tenant)
  await settled()
  const [event] = await events(tenant)
  assert.equal(event?.id, id)
  const delivery = event?.deliveries[0]
  assert.deepEqual(
    [event?.deliveries.length, delivery?.recipientTenantId, delivery?.endpoint, delivery?.state],
    [1, tenant.tenantId, 'WALLET', 'DEAD'],
  )
  const [attempt, ...others] = delivery?.attempts ?? []
  assert.deepEqual(others, [])
  assert.ok(attempt && attempt.latencyMs >= 0 && Date.now() - Date.parse(attempt.at) < 60_000)
  assert.deepEqual(
    [attempt.number, attempt.status, attempt.error, attempt.answer],
    [1, 503, 'answered 503', 'Bad  mood  today'],
  )
})

test('what the operator’s endpoint says about a tenant’s events, and where it is, is for the operator alone', async () => {
  const party = await admin.newTenant('without-endpoint')
  const { asset } = (await admin.succeed(party, 'createAsset', { input: { code: 'USD', scale: 2 } })) as {
    asset: { id: string }
  }
  const { walletAddress } = (await admin.succeed(party, 'createWalletAddress', {
    input: { assetId: asset.id, address: `${party.prefix}/alice` },
  })) as { walletAddress: { id: string } }
  const ids: string[] = []
  const pay = async () => {
    const input = { walletAddressId: walletAddress.id }
    const { payment } = await admin.succeed(party, 'createIncomingPayment', { input })
    ids.push((payment as { id: string }).id)
    // Of its expiry, a month from now.
    await admin.node.db.execute(sql`delete from jobs where queue = 'incoming-payments'`)
    await settled()
  }
  status = 500
  await pay()
  url = 'http://127.0.0.1:9/'
  await pay()
  url = wallet.url
  const seenBy = async (who: Party) => {
    const told = await events(who, { sortOrder: 'ASC' })
    const attempts = told.flatMap(({ deliveries }) => deliveries.flatMap((delivery) => delivery.attempts))
    const query = `query Story($id: String!) { incomingPayment(id: $id) { timeline { kind message } } }`
    const stories = await Promise.all(ids.map((id) => admin.ask(who, query, { id })))
    const entries = stories.flatMap(
      ({ data }) => (data?.incomingPayment as { timeline: { kind: string; message: string }[] }).timeline,
    )
    return [
      attempts.map(({ status: code, error, answer }) => [code, error, answer]),
      entries.filter(({ kind }) => kind === 'WEBHOOK_ATTEMPT').map(({ message }) => message),
    ]
  }
  const [attempts, messages] = await seenBy(admin.operator)
  assert.deepEqual(attempts?.[0], [500, 'answered 500', 'Bad  mood  today'])
  assert.match(String(messages?.[1]), /127\.0\.0\.1:9/)
  const little = [
    [
      [500, 'answered 500', null],
      [null, 'no answer', null],
    ],
    ['answered 500', 'no answer'],
  ]
  assert.deepEqual(await seenBy(party), little)
  await nameEndpoint(party)
  assert.deepEqual(await seenBy(party), little, 'nor afterwards')
  await pay()
  assert.deepEqual((await seenBy(party))[0]?.[2], [500, 'answered 500', 'Bad  mood  today'])
})

test('one event is sent again under its id, and the attempts of both times remain', async () => {
  const id = await record(tenant)
  await settled()
  const key = uuidv7()
  for (let repeat = 0; repeat < 2; repeat++) {
    const { webhookEvent } = await admin.succeed(tenant, 'resendWebhookEvent', {
      input: { id, idempotencyKey: key },
    })
    assert.equal((webhookEvent as Event).id, id)
  }
  await settled()
  assert.deepEqual(idsSent(), [id, id])
  const [event] = await events(tenant)
  assert.deepEqual(
    event?.deliveries[0]?.attempts.map(({ number, status: code }) => [number, code]),
    [
      [1, 200],
      [2, 200],
    ],
  )
})

test('dead ones are found, and sent again all at once, each tenant its own', async () => {
  status = 500
  const mine = [await record(tenant), await record(tenant)]
  const theirs = await record(other)
  await settled()
  status = 200
  const fine = await record(tenant)
  await settled()
  const dead = { filter: { deliveryState: 'DEAD' } }
  assert.deepEqual((await events(tenant, dead)).map(({ id }) => id).sort(), [...mine].sort())
  assert.deepEqual(
    (await events(tenant, { filter: { deliveryState: 'DELIVERED' } })).map(({ id }) => id),
    [fine],
  )
  assert.equal((await events(admin.operator, dead)).length, 3)

  wallet.requests.length = 0
  const resent = await resend(tenant, 'resendDeadWebhookEvents', { tenantId: other.tenantId })
  assert.deepEqual([resent.count, resent.hasMore], [2, false])
  await settled()
  assert.deepEqual(idsSent().sort(), [...mine].sort())
  assert.deepEqual(await events(tenant, dead), [])

  assert.equal(
    (await resend(admin.operator, 'resendDeadWebhookEvents', { tenantId: tenant.tenantId })).count,
    0,
  )
  assert.equal((await resend(admin.operator, 'resendDeadWebhookEvents', {})).count, 1)
  await settled()
  assert.equal(idsSent().at(-1), theirs)
})

test('a range is sent again, of one type where one is named', async () => {
  const ids = [await record(tenant), await record(tenant), await record(tenant)]
  await record(other)
  await settled()
  for (const [index, id] of ids.entries())
    await admin.node.db.execute(
      sql`update webhook_events set created_at = ${new Date(Date.UTC(2030, 0, 1 + index))} where id = ${id}`,
    )
  wallet.requests.length = 0
  const range = { from: '2030-01-01T00:00:00Z', to: '2030-01-03T00:00:00Z' }
  const resent = await resend(tenant, 'resendWebhookEvents', range)
  assert.deepEqual(resent, { count: 2, hasMore: false, lastEventAt: '2030-01-02T00:00:00.000Z' })
  await settled()
  assert.deepEqual(idsSent().sort(), ids.slice(0, 2).sort())
  const none = await resend(tenant, 'resendWebhookEvents', { ...range, type: 'outgoing_payment.failed' })
  assert.equal(none.count, 0)
  const all = { from: '2020-01-01T00:00:00Z', to: '2040-01-01T00:00:00Z' }
  assert.equal((await resend(admin.operator, 'resendWebhookEvents', all)).count, 4)
  for (const bad of [
    { ...range, from: 'yesterday' },
    { from: range.to, to: range.from },
  ]) {
    const { errors } = await admin.call(tenant, 'resendWebhookEvents', { input: bad })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  }
})

test('a tenant sees and sends again what goes to its own wallet, and nothing of the operator’s', async () => {
  const id = await record(tenant, { recipientTenantIds: [tenant.tenantId, admin.operator.tenantId] })
  await settled()
  assert.equal((await events(tenant))[0]?.deliveries.length, 1)
  assert.equal((await events(admin.operator))[0]?.deliveries.length, 2)
  wallet.requests.length = 0
  await resend(tenant, 'resendWebhookEvent', { id })
  await settled()
  assert.equal(wallet.requests.length, 1)
  await resend(admin.operator, 'resendWebhookEvent', { id })
  await settled()
  assert.equal(wallet.requests.length, 3)
  for (const [party, unknown, code] of [
    [other, id, 'NOT_FOUND'],
    [tenant, uuidv7(), 'NOT_FOUND'],
    [tenant, 'x', 'BAD_USER_INPUT'],
  ] as const) {
    const { errors } = await admin.call(party, 'resendWebhookEvent', { input: { id: unknown } })
    assert.equal(errors?.[0]?.extensions.code, code)
  }
})

test('events about funding and cancelling are hidden unless the filter leaves others out', async () => {
  await recordEvent(admin.node.db, { tenantId: tenant.tenantId, type: 'outgoing_payment.funded', data: {} })
  const shown = await record(tenant)
  const ids = async (filter?: object) => (await events(tenant, filter ? { filter } : {})).length
  assert.deepEqual(
    (await events(tenant)).map(({ id }) => id),
    [shown],
  )
  assert.equal(await ids({ type: { in: ['outgoing_payment.funded'] } }), 0)
  assert.equal(await ids({ type: { notIn: [] } }), 1)
  assert.equal(await ids({ type: { in: [] } }), 1, 'an empty list filters nothing, as in the other lists')
  assert.equal(await ids({ type: { notIn: ['wallet_address.not_found'] } }), 1)
  await settled()
})

test('a webhook secret is sealed, comes into force with the one before, and is nobody else’s to set', async () => {
  const secret = 'a secret that nobody else has'
  const first = await admin.succeed(tenant, 'setWebhookSecret', { input: { secret } })
  assert.deepEqual(first, { previousValidUntil: null })
  const input = { secret: `${secret}, the next`, overlapSeconds: 60, idempotencyKey: uuidv7() }
  const { previousValidUntil } = await admin.succeed(tenant, 'setWebhookSecret', { input })
  const leftMs = Date.parse(previousValidUntil as string) - Date.now()
  assert.ok(leftMs > 30_000 && leftMs <= 60_000, `${leftMs} ms`)
  const rows = await admin.node.db.many(
    (row) => JSON.stringify(row),
    sql`select to_jsonb(w)::text as all from webhook_secrets w union all select to_jsonb(i)::text from idempotency_keys i`,
  )
  assert.ok(rows.length >= 2 && !rows.some((row) => row.includes(secret)))
  for (const [party, bad] of [
    [tenant, { secret: 'short' }],
    [tenant, { secret, overlapSeconds: -1 }],
    [other, { secret, tenantId: tenant.tenantId }],
  ] as const) {
    const { errors } = await admin.call(party, 'setWebhookSecret', { input: bad })
    assert.equal(errors?.[0]?.extensions.code, 'BAD_USER_INPUT')
  }
})
