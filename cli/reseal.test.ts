import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sealedAuthColumns } from '../functions/auth/sealed-columns.ts'
import {
  createTenant as createAuthTenant,
  findApiSecrets,
  listTenantsOfIdp,
} from '../functions/auth/tenants/index.ts'
import { createAsset } from '../shared/assets/index.ts'
import {
  createNodeContext,
  type NodeContext,
  nodeConfig,
  nodeConfigChecks,
  sealedResourceColumns,
} from '../shared/node-context/index.ts'
import { createPeer, getPeer } from '../shared/peers/index.ts'
import {
  ConfigError,
  createDb,
  createSecretBox,
  type DbPool,
  deriveId,
  type Environment,
  ensureSecretKeys,
  loadConfig,
  rawSql,
  resealColumns,
  silentLogger,
  sql,
  systemClock,
  uuidv7,
} from '../shared/platform/index.ts'
import { createTenant, getTenant, updateTenant } from '../shared/tenants/index.ts'
import { createTestDatabase, type TestDatabase } from '../shared/testing/index.ts'
import { replaceWebhookSecret } from '../shared/webhooks/index.ts'
import { resealDatabases } from './reseal-databases.ts'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const operatorTenantId = deriveId('operator')
const ADMIN = 'admin secret'
/** `kept`, sealed for `here` with `before` by a release that knew one key only. */
const BEFORE = 'v1.BwcHBwcHBwcHBwcH-rDzt_bwdMzyHt21c6rZE-pyVJQ'
const NEW = { DB_ENCRYPTION_SECRET: key(2) }
const OLD_AND_NEW = { DB_ENCRYPTION_SECRET: key(1), DB_ENCRYPTION_SECRET_PREVIOUS: key(2) }
const NEW_AND_OLD = { DB_ENCRYPTION_SECRET: key(2), DB_ENCRYPTION_SECRET_PREVIOUS: key(1) }

let resources: TestDatabase
let auth: TestDatabase
let authDb: DbPool
const opened: NodeContext[] = []

before(async () => {
  resources = await createTestDatabase('resources')
  auth = await createTestDatabase('auth')
  authDb = createDb({ connectionString: auth.connectionString })
})
after(async () => {
  for (const node of opened) await node.close()
  await authDb.close()
  await resources.drop()
  await auth.drop()
})

/** A process of the node. */
async function start(keys: Environment): Promise<NodeContext> {
  const env = {
    DATABASE_URL: resources.connectionString,
    LOG_LEVEL: 'silent',
    USE_TIGERBEETLE: 'false',
    OPERATOR_TENANT_ID: operatorTenantId,
    ADMIN_API_SECRET: ADMIN,
    OPEN_PAYMENTS_URL: 'https://op.example',
    AUTH_SERVER_GRANT_URL: 'https://auth.example',
    KEY_ID: 'key-1',
    ILP_ADDRESS: 'test.node',
    STREAM_SECRET: key(9),
    WEBHOOK_URL: 'http://wallet.example/webhooks',
    // So that every read comes from the database.
    LOCAL_CACHE_DURATION_MS: '0',
    ...keys,
  }
  const node = await createNodeContext(loadConfig(nodeConfig, env, nodeConfigChecks), { name: 'test' })
  opened.push(node)
  return node
}
const reseal = (keys: Environment, ...names: ('resources' | 'auth')[]) =>
  resealDatabases(
    {
      ADMIN_API_SECRET: ADMIN,
      DATABASE_URL: resources.connectionString,
      AUTH_DATABASE_URL: auth.connectionString,
      ...keys,
    },
    names,
    silentLogger,
  )
const sealedKeyIds = async (db: DbPool, columns = sealedResourceColumns) => {
  const ids = new Set<string>()
  for (const { table, column } of columns)
    for (const sealed of await db.many(
      (row) => row.sealed as string,
      sql`select ${rawSql(column)} as sealed from ${rawSql(table)} where ${rawSql(column)} is not null`,
    ))
      ids.add(sealed.split('.')[1] ?? '')
  return [...ids]
}

describe('the encryption secret changes while the node runs', () => {
  const tenantOf = (node: NodeContext, n: number) =>
    createTenant(node, {
      apiSecret: `secret ${n}`,
      idpSecret: `idp ${n}`,
      idpConsentUrl: 'https://consent.example',
      settings: [{ key: 'WALLET_ADDRESS_URL', value: `https://op.example/${n}` }],
    })

  /** A whole change of keys, for what comes after one. */
  const rotate = async (): Promise<NodeContext> => {
    await start(OLD_AND_NEW)
    const node = await start(NEW_AND_OLD)
    assert.ok((await reseal(NEW_AND_OLD, 'resources')).isComplete)
    return node
  }

  test('nothing is unreadable at any moment, and in the end the old one is not needed', async () => {
    const old = await start(OLD_AND_NEW)
    const asset = await createAsset(old, { tenantId: operatorTenantId, code: 'USD', scale: 2 })
    const tenants: Awaited<ReturnType<typeof tenantOf>>[] = []
    // Not all at once: whoever waits long for a connection is refused one.
    while (tenants.length < 300)
      tenants.push(
        ...(await Promise.all(Array.from({ length: 50 }, (_, n) => tenantOf(old, tenants.length + n)))),
      )
    const peer = await createPeer(old, {
      assetId: asset.id,
      staticIlpAddress: 'test.peer',
      outgoing: { endpoint: 'http://peer.example', authToken: 'token-of-the-peer' },
    })
    for (const secret of ['webhooks before', 'webhooks now'])
      await replaceWebhookSecret(old, { tenantId: tenants[0]!.id, secret, overlapMs: 60_000 })
    const grant = sealedResourceColumns.find(({ table }) => table === 'remote_grants')!
    const row = {
      tenant_id: operatorTenantId,
      auth_server: 'https://a.example',
      access_type: 'quote',
      actions: 'read',
    }
    await old.db.execute(sql`
      insert into remote_grants (id, tenant_id, auth_server, access_type, actions, access_token_sealed, manage_url)
      values (${uuidv7()}, ${row.tenant_id}, ${row.auth_server}, ${row.access_type}, ${row.actions},
        ${old.secretBox.seal('remote token', grant.place(row))}, 'https://a.example/token')`)

    const renewed = await start(NEW_AND_OLD)
    assert.equal((await sealedKeyIds(renewed.db)).length, 2, 'the start wrote under the new key')
    let isRunning = true
    let reads = 0
    const readers = [old, renewed].map(async (node) => {
      while (isRunning) {
        const n = reads++ % tenants.length
        assert.match(
          (await getTenant(node, tenants[n]!.id)).apiSecret,
          new RegExp(`^(secret ${n}|changed ${tenants[n]!.id})$`),
        )
        assert.equal((await getPeer(node, 'all', peer.id)).outgoing.authToken, 'token-of-the-peer')
      }
    })
    const writer = (async () => {
      for (const tenant of tenants.slice(0, 60))
        await updateTenant(renewed, tenant.id, { apiSecret: `changed ${tenant.id}` })
    })()
    const first = await reseal(NEW_AND_OLD, 'resources')
    await writer
    isRunning = false
    await Promise.all(readers)
    assert.equal(first.isComplete, true, first.lines.join('\n'))
    assert.ok(reads > 20)
    assert.deepEqual(await sealedKeyIds(renewed.db), [createSecretBox(key(2)).keyId])

    const afterwards = await start(NEW)
    assert.equal((await getTenant(afterwards, tenants[0]!.id)).apiSecret, `changed ${tenants[0]!.id}`)
    assert.equal((await getTenant(afterwards, tenants[299]!.id)).idpSecret, 'idp 299')
    assert.equal((await getPeer(afterwards, 'all', peer.id)).outgoing.authToken, 'token-of-the-peer')
    assert.deepEqual(afterwards.instanceKeys.published(), old.instanceKeys.published())
    const again = await reseal(NEW, 'resources')
    assert.ok(again.isComplete)
    assert.ok(
      again.lines.every((line) => !/: [1-9]\d* sealed anew/.test(line)),
      again.lines.join('\n'),
    )
  })
  test('a start with the old one alone is refused with words, and changes nothing', async () => {
    const { db } = await rotate()
    const ids = await sealedKeyIds(db)
    await assert.rejects(start({ DB_ENCRYPTION_SECRET: key(1) }), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(
        error.message,
        new RegExp(`key ${createSecretBox(key(2)).keyId}.*DB_ENCRYPTION_SECRET_PREVIOUS`),
      )
      return true
    })
    assert.deepEqual(await sealedKeyIds(db), ids)
  })
  test('it is noted also where no process has started with the new one yet', async () => {
    const { db } = await rotate()
    const next = { DB_ENCRYPTION_SECRET: key(3), DB_ENCRYPTION_SECRET_PREVIOUS: key(2) }
    assert.ok((await reseal(next, 'resources')).isComplete)
    const ids = await sealedKeyIds(db)
    assert.deepEqual(ids, [createSecretBox(key(3)).keyId])
    // Nothing that it has is readable for it, and it would seal more.
    await assert.rejects(start(NEW), ConfigError)
    assert.deepEqual(await sealedKeyIds(db), ids)
    assert.ok((await reseal({ ...NEW, DB_ENCRYPTION_SECRET_PREVIOUS: key(3) }, 'resources')).isComplete)
  })
  test('a text that nobody can read is named, and keeps the other keys', async () => {
    const { db } = await rotate()
    const { id } = await tenantOf(await start(NEW), 1_000)
    await db.execute(sql`update tenants set idp_secret_sealed = 'v2.0000000000000000.AAAA' where id = ${id}`)
    await start(NEW_AND_OLD)
    await db.execute(sql`insert into secret_keys (id) values (${createSecretBox(key(1)).keyId})`)
    const { lines, isComplete } = await reseal(NEW_AND_OLD, 'resources')
    assert.equal(isComplete, false)
    assert.match(lines.join('\n'), new RegExp(`tenants.idp_secret_sealed: NOT READABLE ${id}`))
    await assert.rejects(start(NEW), ConfigError)
  })
})

describe('the authorization server', () => {
  const box = (...[first = '', ...further]: string[]) => ({
    db: authDb,
    secretBox: createSecretBox(first, further),
    log: silentLogger,
  })
  test('every sealed column is among those that are sealed anew', async () => {
    const stored = await authDb.many(
      (row) => `${row.table_name}.${row.column_name}`,
      sql`select table_name, column_name from information_schema.columns
        where table_schema = 'public' and column_name like '%sealed%'`,
    )
    assert.deepEqual(sealedAuthColumns.map(({ table, column }) => `${table}.${column}`).sort(), stored.sort())
  })
  test('finds tenants by what their identity provider shows before, while and after', async () => {
    const ids = { before: uuidv7(), during: uuidv7() }
    const tenant = (id: string) => ({
      id,
      apiSecret: `api ${id}`,
      idpConsentUrl: 'https://c.example',
      idpSecret: id,
    })
    const old = box(key(1), key(2))
    const renewed = box(key(2), key(1))
    for (const ctx of [old, renewed]) await ensureSecretKeys(authDb, ctx.secretBox, sealedAuthColumns)
    await createAuthTenant(old, tenant(ids.before))
    await createAuthTenant(renewed, tenant(ids.during))
    for (const ctx of [old, renewed])
      for (const id of Object.values(ids)) assert.deepEqual(await listTenantsOfIdp(ctx, id), [id])
    const { isComplete, lines } = await reseal(NEW_AND_OLD, 'auth')
    assert.ok(isComplete, lines.join('\n'))
    for (const ctx of [old, renewed, box(key(2))])
      for (const id of Object.values(ids)) {
        assert.deepEqual(await listTenantsOfIdp(ctx, id), [id])
        assert.deepEqual(await findApiSecrets({ ...ctx, clock: systemClock }, id), [`api ${id}`])
      }
    await ensureSecretKeys(authDb, createSecretBox(key(2)), sealedAuthColumns)
    await assert.rejects(ensureSecretKeys(authDb, createSecretBox(key(1)), sealedAuthColumns), ConfigError)
  })
})

describe('a node without an encryption secret', () => {
  test('changes ADMIN_API_SECRET, on which everything hangs, or takes an encryption secret', async () => {
    const id = uuidv7()
    const ctx = { db: authDb, secretBox: createSecretBox(ADMIN), log: silentLogger }
    await createAuthTenant(ctx, { id, apiSecret: 'kept' })
    const from = { ADMIN_API_SECRET: 'next admin secret', ADMIN_API_SECRET_PREVIOUS: ADMIN }
    const { isComplete, lines } = await reseal({ ...from, DB_ENCRYPTION_SECRET_PREVIOUS: key(2) }, 'auth')
    assert.ok(isComplete, lines.join('\n'))
    assert.deepEqual(
      await findApiSecrets(
        { ...ctx, clock: systemClock, secretBox: createSecretBox('next admin secret') },
        id,
      ),
      ['kept'],
    )
    assert.ok((await reseal({ ...NEW, ADMIN_API_SECRET: 'next admin secret' }, 'auth')).isComplete)
    assert.deepEqual(
      await findApiSecrets({ ...ctx, clock: systemClock, secretBox: createSecretBox(key(2)) }, id),
      ['kept'],
    )
  })
  test('of a release before: a wrong secret is noticed although texts name no key', async () => {
    const texts = {
      table: 'old_texts',
      column: 'sealed',
      key: 'id',
      keyType: 'text' as const,
      place: () => 'here',
    }
    await authDb.execute(sql`create table old_texts (id text primary key, sealed text)`)
    await authDb.execute(sql`delete from secret_keys`)
    // Made by the release before, with the secret `before`.
    await authDb.execute(sql`insert into old_texts values ('a', ${BEFORE}), ('b', null)`)
    await assert.rejects(ensureSecretKeys(authDb, createSecretBox('other'), [texts]), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /does not open the secrets/)
      return true
    })
    await ensureSecretKeys(authDb, createSecretBox('new', ['before']), [texts])
    const { columns, isComplete } = await resealColumns(authDb, createSecretBox('new', ['before']), [texts])
    assert.deepEqual([columns[0]?.resealed, isComplete], [1, true])
  })
  test('what is written between reading and writing stays', async () => {
    const texts = {
      table: 'changing_texts',
      column: 'sealed',
      key: 'id',
      keyType: 'text' as const,
      place: () => 'here',
    }
    const secretBox = createSecretBox('new', ['before'])
    const newest = createSecretBox('before').seal('written meanwhile', 'here')
    await authDb.execute(sql`create table changing_texts (id text primary key, sealed text)`)
    await authDb.execute(sql`insert into changing_texts values ('a', ${BEFORE})`)
    // Somebody writes as soon as the texts have been read.
    const overtaken: DbPool = {
      ...authDb,
      async many(map, query) {
        const rows = await authDb.many(map, query)
        await authDb.execute(sql`update changing_texts set sealed = ${newest}`)
        return rows
      },
    }
    assert.equal((await resealColumns(overtaken, secretBox, [texts])).isComplete, false)
    assert.ok((await resealColumns(authDb, secretBox, [texts])).isComplete)
    const kept = await authDb.one((row) => row.sealed as string, sql`select sealed from changing_texts`)
    assert.equal(secretBox.open(kept, 'here'), 'written meanwhile')
  })
})
