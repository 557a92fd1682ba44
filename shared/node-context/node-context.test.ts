import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createAsset, getAssetLiquidity } from '../assets/index.ts'
import { jwkOf } from '../http-signatures/index.ts'
import {
  ConfigError,
  createDb,
  createSecretBox,
  type DbPool,
  deriveId,
  loadConfig,
  PendingMigrations,
  silentLogger,
  sql,
  uuidv7,
} from '../platform/index.ts'
import { getTenant } from '../tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { nodeConfig, nodeConfigChecks } from './config.ts'
import { loadInstanceKey } from './instance-key.ts'
import type { NodeContext } from './model.ts'
import { createNodeContext } from './node-context.ts'

let empty: TestDatabase
let folder: string
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
  folder = await mkdtemp(join(tmpdir(), 'upesi-node-context-'))
})
after(async () => {
  await empty.drop()
  await rm(folder, { recursive: true })
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
  assert.equal(new Set(nodes.map(({ instanceKey }) => instanceKey.jwk.x)).size, 1)
  assert.equal(nodes[0]?.instanceKey.jwk.kid, 'key-1')
  for (const node of nodes) assert.equal((await getTenant(node, operatorTenantId)).apiSecret, 'admin secret')
  assert.equal(
    await nodes[0]!.db.one((row) => Number(row.n), sql`select count(*) as n from instance_keys`),
    1,
  )
  await Promise.all(nodes.map((node) => node.close()))
})

test('a later start keeps the key, takes the new secret and repairs what a crash left out', async () => {
  const encryption = { DB_ENCRYPTION_SECRET: Buffer.alloc(32, 3).toString('base64'), KEY_ID: 'key-2' }
  const first = await open(encryption)
  const lost = uuidv7()
  await first.db.execute(
    sql`insert into assets (id, tenant_id, code, scale) values (${lost}, ${operatorTenantId}, 'LOST', 0)`,
  )
  await first.close()
  const second = await open({ ...encryption, ADMIN_API_SECRET: 'rotated' })
  assert.deepEqual(second.instanceKey.jwk, first.instanceKey.jwk)
  assert.equal((await getTenant(second, operatorTenantId)).apiSecret, 'rotated')
  assert.equal(await getAssetLiquidity(second, { id: lost }), 0n)
  const asset = await createAsset(second, { tenantId: operatorTenantId, code: 'USD', scale: 2 })
  assert.equal(await getAssetLiquidity(second, asset), 0n)
  assert.deepEqual(Object.keys(second.methods).sort(), ['ILP', 'LOCAL'])
  await second.close()
})

test('the key of PRIVATE_KEY_FILE is used, and an unusable file stops the start', async () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const files = {
    good: join(folder, 'good.pem'),
    other: join(folder, 'other.pem'),
    garbage: join(folder, 'garbage.pem'),
  }
  await writeFile(files.good, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(
    files.other,
    generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
  )
  await writeFile(files.garbage, 'not a key')
  const node = await open({ PRIVATE_KEY_FILE: files.good })
  assert.deepEqual(node.instanceKey.jwk, jwkOf(privateKey, 'key-1'))
  await node.close()
  for (const file of [files.other, files.garbage, join(folder, 'absent.pem')])
    await assert.rejects(
      open({ PRIVATE_KEY_FILE: file }),
      (error) => error instanceof ConfigError && error.problems[0]?.startsWith('PRIVATE_KEY_FILE') === true,
      file,
    )
})

test('a stored key is sealed, and a changed encryption secret does not replace it silently', async () => {
  const db: DbPool = createDb({ connectionString: empty.connectionString })
  const ctx = { db, secretBox: createSecretBox('one'), log: silentLogger }
  const key = await loadInstanceKey(ctx, { keyId: 'sealed' })
  assert.deepEqual((await loadInstanceKey(ctx, { keyId: 'sealed' })).jwk, key.jwk)
  const stored = await db.one(
    (row) => row.private_key_sealed as string,
    sql`select private_key_sealed from instance_keys where kid = 'sealed'`,
  )
  assert.doesNotMatch(stored, /PRIVATE KEY/)
  await assert.rejects(loadInstanceKey({ ...ctx, secretBox: createSecretBox('two') }, { keyId: 'sealed' }), {
    code: 'secret_unreadable',
  })
  await db.close()
})
