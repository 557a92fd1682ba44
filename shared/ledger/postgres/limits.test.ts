import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createDb, type DbPool, rawSql, type Sql, silentLogger, sql } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../testing/index.ts'
import { isSuccess, type PostedTransfer } from '../port.ts'
import { createPostgresLedger } from './ledger.ts'

const U64_MAX = 2n ** 64n - 1n
const U128_MAX = 2n ** 128n - 1n

let database: TestDatabase
let db: DbPool

before(async () => {
  database = await createTestDatabase('ledger')
  db = createDb({ connectionString: database.connectionString })
})
after(async () => {
  await db.close()
  await database.drop()
})

for (const path of ['clean', 'ordered'] as const)
  test(`balances end at 2^128 - 1 (path ${path})`, async () => {
    const ledger = createPostgresLedger({
      connectionString: database.connectionString,
      log: silentLogger,
      path,
    })
    try {
      const [from, to] = [randomUUID(), randomUUID()]
      const accounts = [from, to].map((id) => ({ id, ledger: 1, code: 1 }))
      assert.ok((await ledger.createAccounts(accounts)).every(isSuccess))
      const pay = (amount: bigint): PostedTransfer => ({
        kind: 'posted',
        id: randomUUID(),
        debitAccountId: from,
        creditAccountId: to,
        ledger: 1,
        code: 1,
        amount,
      })
      // 2^64 transfers of 2^64 - 1 would lead here.
      const nearly = (U128_MAX - U64_MAX).toString()
      await db.execute(sql`update ledger.accounts set debits_posted = ${nearly} where id = ${from}`)
      assert.deepEqual(await ledger.createTransfers([pay(U64_MAX), pay(1n)]), ['created', 'overflows'])
      const [account] = await ledger.lookupAccounts([from])
      assert.equal(account?.debitsPosted, U128_MAX)
      const rest = (U128_MAX - U64_MAX - 5n).toString()
      await db.execute(sql`update ledger.accounts set debits_posted = 0 where id = ${from}`)
      await db.execute(sql`update ledger.accounts set credits_pending = ${rest} where id = ${to}`)
      assert.deepEqual(await ledger.createTransfers([pay(6n), pay(5n), pay(1n)]), [
        'overflows',
        'created',
        'overflows',
      ])
    } finally {
      await ledger.close()
    }
  })

test('a database whose transactions would not see what others committed is refused', async () => {
  const strict = await createTestDatabase('ledger')
  const admin = createDb({ connectionString: strict.connectionString, poolSizeMax: 1 })
  try {
    await admin.execute(sql`do $$ begin
      execute format('alter database %I set default_transaction_isolation = %L', current_database(), 'repeatable read');
    end $$`)
    const ledger = createPostgresLedger({ connectionString: strict.connectionString, log: silentLogger })
    await assert.rejects(ledger.createAccounts([{ id: randomUUID(), ledger: 1, code: 1 }]), /read committed/)
    await ledger.close()
  } finally {
    await admin.close()
    await strict.drop()
  }
})

test('rows that no function of the ledger would write are refused by its tables', async () => {
  const ledger = createPostgresLedger({ connectionString: database.connectionString, log: silentLogger })
  try {
    const [payer, settlement, free] = [randomUUID(), randomUUID(), randomUUID()]
    const account = { ledger: 1, code: 1 }
    const created = await ledger.createAccounts([
      { ...account, id: payer, debitsMustNotExceedCredits: true },
      { ...account, id: settlement, creditsMustNotExceedDebits: true },
      { ...account, id: free },
    ])
    assert.ok(created.every(isSuccess))
    const refused = (change: Sql) => assert.rejects(db.execute(change), { code: '23514' })
    for (const balance of ['debits_pending', 'debits_posted', 'credits_pending', 'credits_posted'])
      await refused(sql`update ledger.accounts set ${rawSql(balance)} = -1 where id = ${free}`)
    await refused(sql`update ledger.accounts set debits_posted = 1 where id = ${payer}`)
    await refused(sql`update ledger.accounts set credits_pending = 1 where id = ${settlement}`)
    const write = (kind: number, amount: number) => sql`
      insert into ledger.transfers (sequence, created_at, user_data_64, ledger, user_data_32, code, kind, linked, id,
        debit_account_id, credit_account_id, user_data_128, amount)
      values (0, now(), 0, 1, 0, 1, ${kind}, false, ${randomUUID()}, ${free}, ${payer}, ${randomUUID()}, ${amount})`
    for (const kind of [0, 1, 2]) await refused(write(kind, 0))
    for (const kind of [0, 1, 2, 3, 4]) await refused(write(kind, -1))
    for (const kind of [0, 1, 2, 3, 4]) await db.execute(write(kind, 1))
    for (const kind of [3, 4]) await db.execute(write(kind, 0))
  } finally {
    await ledger.close()
  }
})
