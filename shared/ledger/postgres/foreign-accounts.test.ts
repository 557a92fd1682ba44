import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import pg from 'pg'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase, waitFor } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { accountCode, isSuccess, type LedgerId, settlementAccountId, transferCode } from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'

/** They have locks of their own. */
const [OURS, THEIRS] = [1, 2]

let database: TestDatabase
let ours: PostgresLedger
let theirs: PostgresLedger
let blocker: pg.Client
let account: LedgerId

const open = () =>
  createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    path: 'ordered',
    sweepIntervalMs: 0,
  })
const limited = (id: LedgerId, ledger: number) => ({
  id,
  ledger,
  code: accountCode.peer,
  debitsMustNotExceedCredits: true,
})
const deposit = (creditAccountId: LedgerId, ledger: number) => ({
  kind: 'posted' as const,
  id: randomUUID(),
  debitAccountId: settlementAccountId(ledger),
  creditAccountId,
  ledger,
  code: transferCode.deposit,
  amount: 100n,
})

before(async () => {
  database = await createTestDatabase('ledger')
})
after(() => database.drop())
beforeEach(async () => {
  ;[ours, theirs] = [open(), open()]
  blocker = new pg.Client(database.connectionString)
  await blocker.connect()
  account = randomUUID()
  const settlements = [OURS, THEIRS].map((ledger) => ({
    id: settlementAccountId(ledger),
    ledger,
    code: accountCode.settlement,
  }))
  assert.ok((await ours.createAccounts([...settlements, limited(account, OURS)])).every(isSuccess))
  assert.deepEqual(await ours.createTransfers([deposit(account, OURS)]), ['created'])
})
afterEach(async () => {
  await blocker.end()
  await Promise.all([ours.close(), theirs.close()])
  assert.deepEqual(await auditLedger(database.connectionString), [])
})

/**
 * A batch on our ledger with an event that names `foreign`, of the other one: meanwhile happens behind its look at the accounts, and
 * before it writes them.
 */
async function nameForeign(foreign: LedgerId, meanwhile: () => Promise<void>) {
  const hold = { ...deposit(account, OURS), kind: 'pending' as const, timeoutSeconds: 60 }
  assert.deepEqual(await ours.createTransfers([hold]), ['created'])
  await blocker.query('begin')
  await blocker.query('select from ledger.holds where id = $1 for update', [hold.id])
  const batch = ours.createTransfers([
    { kind: 'post', id: randomUUID(), pendingId: hold.id },
    { ...deposit(foreign, OURS) },
  ])
  await waitFor(async () => {
    const { rowCount } = await blocker.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rowCount === 1
  })
  await meanwhile()
  await blocker.query('commit')
  return await batch
}

test('a refused event changes nothing of an account on another ledger, which others write at the same time', async () => {
  const foreign = randomUUID()
  assert.deepEqual(await theirs.createAccounts([limited(foreign, THEIRS)]), ['created'])
  const statuses = await nameForeign(foreign, async () => {
    assert.deepEqual(await theirs.createTransfers([deposit(foreign, THEIRS)]), ['created'])
  })
  assert.deepEqual(statuses, ['created', 'accounts_must_have_the_same_ledger'])
  const [found] = await theirs.lookupAccounts([foreign])
  assert.equal(found?.creditsPosted, 100n)
})

test('a batch that names an account which others make at the same time goes its way', async () => {
  const foreign = randomUUID()
  const statuses = await nameForeign(foreign, async () => {
    assert.deepEqual(await theirs.createAccounts([limited(foreign, THEIRS)]), ['created'])
  })
  assert.deepEqual(statuses, ['created', 'credit_account_not_found'])
})
