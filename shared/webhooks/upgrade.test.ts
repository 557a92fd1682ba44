import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createDb, type DbPool, migrate, sql, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { findDeliveries, resendDeadEvents } from './deliveries-store.ts'
import { listEvents } from './store.ts'

const folder = fileURLToPath(new URL('../migrations/', import.meta.url))
const table = 'upesi_migrations'
const tenantId = uuidv7()
const DELIVERIES = 50_000

let database: TestDatabase
let db: DbPool
let former: string
before(async () => {
  database = await createTestDatabase('empty')
  const { connectionString } = database
  db = createDb({ connectionString })
  former = mkdtempSync(join(tmpdir(), 'upesi-former-'))
  for (const name of readdirSync(folder).filter((file) => file < '0020'))
    cpSync(join(folder, name), join(former, name))
  await migrate({ connectionString, folder: former, table })
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
  await db.execute(sql`
    with event as (
      insert into webhook_events (id, tenant_id, type, data)
      select gen_random_uuid(), ${tenantId}, 'wallet_address.not_found', '{}' from generate_series(1, ${DELIVERIES}::int)
      returning id
    )
    insert into webhook_deliveries (id, event_id, recipient_tenant_id, state, attempts, status_code, delivered_at)
    select gen_random_uuid(), id, ${tenantId}, 'delivered', 1, 200, now() from event`)
})
after(async () => {
  rmSync(former, { recursive: true })
  await db.close()
  await database.drop()
})

/** As code from before this release writes and ends a delivery. Returns how long that took. */
async function formerCode(state: 'delivered' | 'dead' | 'pending'): Promise<{ id: string; tookMs: number }> {
  const startedAt = performance.now()
  const [id, deliveryId] = [uuidv7(), uuidv7()]
  await db.execute(sql`
    with event as (
      insert into webhook_events (id, tenant_id, type, data) values (${id}, ${tenantId}, 'wallet_address.not_found', '{}') returning id
    )
    insert into webhook_deliveries (id, event_id, recipient_tenant_id) select ${deliveryId}, id, ${tenantId} from event`)
  await db.execute(
    sql`update webhook_deliveries set state = ${state}, attempts = 1, status_code = 500, last_error = 'answered 500', updated_at = now()
      where id = ${deliveryId}`,
  )
  return { id, tookMs: performance.now() - startedAt }
}

test('F29 and F30: events from before the upgrade keep their state and can be sent again, and the old code goes on meanwhile', async () => {
  const dead = await formerCode('dead')
  let isMigrating = true
  const times: number[] = []
  const traffic = (async () => {
    while (isMigrating) times.push((await formerCode('pending')).tookMs)
  })()
  const applied = await migrate({ connectionString: database.connectionString, folder, table })
  isMigrating = false
  await traffic
  assert.ok(applied.includes('0020_webhooks.sql'))
  assert.ok(Math.max(...times) < 1_000, `waited ${Math.max(...times)} ms`)

  const page = { first: 100 }
  const found = await listEvents(db, { delivery: { state: 'dead' }, page })
  assert.deepEqual(
    found.items.map(({ id }) => id),
    [dead.id],
  )
  const [report] = await findDeliveries(db, dead.id, { tenantId })
  assert.deepEqual([report?.state, report?.endpoint, report?.attempts], ['dead', 'wallet', []])
  // Code from before still writes.
  await formerCode('delivered')
  const resent = await resendDeadEvents(db, { tenantId }, { now: new Date() })
  assert.deepEqual([resent.deliveries, resent.hasMore], [1, false])
  assert.equal(await db.execute(sql`select 1 from jobs where queue = 'webhooks'`), 1)
  assert.equal((await findDeliveries(db, dead.id, { tenantId }))[0]?.state, 'pending')
})
