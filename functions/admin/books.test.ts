import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createDb, type DbPool, rawSql } from '../../shared/platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../shared/testing/index.ts'
import { openBooks } from './books.ts'

describe('books', () => {
  let database: TestDatabase
  let db: DbPool
  before(async () => {
    database = await createTestDatabase('resources')
    db = createDb({ connectionString: database.connectionString })
    for (const table of ['public.seen', 'ledger.seen'])
      await db.execute(rawSql(`create table ${table} (id int primary key, note text, more int)`))
    for (const table of ['public.seen', 'ledger.seen'])
      await db.execute(rawSql(`insert into ${table} values (1, 'one', 1), (2, 'two', 2), (3, null, 3)`))
  })
  after(async () => {
    await db.close()
    await database.drop()
  })

  const changes = {
    'a row more': `insert into % values (4, 'four', 4)`,
    'a row less': 'delete from % where id = 4',
    'another row for one': `with gone as (delete from % where id = 3) insert into % values (5, null, 3)`,
    'one value': `update % set note = 'ones' where id = 1`,
    'a value in place of none': `update % set note = '' where id = 5`,
    'values of two rows for each other': 'update % set more = 3 - more where id < 3',
  }
  for (const table of ['public.seen', 'ledger.seen'])
    for (const [name, change] of Object.entries(changes))
      it(`${table}: ${name} shows, and nothing else does`, async () => {
        const [read, readThose] = [openBooks(db), openBooks(db, ['one', 'two'])]
        const before = { all: await read(), those: await readThose() }
        assert.deepEqual(await read(), before.all)
        await db.execute(rawSql(change.replaceAll('%', table)))
        const after = { all: await read(), those: await readThose() }
        const differing = (one: string, other: string) => {
          const lines = one.split('\n')
          return other.split('\n').filter((line, index) => line !== lines[index])
        }
        const [line, ...others] = differing(before.all.sum, after.all.sum)
        assert.match(line ?? '', new RegExp(`^${table} `))
        assert.deepEqual(others, [])
        // Whoever has read nothing before sees the same.
        assert.deepEqual(await openBooks(db)(), after.all)
        assert.deepEqual(await openBooks(db, ['one', 'two'])(), after.those)
        const isAboutThose = name === 'one value' || name.startsWith('values')
        assert.equal(before.those.sum !== after.those.sum, isAboutThose)
      })

  it('counts rows of every table but two, also of one that is made later', async () => {
    const read = openBooks(db)
    const before = await read()
    assert.equal(before.counts['public.seen'], 3)
    await db.execute(rawSql('create table later as select 1 as one'))
    const after = await read()
    assert.equal(after.counts['public.later'], 1)
    assert.notEqual(after.sum, before.sum)
    const all = await db.one(
      (row) => Number(row.count),
      rawSql(
        `select count(*) from pg_class where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'ledger'::regnamespace)`,
      ),
    )
    assert.equal(Object.keys(after.counts).length, all - 2)
  })

  it('a row that is written as it was is the same', async () => {
    const read = openBooks(db)
    const before = await read()
    await db.execute(rawSql('update seen set note = note'))
    assert.deepEqual(await read(), before)
  })
})
