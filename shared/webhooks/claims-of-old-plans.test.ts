import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { type DbPool, deriveId, rawSql, sql, systemClock, uuidv7 } from '../platform/index.ts'
import { createTenantShares } from '../queue/shares.ts'
import { claimJobs } from '../queue/store.ts'
import { countReads, createDatabaseOfOldPlans, type DatabaseOfOldPlans } from '../testing/index.ts'
import { loadDelivery, recordEvent } from './store.ts'

const tenantId = deriveId('tenant', 1)
const TABLES = ['jobs', 'webhook_events', 'webhook_deliveries']
const HISTORY = 10_000
/** Postgres plans a statement anew five times and then keeps a plan. */
const CLAIMS_BEFORE = 8

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

const claim = () =>
  claimJobs(db, {
    queue: 'webhooks',
    now: systemClock.now(),
    limit: 50,
    leaseSeconds: 30,
    free: createTenantShares({ concurrency: 50 }).free(),
    load: loadDelivery,
  })

const announce = () =>
  recordEvent(db, {
    tenantId,
    type: 'incoming_payment.completed',
    data: {},
    incomingPaymentId: uuidv7(),
  })

for (const tables of ['were analysed then', 'have never been analysed'])
  test(`a claim reads few rows, whatever an endpoint was sent before, with plans of the time when it was nothing and tables that ${tables}`, async () => {
    for (let count = 0; count < CLAIMS_BEFORE; count++) {
      await announce()
      assert.equal((await claim()).jobs.length, 1)
      if (count === 0 && tables === 'were analysed then') await db.execute(rawSql(`analyze ${TABLES.join()}`))
    }
    await db.execute(sql`
    with event as (
      insert into webhook_events (id, tenant_id, type, data, incoming_payment_id)
      select gen_random_uuid(), ${tenantId}, 'incoming_payment.created', '{}', gen_random_uuid()
      from generate_series(1, ${HISTORY}::int) returning id
    )
    insert into webhook_deliveries (id, event_id, recipient_tenant_id, state, attempts)
    select gen_random_uuid(), id, ${tenantId}, 'delivered', 1 from event`)
    const { read } = await countReads(db, TABLES, async () => {
      await announce()
      const { jobs } = await claim()
      assert.equal(jobs.length, 1)
      assert.ok(jobs[0]?.loaded?.event_id)
    })
    // Planning takes longer than the claim itself: after the first it is done with, whatever an analysis found meanwhile.
    const claims = await db.one(
      ({ generic, custom }) => ({ generic, custom }),
      rawSql(
        `select generic_plans as generic, custom_plans as custom from pg_prepared_statements where statement like '%recur' || 'sive tenants%'`,
      ),
    )
    assert.deepEqual(claims, { generic: BigInt(CLAIMS_BEFORE + 1), custom: 0n })
    assert.ok(read > 0 && read < HISTORY / 20, `${read} rows read`)
  })
