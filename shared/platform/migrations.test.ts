import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { createDb, type DbPool } from './db.ts'
import { assertMigrated, CHECKSUMS_FILE, migrate, migrationChecksums } from './migrations.ts'
import { sql } from './sql.ts'

const table = 'test_migrations'
const ROWS = 200_000
const INDEX = 'create index concurrently things_text on things (text);'

let database: TestDatabase
let db: DbPool
let folder: string
/** A session that is in the middle of a transaction. */
let other: pg.Client

before(async () => {
  database = await createTestDatabase('empty')
  db = createDb({ connectionString: database.connectionString })
})
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'upesi-migrations-'))
  write('0001_things.sql', 'create table things (id bigint primary key, text text not null);')
  other = new pg.Client({ connectionString: database.connectionString })
  await other.connect()
})
afterEach(async () => {
  await other.end()
  rmSync(folder, { recursive: true })
  await db.execute(sql`drop table if exists things, test_migrations`)
})
after(async () => {
  await db.close()
  await database.drop()
})

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const run = () => migrate({ connectionString: database.connectionString, folder, table })
/** Validity of the index; `undefined` while there is none. */
const isValid = () =>
  db.maybe(
    (row) => row.indisvalid as boolean,
    sql`select indisvalid from pg_index where indexrelid = to_regclass('things_text')`,
  )
const insertThing = (id: number) => db.execute(sql`insert into things (id, text) values (${id}, 'new')`)
async function populate(): Promise<void> {
  await run()
  await db.execute(
    sql`insert into things (id, text) select n, md5(n::text) from generate_series(1, ${ROWS}::int) n`,
  )
  write('0002_index.concurrent.sql', `-- Why.\n${INDEX}\n`)
}
/** The building of the index has begun, and waits for a transaction that is older. */
async function holdUp(): Promise<void> {
  await other.query('begin')
  await other.query("insert into things (id, text) values (0, 'under way')")
}

test('F30: writes to a table of many rows go on while its index is being made', async () => {
  await populate()
  await holdUp()
  const migrated = run()
  await waitFor(async () => (await isValid()) === false)
  let slowestMs = 0
  const isDone = migrated.then(() => true)
  for (let id = ROWS + 1; ; id++) {
    const startedAt = performance.now()
    await insertThing(id)
    slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    if (id === ROWS + 100) {
      assert.equal(await isValid(), false, 'a hundred writes, and the index is not there yet')
      await other.query('commit')
    }
    if (await Promise.race([isDone, new Promise<false>((resolve) => setImmediate(resolve, false))])) break
  }
  assert.ok(slowestMs < 1_000, `${slowestMs} ms`)
  assert.equal(await isValid(), true)
  assert.deepEqual(await run(), [])
})

test('F30: an index whose making was cut off is made anew', async () => {
  await populate()
  await holdUp()
  const cut = assert.rejects(run())
  await waitFor(async () => (await isValid()) === false)
  await db.execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'upesi-migrate'`,
  )
  await cut
  await other.query('rollback')
  assert.equal(await isValid(), false, 'what is left is of no use')
  assert.deepEqual(await run(), ['0002_index.concurrent.sql'])
  assert.equal(await isValid(), true)
})

test('an index that is there already, because the end was not noted, is left as it is', async () => {
  await populate()
  await db.execute(sql`create index things_text on things (text)`)
  assert.deepEqual(await run(), ['0002_index.concurrent.sql'])
  write('0003_no_index.concurrent.sql', 'drop index concurrently if exists things_text;')
  assert.deepEqual(await run(), ['0003_no_index.concurrent.sql'])
  assert.equal(await isValid(), undefined)
})

test('processes that start while an index is being made wait for their turn without being in its way', async () => {
  await populate()
  await holdUp()
  const first = run()
  await waitFor(async () => (await isValid()) === false)
  const others = [run(), run()]
  await new Promise((resolve) => setTimeout(resolve, 300))
  await other.query('commit')
  assert.deepEqual(await Promise.all([first, ...others]), [['0002_index.concurrent.sql'], [], []])
})

test('F30: a change that has to wait for a table lets everybody else through, and is made when the table is free', async () => {
  await populate()
  await other.query('begin')
  await other.query('select from things limit 1')
  write('0003_column.sql', 'alter table things add column size integer;')
  let isDone = false
  const migrated = run().then((names) => {
    isDone = true
    return names
  })
  let slowestMs = 0
  const startedAt = performance.now()
  for (let id = ROWS + 1; performance.now() - startedAt < 1_800; id++) {
    const writtenAt = performance.now()
    await insertThing(id)
    slowestMs = Math.max(slowestMs, performance.now() - writtenAt)
  }
  assert.equal(isDone, false)
  assert.ok(slowestMs < 1_000, `${slowestMs} ms`)
  await other.query('commit')
  assert.deepEqual(await migrated, ['0002_index.concurrent.sql', '0003_column.sql'])
  await db.execute(sql`update things set size = 1 where id = 1`)
})

test('a migration that fails leaves nothing, and what came before it stays', async () => {
  write('0002_bad.sql', 'alter table things add column size integer; select 1 / 0;')
  await assert.rejects(run(), /division by zero/)
  assert.equal(await db.execute(sql`select from test_migrations`), 1)
  await assert.rejects(db.execute(sql`select size from things`), /does not exist/)
})

const compare = () => assertMigrated(db, { folder, table })
const refused = (code: string, message: RegExp) => (error: Error & { code?: string }) => {
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}

test('a start that does not migrate says what is pending, oldest first', async () => {
  write('0003_last.sql', 'alter table things add column last integer;')
  write('0002_next.sql', 'alter table things add column next integer;')
  const all = refused('pending_migrations', /0001_things\.sql, 0002_next\.sql, 0003_last\.sql/)
  await assert.rejects(compare(), all)
  await run()
  await compare()
  write('0004_newest.sql', 'select 1;')
  await assert.rejects(compare(), refused('pending_migrations', /\(0004_newest\.sql\)/))
})

for (const [way, ask] of [
  ['migrates', run],
  ['does not migrate', compare],
] as const) {
  test(`a database that is newer than this version is refused by a start that ${way}`, async () => {
    write('0002_next.sql', 'alter table things add column next integer;')
    await run()
    rmSync(join(folder, '0002_next.sql'))
    write('0003_ours.sql', 'alter table things add column ours integer;')
    await assert.rejects(ask(), refused('migration_mismatch', /has migration 0002_next\.sql/))
    await assert.rejects(db.execute(sql`select ours from things`), /does not exist/)
  })

  test(`a file that was changed after it was applied is refused by a start that ${way}`, async () => {
    await run()
    write('0001_things.sql', 'create table things (id bigint primary key);')
    await assert.rejects(ask(), refused('migration_mismatch', /0001_things\.sql was changed/))
  })
}

test('a start that does not migrate believes the list beside the files of a bundle', async () => {
  await run()
  write(CHECKSUMS_FILE, migrationChecksums(folder))
  await compare()
  write(CHECKSUMS_FILE, JSON.stringify({ '0001_things.sql': 'another' }))
  await assert.rejects(compare(), refused('migration_mismatch', /0001_things\.sql was changed/))
  write(CHECKSUMS_FILE, JSON.stringify({ ...JSON.parse(migrationChecksums(folder)), '0002_next.sql': 'new' }))
  await assert.rejects(compare(), refused('pending_migrations', /\(0002_next\.sql\)/))
})

for (const text of [
  'create index things_text on things (text);',
  'create index concurrently on things (text);',
  "update things set text = '';",
  '-- Nothing.',
])
  test(`a concurrent file holds nothing that cannot be begun anew: ${text}`, async () => {
    write('0002_index.concurrent.sql', text)
    await assert.rejects(run(), /concurrently|has statements/)
  })
