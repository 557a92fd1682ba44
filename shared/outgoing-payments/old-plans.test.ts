import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createDb, type DbPool, deriveId, rawSql, uuidv7 } from '../platform/index.ts'
import { countReads, createDatabaseOfOldPlans, type DatabaseOfOldPlans } from '../testing/index.ts'
import { enqueueLost, findRequestedId } from './store.ts'

const tenantId = deriveId('tenant', 1)
const TABLES = ['outgoing_payments', 'jobs']
const HISTORY = 20_000
const READ_MAX = 100

let database: DatabaseOfOldPlans
let db: DbPool
before(async () => {
  database = await createDatabaseOfOldPlans('resources', TABLES)
  db = database.db
})
after(() => database.close())

/** By another connection: what payments and jobs belong to is not checked, and plans of a connection that says so are made anew. */
async function write(text: string): Promise<void> {
  const other = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
  try {
    await other.execute(rawSql('set session_replication_role = replica'))
    await other.execute(rawSql(text))
  } finally {
    await other.close()
  }
}

test('with plans of the beginning: the payment of a request, and those whose jobs were lost, are found among their own', async () => {
  const request = uuidv7()
  const find = () => findRequestedId(db, { tenantId }, request)
  const sweep = () => enqueueLost(db, new Date(), 500)
  assert.deepEqual([await find(), await sweep()], [undefined, []])
  await write(`
    insert into outgoing_payments (id, tenant_id, wallet_address_id, request_id, state, initiated_by, sent_amount, updated_at)
    select md5('p' || n)::uuid, '${tenantId}', md5('w')::uuid, md5('r' || n)::uuid, 'COMPLETED', 'ADMIN', 1, now()
    from generate_series(1, ${HISTORY}) n`)
  await write(`
    insert into outgoing_payments (id, tenant_id, wallet_address_id, request_id, state, initiated_by, updated_at)
    select md5('u' || n)::uuid, '${tenantId}', md5('w')::uuid, case n when 1 then '${request}'::uuid end, 'SENDING', 'ADMIN',
      now() - interval '1 minute' from generate_series(1, 10) n`)
  await write(`
    insert into jobs (queue, key, tenant_id, run_at)
    select 'outgoing-payments', md5(case when n < 10 then 'u' else 'x' end || n)::uuid, '${tenantId}', now() from generate_series(1, ${HISTORY}) n`)
  const { read: readToFind } = await countReads(db, TABLES, async () => assert.ok(await find()))
  assert.ok(readToFind < READ_MAX, `${readToFind} rows read for one payment`)
  const { read: readToSweep } = await countReads(db, TABLES, async () =>
    assert.equal((await sweep()).length, 1),
  )
  assert.ok(readToSweep < READ_MAX, `${readToSweep} rows read by the sweep`)
})
