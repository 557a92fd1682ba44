import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { createDb, type DbPool } from './db.ts'
import { deriveId } from './ids.ts'
import { InvalidPage, listPage, type Page, readPage } from './paging.ts'
import { rawSql, sql } from './sql.ts'

let database: TestDatabase
let db: DbPool
/** Oldest first: 25 rows, two to a moment, so that the id decides within each. */
const rows = Array.from({ length: 25 }, (_, index) => ({
  id: deriveId('paging-test', index),
  createdAt: new Date(Date.UTC(2031, 0, 1 + Math.floor(index / 2))),
})).sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : 1))
const ids = rows.map(({ id }) => id)

before(async () => {
  database = await createTestDatabase('empty')
  db = createDb({ connectionString: database.connectionString })
  await db.execute(
    sql`create table things (id uuid primary key, kind text not null, created_at timestamptz not null)`,
  )
  for (const { id, createdAt } of rows)
    await db.execute(sql`insert into things values (${id}, 'shown', ${createdAt})`)
  // Another kind in between must never be seen, nor be counted as a neighbour.
  for (const day of [0, 5, 40])
    await db.execute(
      sql`insert into things values (${deriveId('hidden', day)}, 'hidden', ${new Date(Date.UTC(2031, 0, day))})`,
    )
})
after(async () => {
  await db.close()
  await database.drop()
})

const list = (page: Page) =>
  listPage(
    db,
    {
      map: (row) => row.id as string,
      columns: rawSql('t.id'),
      alias: 't',
      tables: ['things'],
      where: [sql`t.kind = ${'shown'}`],
    },
    page,
  )

for (const sortOrder of ['ASC', 'DESC'] as const) {
  const sorted = sortOrder === 'ASC' ? ids : [...ids].reverse()

  test(`${sortOrder}: forward pages are exactly the sorted list, cut`, async () => {
    const seen: string[] = []
    let cursor: string | undefined
    for (let pages = 0; pages < 10; pages++) {
      const page = await list({ first: 7, sortOrder, ...(cursor !== undefined && { after: cursor }) })
      assert.equal(page.hasPreviousPage, seen.length > 0)
      seen.push(...page.items)
      assert.equal(page.hasNextPage, seen.length < sorted.length)
      cursor = page.items.at(-1)
      if (!page.hasNextPage) break
    }
    assert.deepEqual(seen, sorted)
  })

  test(`${sortOrder}: backward pages come in the same order`, async () => {
    const seen: string[] = []
    let cursor = sorted.at(-1)!
    for (let pages = 0; pages < 10; pages++) {
      const page = await list({ last: 7, before: cursor, sortOrder })
      assert.equal(page.hasNextPage, true)
      seen.unshift(...page.items)
      assert.equal(page.hasPreviousPage, seen.length < sorted.length - 1)
      if (!page.hasPreviousPage) break
      cursor = page.items[0]!
    }
    assert.deepEqual(seen, sorted.slice(0, -1))
  })
}

test('without arguments the newest twenty come first', async () => {
  const page = await list({})
  assert.deepEqual(page.items, [...ids].reverse().slice(0, 20))
  assert.deepEqual([page.hasNextPage, page.hasPreviousPage], [true, false])
  assert.deepEqual((await list({ first: 0 })).items.length, 20)
})

test('after wins over before', async () => {
  const sorted = [...ids].reverse()
  const page = await list({ after: sorted[4]!, before: sorted[20]!, first: 2, last: 3 })
  assert.deepEqual(page.items, sorted.slice(5, 7))
})

test('a cursor that is no longer in the list still says where to go on, and the edge is known', async () => {
  const sorted = [...ids].reverse()
  assert.deepEqual(await list({ after: deriveId('hidden', 40), first: 5 }), {
    items: sorted.slice(0, 5),
    hasNextPage: true,
    hasPreviousPage: false,
  })
  assert.deepEqual(await list({ before: deriveId('hidden', 0), last: 5 }), {
    items: sorted.slice(-5),
    hasNextPage: false,
    hasPreviousPage: true,
  })
})

test('an unknown cursor gives an empty page with no neighbours', async () => {
  for (const page of [{ after: deriveId('nobody') }, { before: deriveId('nobody') }])
    assert.deepEqual(await list(page), { items: [], hasNextPage: false, hasPreviousPage: false })
})

test('pages that make no sense are refused', () => {
  for (const page of [
    { first: -1 },
    { first: 101 },
    { last: 101, before: deriveId('x') },
    { first: 1.5 },
    { last: 5 },
    { after: 'abc' },
    { before: '' },
    { after: "'; drop table things" },
  ])
    assert.throws(() => readPage(page), InvalidPage, JSON.stringify(page))
  assert.equal(readPage({ first: 100 }).size, 100)
})

test("a cursor's row must satisfy the cursor's own condition, and need not be listed", async () => {
  const after = async (kind: string) => {
    const page = await listPage(
      db,
      {
        map: (row) => row.id as string,
        columns: rawSql('t.id'),
        alias: 't',
        tables: ['things'],
        where: [sql`t.kind = ${'shown'}`],
        cursorWhere: [sql`t.kind = ${kind}`],
      },
      { after: deriveId('hidden', 40) },
    )
    return page.items.length
  }
  assert.equal(await after('hidden'), 20)
  assert.equal(await after('shown'), 0)
})
