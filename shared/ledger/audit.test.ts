import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import { createDb, type DbPool, type Sql, silentLogger, sql } from '../platform/index.ts'
import { createTestDatabase, type TestClock, type TestDatabase, testClock } from '../testing/index.ts'
import { auditLedger, type LedgerInvariant } from './audit.ts'
import { accountCode, isSuccess, type PendingTransfer, settlementAccountId } from './port.ts'
import { createPostgresLedger, type PostgresLedger } from './postgres/ledger.ts'

let database: TestDatabase
let db: DbPool
let clock: TestClock
let ledger: PostgresLedger
let from: string
let to: string
let open: PendingTransfer
let posted: PendingTransfer

/** Books with a bit of everything: a deposit, an open reservation, a posted and a voided one. */
beforeEach(async () => {
  database = await createTestDatabase('ledger')
  db = createDb({ connectionString: database.connectionString })
  clock = testClock()
  ledger = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    clock,
    sweepIntervalMs: 0,
  })
  const settlement = settlementAccountId(1)
  from = randomUUID()
  to = randomUUID()
  const limited = { ledger: 1, code: accountCode.peer, debitsMustNotExceedCredits: true }
  const accounts = await ledger.createAccounts([
    { id: settlement, ledger: 1, code: accountCode.settlement, creditsMustNotExceedDebits: true },
    { id: from, ...limited },
    { id: to, ...limited },
  ])
  const hold = (): PendingTransfer => ({
    kind: 'pending',
    id: randomUUID(),
    debitAccountId: from,
    creditAccountId: to,
    ledger: 1,
    code: 1,
    amount: 10n,
    timeoutSeconds: 60,
    userData128: randomUUID(),
  })
  open = hold()
  posted = hold()
  const voided = hold()
  const transfers = await ledger.createTransfers([
    { ...hold(), kind: 'posted', debitAccountId: settlement, creditAccountId: from, amount: 100n },
    open,
    posted,
    voided,
    { kind: 'post', id: randomUUID(), pendingId: posted.id, amount: 7n },
    { kind: 'void', id: randomUUID(), pendingId: voided.id },
  ])
  assert.ok([...accounts, ...transfers].every(isSuccess))
})

afterEach(async () => {
  await ledger.close()
  await db.close()
  await database.drop()
})

const audit = () => auditLedger(database.connectionString, { now: clock.now() })

/** Spoils the books behind the ledger's back; the audit must name the invariant, and may name others that follow. */
async function expectFinding(invariant: LedgerInvariant, ...damage: Sql[]): Promise<void> {
  assert.deepEqual(await audit(), [])
  for (const query of damage) assert.ok((await db.execute(query)) > 0, 'something was spoiled')
  const findings = await audit()
  assert.ok(
    findings.some((finding) => finding.invariant === invariant && finding.message.length > 20),
    JSON.stringify(findings),
  )
}

test('books that balance have no findings, also once reservations expired and were released', async () => {
  assert.deepEqual(await audit(), [])
  clock.advance(3_600_000)
  assert.equal(await ledger.sweep(), 1)
  assert.deepEqual(await audit(), [])
})

test('money that comes from nowhere', () =>
  expectFinding(
    'conservation',
    sql`update ledger.accounts set credits_posted = credits_posted + 1 where id = ${from}`,
  ))

test('an account beyond its limit, which the table itself refuses', async () => {
  const overdraw = sql`update ledger.accounts set debits_posted = 1000 where id = ${from}`
  await assert.rejects(db.execute(overdraw), /exceeds_credits/)
  await db.execute(sql`alter table ledger.accounts drop constraint exceeds_credits`)
  await expectFinding('no_overdraft', overdraw)
})

test('a settlement account that took back more than it gave', async () => {
  const overdraw = sql`update ledger.accounts set credits_posted = 1000 where credits_must_not_exceed_debits`
  await assert.rejects(db.execute(overdraw), /exceeds_debits/)
  await db.execute(sql`alter table ledger.accounts drop constraint exceeds_debits`)
  await expectFinding('no_overdraft', overdraw)
})

test('a negative balance', async () => {
  const spoil = sql`update ledger.accounts set credits_pending = -1 where id = ${from}`
  await assert.rejects(db.execute(spoil), /balances_are_not_negative/)
  await db.execute(sql`alter table ledger.accounts drop constraint balances_are_not_negative`)
  await expectFinding('no_overdraft', spoil)
})

test('a running balance that its transfers do not explain', () =>
  expectFinding(
    'balances_follow_transfers',
    sql`update ledger.accounts set debits_posted = debits_posted + 1, credits_posted = credits_posted + 1`,
  ))

test('a transfer that vanished', () =>
  expectFinding('balances_follow_transfers', sql`delete from ledger.transfers where id = ${open.id}`))

test('a reservation that nobody released in time', async () => {
  clock.advance(61_000)
  assert.deepEqual(await audit(), [], 'the sweep has a margin')
  clock.advance(60_000)
  assert.deepEqual(
    (await audit()).map((finding) => finding.invariant),
    ['reservations'],
  )
})

test('a post without its reservation being posted', () =>
  expectFinding(
    'reservations',
    sql`update ledger.holds set posted = posted & ~posted where position(B'1' in posted) > 0`,
  ))

test('a reservation that was posted twice', () =>
  expectFinding(
    'reservations',
    sql`insert into ledger.transfers select sequence, created_at, user_data_64, ledger, user_data_32, code, kind, linked,
        gen_random_uuid(), debit_account_id, credit_account_id, user_data_128, amount, timeout, hold_id, hold_bit,
        pending_id from ledger.transfers where pending_id = ${posted.id}`,
  ))

test('a post of more than was reserved', () =>
  expectFinding('reservations', sql`update ledger.transfers set amount = 11 where pending_id = ${posted.id}`))

test('a post of nothing that exists', () =>
  expectFinding(
    'reservations',
    sql`update ledger.transfers set pending_id = gen_random_uuid() where pending_id = ${posted.id}`,
  ))

test('an account that is closed by nothing', () =>
  expectFinding('reservations', sql`update ledger.accounts set closed = true where id = ${from}`))

test('a closing transfer whose account is open', async () => {
  const [status] = await ledger.createTransfers([
    { kind: 'close', id: randomUUID(), accountId: from, ledger: 1, code: 1 },
  ])
  assert.equal(status, 'created')
  assert.deepEqual(await audit(), [])
  await expectFinding('reservations', sql`update ledger.accounts set closed = false where id = ${from}`)
})

test('a hold that contradicts itself', () =>
  expectFinding('reservations', sql`update ledger.holds set closed = true where not closed`))

test('a transfer that its account does not list', () =>
  expectFinding('index', sql`update ledger.transfer_index set debits = '' where subject = ${from}`))

test('a transfer that its user data does not list', () =>
  expectFinding('index', sql`delete from ledger.transfer_index where subject = ${open.userData128}`))
