import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createDb, type DbPool, migrate, sql, uuidv7 } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { auditGrants } from './index.ts'

const folder = fileURLToPath(new URL('../migrations/', import.meta.url))
const table = 'upesi_migrations'
const [tenantId, assetId, walletAddressId] = [uuidv7(), uuidv7(), uuidv7()]

let database: TestDatabase
let db: DbPool
let former: string
before(async () => {
  database = await createTestDatabase('empty')
  const { connectionString } = database
  db = createDb({ connectionString })
  former = mkdtempSync(join(tmpdir(), 'upesi-former-'))
  cpSync(join(folder, '0001_resources.sql'), join(former, '0001_resources.sql'))
  await migrate({ connectionString, folder: former, table })
})
after(async () => {
  rmSync(former, { recursive: true })
  await db.close()
  await database.drop()
})

interface Former {
  grantId?: string
  state: string
  sent?: bigint
  delivered?: bigint
}

/** A payment of 110 with a fee of 10, of which 67 arrive, as the release before left it. */
async function insertFormer({ grantId, state, sent, delivered = 0n }: Former): Promise<void> {
  const id = uuidv7()
  await db.execute(sql`
    insert into quotes (id, tenant_id, wallet_address_id, asset_id, receiver, method, debit_amount, source_amount, receive_amount,
      receive_asset_code, receive_asset_scale, expires_at)
    values (${id}, ${tenantId}, ${walletAddressId}, ${assetId}, 'https://bank.example/incoming-payments/1', 'ILP', 110, 100, 67, 'EUR', 3, now())`)
  await db.execute(sql`
    insert into outgoing_payments (id, tenant_id, wallet_address_id, grant_id, state, sent_amount, delivered_amount, initiated_by)
    values (${id}, ${tenantId}, ${walletAddressId}, ${grantId}, ${state}, ${sent}, ${delivered}, 'OPEN_PAYMENTS')`)
}

test('payments from before limits are counted by the upgrade', async () => {
  await db.execute(sql`insert into tenants (id, api_secret_sealed) values (${tenantId}, 'sealed')`)
  await db.execute(
    sql`insert into assets (id, tenant_id, code, scale) values (${assetId}, ${tenantId}, 'USD', 2)`,
  )
  await db.execute(sql`
    insert into wallet_addresses (id, tenant_id, asset_id, address)
    values (${walletAddressId}, ${tenantId}, ${assetId}, 'https://bank.example/alice')`)
  await insertFormer({ state: 'COMPLETED', sent: 100n, delivered: 67n })
  await insertFormer({ grantId: 'open', state: 'FUNDING' })
  await insertFormer({ grantId: 'open', state: 'SENDING', delivered: 20n })
  await insertFormer({ grantId: 'open', state: 'COMPLETED', sent: 100n, delivered: 67n })
  await insertFormer({ grantId: 'ended', state: 'CANCELLED' })
  await insertFormer({ grantId: 'ended', state: 'FAILED', sent: 50n, delivered: 10n })
  await insertFormer({ grantId: 'ended', state: 'FAILED', sent: 1n, delivered: 1n })

  const applied = await migrate({ connectionString: database.connectionString, folder, table })
  assert.ok(applied.includes('0002_grant_spending.sql'))

  const counters = await db.many(
    (row) => [row.grant_id, row.side, row.asset_code, row.asset_scale, row.amount],
    sql`select grant_id, side, asset_code, asset_scale, amount from grant_spending
      where interval_start = '-infinity' order by grant_id desc, side`,
  )
  assert.deepEqual(counters, [
    ['open', 'DEBIT', 'USD', 2, 330n],
    ['open', 'RECEIVE', 'EUR', 3, 201n],
    ['ended', 'DEBIT', 'USD', 2, 51n],
    ['ended', 'RECEIVE', 'EUR', 3, 34n],
  ])
  assert.deepEqual(await auditGrants(db), { counters: 4, findings: [] })
})
