import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { silentLogger } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../testing/index.ts'
import { auditLedger } from './audit.ts'
import { closeForGood, moveThroughClosed } from './closed-accounts.ts'
import { accountCode, isSuccess, type PostedTransfer, settlementAccountId } from './port.ts'
import { createPostgresLedger, type PostgresLedger } from './postgres/ledger.ts'

const LEDGER = 1
const settlement = settlementAccountId(LEDGER)
let database: TestDatabase
let ledger: PostgresLedger

before(async () => {
  database = await createTestDatabase('ledger')
  ledger = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
  })
  const account = { id: settlement, ledger: LEDGER, code: accountCode.settlement }
  assert.ok(
    (await ledger.createAccounts([{ ...account, creditsMustNotExceedDebits: true }])).every(isSuccess),
  )
})

after(async () => {
  await ledger.close()
  assert.deepEqual(await auditLedger(database.connectionString), [])
  await database.drop()
})

const move = (debitAccountId: string, creditAccountId: string, amount: bigint): PostedTransfer => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId,
  creditAccountId,
  ledger: LEDGER,
  code: 1,
  amount,
})

/** An account that holds 100 and is closed. */
async function closed() {
  const account = { id: randomUUID(), ledger: LEDGER, code: accountCode.incomingPayment }
  const created = await ledger.createAccounts([{ ...account, debitsMustNotExceedCredits: true }])
  assert.ok(
    [...created, ...(await ledger.createTransfers([move(settlement, account.id, 100n)]))].every(isSuccess),
  )
  await closeForGood({ ledger }, account)
  await closeForGood({ ledger }, account)
  return account
}

const find = async (id: string) => {
  const [account] = await ledger.lookupAccounts([id])
  assert.ok(account)
  return account
}

test('what a closed account holds goes out, in one step or two, and nothing comes in', async () => {
  const account = await closed()
  const through = (event: Parameters<typeof moveThroughClosed>[2]) =>
    moveThroughClosed({ ledger }, account, event)
  const first = move(account.id, settlement, 60n)
  assert.equal(await through(first), 'created')
  assert.equal(await through(first), 'exists')
  assert.equal(await through(move(account.id, settlement, 41n)), 'exceeds_credits')
  assert.equal(await through({ ...first, amount: 1n }), 'exists_with_different_fields')
  const hold = { ...move(account.id, settlement, 40n), kind: 'pending' as const, timeoutSeconds: 60 }
  assert.equal(await through(hold), 'created')
  const post = { kind: 'post' as const, id: randomUUID(), pendingId: hold.id }
  assert.deepEqual(await ledger.createTransfers([post]), ['debit_account_already_closed'])
  assert.equal(await through({ ...post, id: randomUUID() }), 'created')
  assert.equal(await through({ ...post, id: randomUUID() }), 'pending_transfer_already_posted')
  assert.deepEqual(await ledger.createTransfers([move(settlement, account.id, 1n)]), [
    'credit_account_already_closed',
  ])
  const { debitsPosted, debitsPending, closed: isClosed } = await find(account.id)
  assert.deepEqual([debitsPosted, debitsPending, isClosed], [100n, 0n, true])
})

test('many movements at once through one closed account: each happens, once, and it ends closed', async () => {
  const account = await closed()
  const others = [1, 2].map(() =>
    createPostgresLedger({
      connectionString: database.connectionString,
      log: silentLogger,
      sweepIntervalMs: 0,
    }),
  )
  try {
    const clients = [ledger, ...others]
    const events = Array.from({ length: 10 }, () => move(account.id, settlement, 7n))
    const statuses = await Promise.all(
      [...events, ...events].map((event, index) =>
        moveThroughClosed({ ledger: clients[index % 3] as PostgresLedger }, account, event),
      ),
    )
    assert.ok(statuses.every(isSuccess), statuses.join(' '))
    const { debitsPosted, closed: isClosed } = await find(account.id)
    assert.deepEqual([debitsPosted, isClosed], [70n, true])
  } finally {
    for (const other of others) await other.close()
  }
})
