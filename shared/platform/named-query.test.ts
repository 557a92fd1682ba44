import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { queryNamed } from './named-query.ts'

let database: TestDatabase
let pool: pg.Pool
let client: pg.PoolClient
/** What the server said, by name of message. */
let heard: string[] = []
before(async () => {
  database = await createTestDatabase('empty')
  pool = new pg.Pool({ connectionString: database.connectionString, max: 2 })
  await pool.query('create table things (n integer primary key, word text)')
})
beforeEach(async () => {
  await pool.query('truncate things')
  client = await pool.connect()
  // One that is given up while the server works for it may hear of the end of its database.
  client.on('error', () => undefined)
  heard = []
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  for (const name of ['rowDescription', 'noData', 'parseComplete'])
    connection.on(name, () => heard.push(name))
})
// Each test has a connection of its own.
afterEach(() => client.release(true))
after(async () => {
  await pool.end()
  await database.drop()
})

const select = { name: 'select', text: 'select n, word, n + $1::int as more from things order by n' }
const insert = { name: 'insert', text: 'insert into things (n, word) values ($1, $2)' }

test('rows are described once for each connection, and read alike every time', async () => {
  assert.deepEqual((await queryNamed(client, { ...select, values: [1] })).rows, [])
  await client.query(`insert into things values (1, 'one'), (2, null)`)
  for (const more of [1, 10]) {
    const { rows, rowCount, fields, command } = await queryNamed(client, { ...select, values: [more] })
    assert.deepEqual(rows, [
      { n: 1, word: 'one', more: 1 + more },
      { n: 2, word: null, more: 2 + more },
    ])
    assert.deepEqual(
      [rowCount, command, fields.map(({ name }) => name)],
      [2, 'SELECT', ['n', 'word', 'more']],
    )
  }
  assert.deepEqual(heard, ['parseComplete', 'rowDescription'])

  const other = await pool.connect()
  const { rows } = await queryNamed(other, { ...select, values: [0] })
  other.release()
  assert.deepEqual(rows, [
    { n: 1, word: 'one', more: 1 },
    { n: 2, word: null, more: 2 },
  ])
})

test('a statement without rows is asked about once, and a failure changes nothing', async () => {
  for (const n of [1, 2])
    assert.equal((await queryNamed(client, { ...insert, values: [n, 'a'] })).rowCount, 1)
  const isDuplicate = (error: unknown) =>
    error instanceof pg.DatabaseError &&
    error.code === '23505' &&
    /duplicate key.*named-query\.test\.ts/s.test(error.stack ?? '')
  await assert.rejects(queryNamed(client, { ...insert, values: [1, 'b'] }), isDuplicate)
  assert.equal((await queryNamed(client, { ...insert, values: [3, 'c'] })).rowCount, 1)
  assert.deepEqual(heard, ['parseComplete', 'noData'])
})

test('a statement that fails the first time is described when it does not', async () => {
  const divide = { name: 'divide', text: 'select 6 / $1::int as part' }
  await assert.rejects(queryNamed(client, { ...divide, values: [0] }), /division by zero/)
  for (const by of [2, 3])
    assert.deepEqual((await queryNamed(client, { ...divide, values: [by] })).rows, [{ part: 6 / by }])
})

test('rows that become others are refused, never read as what they were', async () => {
  await client.query('create table changing (a integer, b text)')
  await client.query(`insert into changing values (1, '2')`)
  const all = { name: 'all', text: 'select * from changing', values: [] }
  assert.deepEqual((await queryNamed(client, all)).rows, [{ a: 1, b: '2' }])
  for (const change of ['alter column a type text', 'rename column a to c', 'add column d integer']) {
    await client.query(`alter table changing ${change}`)
    await assert.rejects(queryNamed(client, all), /cached plan must not change result type/, change)
  }
})

test('who waited long enough hears of it', async () => {
  const sleep = { name: 'sleep', text: 'select pg_sleep($1) is null as slept' }
  assert.equal((await queryNamed(client, { ...sleep, values: [0], timeoutMs: 5_000 })).rows.length, 1)
  await assert.rejects(queryNamed(client, { ...sleep, values: [5], timeoutMs: 50 }), /timeout/)
  assert.equal((await queryNamed(pool, { ...sleep, values: [0] })).rows.length, 1)
})
