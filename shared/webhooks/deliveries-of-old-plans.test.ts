import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { type DbPool, deriveId, rawSql, sql, uuidv7 } from '../platform/index.ts'
import { countReads, createDatabaseOfOldPlans, type DatabaseOfOldPlans } from '../testing/index.ts'
import {
  findDeliveries,
  forgetAttempts,
  resendDeadEvents,
  resendEvent,
  resendEvents,
} from './deliveries-store.ts'
import { listPaymentDeliveries } from './payment-deliveries.ts'
import { recordEvent } from './store.ts'

const tenantId = deriveId('tenant', 1)
const scope = { tenantId }
const TABLES = ['webhook_events', 'webhook_deliveries', 'webhook_attempts', 'jobs']
const HISTORY = 5_000
const READ_MAX = 200

let database: DatabaseOfOldPlans
let db: DbPool
beforeEach(async () => {
  database = await createDatabaseOfOldPlans('resources', TABLES)
  db = database.db
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
  await db.execute(
    rawSql('alter table webhook_events drop constraint webhook_events_incoming_payment_id_fkey'),
  )
})
afterEach(() => database.close())

/** An event that was not delivered, and all that is asked and done about it. What each of that read. */
async function live(): Promise<Record<string, number>> {
  const incomingPaymentId = uuidv7()
  const from = new Date()
  const eventId = await recordEvent(db, {
    tenantId,
    type: 'incoming_payment.created',
    data: {},
    incomingPaymentId,
  })
  const read: Record<string, number> = {}
  const measure = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const counted = await countReads(db, TABLES, work)
    read[name] = counted.read
    return counted.result
  }
  const fail = (at: Date) =>
    db.execute(sql`
      with dead as (update webhook_deliveries set state = 'dead', dead_at = now(), attempts = 1 where event_id = ${eventId} returning id)
      insert into webhook_attempts (delivery_id, number, at) select id, 1, ${at} from dead on conflict do nothing`)
  await fail(new Date(0))
  assert.equal((await measure('deliveries of an event', () => findDeliveries(db, eventId, scope))).length, 1)
  const told = await measure('events of a payment', () => listPaymentDeliveries(db, { incomingPaymentId }))
  assert.equal(told.length, 1)
  const resent = await measure('one event again', () => resendEvent(db, scope, { eventId, now: new Date() }))
  assert.equal(resent.deliveries, 1)
  await fail(new Date(0))
  const dead = await measure('dead ones again', () => resendDeadEvents(db, scope, { now: new Date() }))
  assert.equal(dead.deliveries, 1)
  const range = { from, to: new Date(Date.now() + 60_000), now: new Date() }
  const some = await measure('those of a time again', () => resendEvents(db, scope, range))
  assert.equal(some.deliveries, 1)
  assert.equal(await measure('old attempts', () => forgetAttempts(db, new Date(1))), 1)
  return read
}

for (const tables of ['have never been analysed', 'were analysed when there was little in them'])
  test(`what is asked about deliveries reads few rows, whatever was delivered before, with plans of the beginning and tables that ${tables}`, async () => {
    for (let count = 0; count < 6; count++) await live()
    if (tables !== 'have never been analysed') {
      await db.execute(rawSql(`analyze ${TABLES.join()}`))
      await live()
    }
    await db.execute(sql`
      with event as (
        insert into webhook_events (id, tenant_id, type, data, incoming_payment_id, created_at)
        select gen_random_uuid(), ${tenantId}, 'incoming_payment.created', '{}', gen_random_uuid(), now() - interval '1 minute'
        from generate_series(1, ${HISTORY}::int) returning id
      ), delivery as (
        insert into webhook_deliveries (id, event_id, recipient_tenant_id, state, attempts)
        select gen_random_uuid(), id, ${tenantId}, 'delivered', 1 from event returning id
      )
      insert into webhook_attempts (delivery_id, number, at) select id, 1, now() from delivery`)
    const read = await live()
    assert.deepEqual(
      Object.entries(read).filter(([, rows]) => rows > READ_MAX),
      [],
    )
  })
