import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createTestDatabase, type TestDatabase, waitFor } from '../testing/index.ts'
import { type BatchedStatement, batchedStatements, type Run } from './batched-statements.ts'
import { createDb, type DbPool } from './db.ts'
import { Fault } from './errors.ts'
import { rawSql, sql } from './sql.ts'
import { createTurnstile } from './turnstile.ts'

let database: TestDatabase
let db: DbPool
before(async () => {
  database = await createTestDatabase('empty')
  db = createDb({ connectionString: database.connectionString })
  await db.execute(
    rawSql('create table things (n bigint primary key, amount numeric not null check (amount >= 0))'),
  )
})
after(async () => {
  await db.close()
  await database.drop()
})

const isUnavailable = (error: unknown) => error instanceof Fault && error.code === 'database_unavailable'

const thingByNumber = (
  statements: (readonly string[])[],
): BatchedStatement<string, { n: bigint; amount: bigint }> => ({
  query: (keys) => {
    statements.push(keys)
    return sql`select asked.place, t.n, t.amount from unnest(${keys}::bigint[]) with ordinality asked (n, place)
      join things t on t.n = asked.n`
  },
  map: ({ n, amount }) => ({ n, amount }),
})

test('look-ups of one kind at one time are one statement, and each gets its own row', async () => {
  await db.execute(sql`insert into things select n, n * 10 from generate_series(9001, 9100) n`)
  const statements: (readonly string[])[] = []
  const lookup = thingByNumber(statements)
  const keys = ['9100', '9001', '1', '9050', '9001']
  const found = await Promise.all(keys.map((key) => db.batched(lookup, key)))
  assert.deepEqual(
    found.map((thing) => thing?.amount),
    [91000n, 90010n, undefined, 90500n, 90010n],
  )
  assert.deepEqual(statements, [keys])
})

test('kinds take turns: while one is under way the others gather, and the largest goes next', async () => {
  const sent: { keys: readonly unknown[]; answer(): void }[] = []
  const run: Run = ({ values }) =>
    new Promise((resolve) => {
      const answer = () => resolve({ rows: [] } as unknown as pg.QueryResult)
      sent.push({ keys: values[0] as string[], answer })
    })
  const batched = batchedStatements(run, createTurnstile({ patienceMs: 60_000, waitMsMax: 60_000 }))
  const kind = (): BatchedStatement<string, true> => ({
    query: (keys) => sql`select ${keys}`,
    map: () => true,
  })
  const [first, small, large] = [kind(), kind(), kind()]
  const asked = [batched(first, 'first')]
  await waitFor(() => sent[0])
  asked.push(batched(small, 'small'), batched(large, 'large'), batched(large, 'large too'))
  for (const [index, expected] of [['first'], ['large', 'large too'], ['small']].entries()) {
    const { keys, answer } = await waitFor(() => sent[index])
    assert.deepEqual(keys, expected)
    answer()
  }
  await Promise.all(asked)
})

test('a statement that waits for a lock holds up those of other kinds for a moment only', async () => {
  await db.execute(sql`insert into things values (9401, 1)`)
  const held = Promise.withResolvers<void>()
  const change = changeThings([])
  const locked = Promise.withResolvers<void>()
  const holder = db.tx(async (tx) => {
    await tx.execute(sql`update things set amount = 2 where n = 9401`)
    locked.resolve()
    await held.promise
  })
  await locked.promise
  let isChanged = false
  const changed = db.batched(change, { n: 9401, by: 1 }).then((amount) => {
    isChanged = true
    return amount
  })
  const lookup = thingByNumber([])
  for (let round = 0; round < 10; round++) assert.equal((await db.batched(lookup, '9001'))?.n, 9001n)
  assert.equal(isChanged, false)
  held.resolve()
  await holder
  assert.equal(await changed, 3n)
})

test('a key that no statement can hold fails alone', async () => {
  const lookup = thingByNumber([])
  const outcomes = await Promise.allSettled(
    ['9001', 'nonsense', '9002'].map((key) => db.batched(lookup, key)),
  )
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value?.n : 'failed')),
    [9001n, 'failed', 9002n],
  )
})

test('inside a transaction a look-up sees what the transaction wrote, and outside nobody does', async () => {
  const lookup = thingByNumber([])
  await db.tx(async (tx) => {
    await tx.execute(sql`insert into things values (9500, 1)`)
    const [inside, outside] = await Promise.all([tx.batched(lookup, '9500'), db.batched(lookup, '9500')])
    assert.equal(inside?.amount, 1n)
    assert.equal(outside, undefined)
  })
  assert.equal((await db.batched(lookup, '9500'))?.amount, 1n)
})

test('with the database away, look-ups fail as other queries do', async () => {
  const away = createDb({ connectionString: 'postgresql://nobody@127.0.0.1:9/nowhere' })
  const lookup = thingByNumber([])
  const outcomes = await Promise.allSettled(['1', '2'].map((key) => away.batched(lookup, key)))
  for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && isUnavailable(outcome.reason))
  await away.close()
})

test('a statement whose connection is lost, in whatever words, is not sent again for each item: it may have been carried out', async (t) => {
  const running = new Set<pg.Client>()
  const { query } = pg.Client.prototype
  t.mock.method(pg.Client.prototype, 'query', function (this: pg.Client, ...args: Parameters<typeof query>) {
    running.add(this)
    return query.apply(this, args)
  })
  const statements: (readonly number[])[] = []
  const slow: BatchedStatement<number, unknown> = {
    query: (items) => {
      statements.push(items)
      return sql`select 1 as place from pg_sleep(5)`
    },
    map: () => undefined,
  }
  const lost = createDb({ connectionString: database.connectionString })
  const asked = Promise.allSettled([1, 2].map((item) => lost.batched(slow, item)))
  await waitFor(() => running.size > 0)
  const gone = Object.assign(new Error('read EHOSTUNREACH'), { code: 'EHOSTUNREACH', syscall: 'read' })
  for (const { connection } of running as Set<pg.Client & { connection: { stream: Socket } }>)
    connection.stream.destroy(gone)
  for (const outcome of await asked) assert.ok(outcome.status === 'rejected' && isUnavailable(outcome.reason))
  assert.deepEqual(statements, [[1, 2]])
  await lost.close()
})

test('a server whose path leads nowhere is a database that is away', async () => {
  const away = createDb({ connectionString: 'postgresql://nobody@/nowhere?host=/etc/hostname' })
  await assert.rejects(away.execute(sql`select 1`), isUnavailable)
  await away.close()
})

interface Change {
  n: number
  by: number
}
/** `order`: in which the rows are locked. */
const changeThings = (statements: (readonly Change[])[], order = 'n'): BatchedStatement<Change, bigint> => ({
  query: (changes) => {
    statements.push(changes)
    return sql`
      with asked as (
        select * from unnest(${changes.map(({ n }) => n)}::bigint[], ${changes.map(({ by }) => by)}::numeric[])
          with ordinality asked (n, by, place)
      ), locked as materialized (
        select n, pg_sleep(0.05) from things where n in (select n from asked) order by ${rawSql(order)} for update
      )
      update things t set amount = t.amount + asked.by from asked join locked using (n) where t.n = asked.n
      returning asked.place, t.amount`
  },
  map: ({ amount }) => amount,
})

test('changes of one kind at one time are one statement; one that is refused takes nothing of the others with it', async () => {
  await db.execute(sql`insert into things select n, 10 from generate_series(9601, 9603) n`)
  const statements: (readonly Change[])[] = []
  const change = changeThings(statements)
  const amounts = await Promise.all([9601, 9602].map((n) => db.batched(change, { n, by: 1 })))
  assert.deepEqual(amounts, [11n, 11n])
  const outcomes = await Promise.allSettled([
    db.batched(change, { n: 9601, by: 5 }),
    db.batched(change, { n: 9602, by: -50 }),
    db.batched(change, { n: 9603, by: 5 }),
    db.batched(change, { n: 1, by: 5 }),
  ])
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'refused')),
    [16n, 'refused', 15n, undefined],
  )
  assert.deepEqual(
    statements.map(({ length }) => length),
    [2, 4, 1, 1, 1, 1],
  )
})

test('two processes that lock the same rows in opposite order both come through', async () => {
  await db.execute(sql`insert into things select n, 0 from generate_series(9701, 9702) n`)
  const other = createDb({ connectionString: database.connectionString })
  const change = (connection: DbPool, order: string) => {
    const statement = changeThings([], order)
    return Promise.all([9701, 9702].map((n) => connection.batched(statement, { n, by: 1 })))
  }
  for (let round = 0; round < 3; round++) await Promise.all([change(db, 'n'), change(other, 'n desc')])
  await other.close()
  const amounts = await db.many(
    ({ amount }) => amount,
    sql`select amount from things where n in (9701, 9702)`,
  )
  assert.deepEqual(amounts, [6n, 6n])
})
