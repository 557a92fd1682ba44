import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { createDb, type DbPool } from './db.ts'
import { AssertionFailed, Fault } from './errors.ts'
import { rawSql, sql } from './sql.ts'

let database: TestDatabase
let db: DbPool
let other: DbPool
before(async () => {
  database = await createTestDatabase('empty')
  db = createDb({ connectionString: database.connectionString })
  other = createDb({ connectionString: database.connectionString })
  await db.execute(rawSql('create table things (n bigint primary key, amount numeric(20, 0))'))
})
after(async () => {
  await db.close()
  await other.close()
  await database.drop()
})

const count = () => db.one((row) => Number(row.count), sql`select count(*) from things`)
const isUnavailable = (error: unknown) =>
  error instanceof Fault && error.code === 'database_unavailable' && error.retryable

test('whole numbers beyond 2^53 come back as bigint, in arrays too', async () => {
  const row = await db.one(
    (found) => found,
    sql`select ${18446744073709551615n}::numeric as amount, ${9007199254740993n}::bigint as n,
        ${[1n, 9007199254740993n]}::bigint[] as list, '{}'::numeric[] as none`,
  )
  assert.deepEqual(row, {
    amount: 18446744073709551615n,
    n: 9007199254740993n,
    list: [1n, 9007199254740993n],
    none: [],
  })
})

test('a throw rolls back, and a transaction inside another joins it', async () => {
  await assert.rejects(
    db.tx(async (tx) => {
      await tx.tx((inner) => inner.execute(sql`insert into things (n) values (1)`))
      throw new Error('no')
    }),
    /no/,
  )
  assert.equal(await count(), 0)
})

test('a transaction whose failure was swallowed is not taken for committed', async () => {
  await assert.rejects(
    db.tx(async (tx) => {
      await tx.execute(sql`insert into things (n) values (2)`)
      await tx.execute(sql`insert into things (n) values (2)`).catch(() => undefined)
    }),
    AssertionFailed,
  )
  assert.equal(await count(), 0)
})

test('a connection that is cut between two queries of a transaction is a retryable fault, and the pool goes on', async () => {
  const cut = async (pid: number) => {
    await other.execute(sql`select pg_terminate_backend(${pid}::int)`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await assert.rejects(
    db.tx(async (tx) => {
      await cut(await tx.one((row) => row.pid as number, sql`select pg_backend_pid() as pid`))
      await tx.execute(sql`insert into things (n) values (3)`)
    }),
    isUnavailable,
  )
  assert.equal(await count(), 0)
})

test('a connection that is cut during a query is a retryable fault', async () => {
  await assert.rejects(
    db.tx(async (tx) => {
      const pid = await tx.one((row) => row.pid as number, sql`select pg_backend_pid() as pid`)
      const sleeping = tx.execute(sql`select pg_sleep(5)`)
      await Promise.all([sleeping, other.execute(sql`select pg_terminate_backend(${pid}::int)`)])
    }),
    isUnavailable,
  )
  assert.equal(await count(), 0)
})

test('timestamps come back to the millisecond, however the server writes them', async () => {
  const texts = [
    '2026-11-20 14:05:55.123+00',
    '2026-11-20 14:05:55.1+00',
    '2026-11-20 14:05:55.123999+00',
    '2026-11-20 14:05:55+00',
    '2026-02-28 23:59:59.999+00',
    '2024-02-29 00:00:00+00',
    '0101-01-01 00:00:00+00',
    '1969-12-31 23:59:59.5+00',
    '10000-01-01 00:00:00+00',
  ]
  const read = (connection: Pick<DbPool, 'one'>, text: string) =>
    connection.one(
      (row) => [row.at, Number(row.ms)] as [Date, number],
      sql`select ${text}::timestamptz as at, floor(extract(epoch from ${text}::timestamptz) * 1000) as ms`,
    )
  for (const zone of ['UTC', 'Africa/Nairobi', 'Asia/Kathmandu'])
    await db.tx(async (tx) => {
      await tx.execute(rawSql(`set local timezone = '${zone}'`))
      for (const text of texts) {
        const [at, milliseconds] = await read(tx, text)
        assert.equal(at.getTime(), milliseconds, `${text} in ${zone}`)
      }
    })
  const [forever] = await db.many((row) => row.at, sql`select 'infinity'::timestamptz as at`)
  assert.equal(forever, Number.POSITIVE_INFINITY)
})
