import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { createAsset, getAssetLiquidity } from '../assets/index.ts'
import {
  ConfigError,
  countListeners,
  createDb,
  deriveId,
  type Host,
  loadConfig,
  PendingMigrations,
  sql,
  uuidv7,
} from '../platform/index.ts'
import { getTenant } from '../tenants/index.ts'
import { createTestDatabase, startDatabaseProxy, type TestDatabase, waitFor } from '../testing/index.ts'
import { nodeConfig, nodeConfigChecks } from './config.ts'
import type { NodeContext } from './model.ts'
import { createNodeContext, sealedResourceColumns } from './node-context.ts'

let empty: TestDatabase
const operatorTenantId = deriveId('operator')

const configFor = (databaseUrl: string, more: Record<string, string> = {}) =>
  loadConfig(
    nodeConfig,
    {
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'silent',
      USE_TIGERBEETLE: 'false',
      OPERATOR_TENANT_ID: operatorTenantId,
      ADMIN_API_SECRET: 'admin secret',
      OPEN_PAYMENTS_URL: 'https://op.example',
      AUTH_SERVER_GRANT_URL: 'https://auth.example',
      KEY_ID: 'key-1',
      ILP_ADDRESS: 'test.node',
      STREAM_SECRET: Buffer.alloc(32, 1).toString('base64'),
      WEBHOOK_URL: 'http://wallet.example/webhooks',
      ...more,
    },
    nodeConfigChecks,
  )

before(async () => {
  empty = await createTestDatabase('empty')
})
after(async () => {
  await empty.drop()
})

const opened: NodeContext[] = []
const open = async (more: Record<string, string> = {}) => {
  const node = await createNodeContext(configFor(empty.connectionString, more), { name: 'test' })
  opened.push(node)
  return node
}

test('an empty database is refused with manual migrations, and nothing is made in it', async () => {
  await assert.rejects(open({ ENABLE_MANUAL_MIGRATIONS: 'true' }), PendingMigrations)
  const db = createDb({ connectionString: empty.connectionString })
  assert.equal(await db.execute(sql`select 1 from pg_tables where tablename = 'tenants'`), 0)
  await db.close()
})

test('processes that start at once on an empty database agree on everything', async () => {
  const nodes = await Promise.all([open(), open(), open()])
  assert.equal(new Set(nodes.map(({ instanceKeys }) => instanceKeys.current().jwk.x)).size, 1)
  assert.equal(nodes[0]?.instanceKeys.current().keyId, 'key-1')
  for (const node of nodes) assert.equal((await getTenant(node, operatorTenantId)).apiSecret, 'admin secret')
  assert.equal(
    await nodes[0]!.db.one((row) => Number(row.n), sql`select count(*) as n from instance_keys`),
    1,
  )
  await Promise.all(nodes.map((node) => node.close()))
})

test('behind a pooler nobody listens, unless there is a session of its own to listen on; a sandbox never does', async () => {
  const listeners = async (host: Host, more: Record<string, string>) => {
    const config = configFor(empty.connectionString, { DATABASE_POOLER: 'true', ...more })
    const node = await createNodeContext(config, { name: 'pooled', host })
    const heard: (string | undefined)[] = []
    node.listener.listen('upesi_test', (payload) => heard.push(payload))
    try {
      if (more.DATABASE_LISTEN_URL !== undefined && host === 'server') {
        await waitFor(async () => heard.length > 0)
        await node.db.execute(sql`select pg_notify('upesi_test', 'said')`)
        await waitFor(async () => heard.includes('said'))
      }
      return await countListeners(node.db, 'pooled')
    } finally {
      await node.close()
    }
  }
  const own = { DATABASE_LISTEN_URL: empty.connectionString }
  assert.equal(await listeners('server', {}), 0)
  assert.equal(await listeners('server', own), 1)
  assert.equal(await listeners('sandbox', own), 0)
})

test('a later start keeps the key, takes the new secret and repairs what a crash left out', async () => {
  const encryption = { DB_ENCRYPTION_SECRET: Buffer.alloc(32, 3).toString('base64') }
  const first = await open(encryption)
  const lost = uuidv7()
  await first.db.execute(
    sql`insert into assets (id, tenant_id, code, scale) values (${lost}, ${operatorTenantId}, 'LOST', 0)`,
  )
  await first.close()
  const second = await open({
    ...encryption,
    ADMIN_API_SECRET: 'rotated',
    // The start before the first one of this test sealed with it.
    ADMIN_API_SECRET_PREVIOUS: 'admin secret',
  })
  assert.deepEqual(second.instanceKeys.published(), first.instanceKeys.published())
  assert.equal((await getTenant(second, operatorTenantId)).apiSecret, 'rotated')
  assert.equal(await getAssetLiquidity(second, { id: lost }), 0n)
  const asset = await createAsset(second, { tenantId: operatorTenantId, code: 'USD', scale: 2 })
  assert.equal(await getAssetLiquidity(second, asset), 0n)
  assert.deepEqual(Object.keys(second.methods).sort(), ['ILP', 'LOCAL'])
  await second.close()
})

test('what was sealed with a key that is not given stops the start, in words', async () => {
  const refused = (more: Record<string, string>) =>
    assert.rejects(open(more), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /sealed with the key [0-9a-f]{16}.*DB_ENCRYPTION_SECRET_PREVIOUS/)
      assert.doesNotMatch(error.message, /admin secret|rotated/)
      return true
    })
  await refused({ ADMIN_API_SECRET: 'rotated' })
  await refused({ DB_ENCRYPTION_SECRET: Buffer.alloc(32, 4).toString('base64') })
})

test('every sealed column is among those that are sealed anew', async () => {
  const db = createDb({ connectionString: empty.connectionString })
  const stored = await db.many(
    (row) => `${row.table_name}.${row.column_name}`,
    sql`select table_name, column_name from information_schema.columns
      where table_schema = 'public' and column_name like '%sealed%' order by 1, 2`,
  )
  assert.deepEqual(
    sealedResourceColumns.map(({ table, column }) => `${table}.${column}`).sort(),
    stored.sort(),
  )
  await db.close()
})

test('behind a pooler no session keeps anything: no named statement, no setting, no LISTEN', async (t) => {
  const database = await createTestDatabase('resources')
  t.after(() => database.drop())
  const start = (more: Record<string, string>) =>
    createNodeContext(configFor(database.connectionString, { DATABASE_POOL_SIZE: '1', ...more }), {
      name: 'test',
    })
  const ofSession = sql`
    select (select count(*) from pg_prepared_statements)::integer as prepared, current_setting('enable_seqscan') as planned,
      (select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen %')::integer as listening`
  const toText = (row: { prepared: number; planned: string; listening: number }) =>
    [row.prepared > 0, row.planned, row.listening > 0] as const
  const direct = await start({})
  await direct.ready()
  // A LISTEN is asked for while the rest goes on.
  await waitFor(async () => (await direct.db.one((row) => toText(row as never), ofSession))[2])
  assert.deepEqual(await direct.db.one((row) => toText(row as never), ofSession), [true, 'off', true])
  await direct.close()
  const pooled = await start({ DATABASE_POOLER: 'true' })
  await pooled.ready()
  assert.deepEqual(await pooled.db.one((row) => toText(row as never), ofSession), [false, 'on', false])
  await pooled.close()
})

test('a sandbox that was frozen for long uses none of the connections that were forgotten meanwhile', async () => {
  const database = await createTestDatabase('resources')
  const proxy = await startDatabaseProxy(database.connectionString)
  const node = await createNodeContext(configFor(proxy.connectionString), { name: 'frozen', host: 'sandbox' })
  const ready = () => Promise.all([node.ready(), node.ready(), node.ready()])
  try {
    await ready()
    await node.invocation.end()
    proxy.forget()
    const laterMs = Date.now() + 60_000
    const later = mock.method(Date, 'now', () => laterMs)
    try {
      await node.invocation.begin()
      await ready()
    } finally {
      later.mock.restore()
    }
  } finally {
    await node.close()
    await proxy.close()
    await database.drop()
  }
})
