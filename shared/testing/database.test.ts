import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDb, sql } from '../platform/index.ts'
import { createTestDatabase } from './index.ts'

test('a test database has the migrations, is separate from others and can be dropped while in use', async () => {
  const [first, second] = await Promise.all([
    createTestDatabase('resources'),
    createTestDatabase('resources'),
  ])
  const db = createDb({ connectionString: first.connectionString })
  const other = createDb({ connectionString: second.connectionString })
  try {
    await db.execute(sql`insert into jobs (queue, key) values ('webhooks', gen_random_uuid())`)
    const count = (on: typeof db) => on.one((row) => row.count as bigint, sql`select count(*) from jobs`)
    assert.equal(await count(db), 1n)
    assert.equal(await count(other), 0n)
    await other.close()
  } finally {
    await first.drop()
    await second.drop()
    await db.close()
  }
})

test('an empty test database has no tables', async () => {
  const database = await createTestDatabase('empty')
  const db = createDb({ connectionString: database.connectionString })
  try {
    const tables = sql`select count(*) from information_schema.tables where table_schema = 'public'`
    assert.equal(await db.one((row) => row.count as bigint, tables), 0n)
  } finally {
    await db.close()
    await database.drop()
  }
})
