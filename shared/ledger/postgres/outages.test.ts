import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { silentLogger } from '../../platform/index.ts'
import {
  createTestDatabase,
  type DatabaseProxy,
  startDatabaseProxy,
  type TestDatabase,
  waitFor,
} from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { accountCode, isSuccess, type LedgerId, settlementAccountId, type TransferEvent } from '../port.ts'
import { createPostgresLedger, type PostgresLedger, type PostgresLedgerOptions } from './ledger.ts'

let database: TestDatabase
let proxy: DatabaseProxy
let ledger: PostgresLedger
let nextLedger = 1

const open = (options: Partial<PostgresLedgerOptions> = {}): PostgresLedger =>
  createPostgresLedger({
    connectionString: proxy.connectionString,
    log: silentLogger,
    outcomeTimeoutMs: 2_000,
    sweepIntervalMs: 0,
    ...options,
  })

before(async () => {
  database = await createTestDatabase('ledger')
})
beforeEach(async () => {
  proxy = await startDatabaseProxy(database.connectionString)
  ledger = open()
})
afterEach(async () => {
  proxy.mode = 'pass'
  await ledger.close()
  await proxy.close()
})
after(async () => {
  assert.deepEqual(await auditLedger(database.connectionString), [])
  await database.drop()
})

async function openAccounts(): Promise<{ from: LedgerId; to: LedgerId; number: number }> {
  const number = nextLedger++
  const [from, to] = [randomUUID(), randomUUID()]
  const limited = { ledger: number, code: accountCode.peer, debitsMustNotExceedCredits: true }
  const settlement = settlementAccountId(number)
  const created = await ledger.createAccounts([
    { id: settlement, ledger: number, code: accountCode.settlement },
    { id: from, ...limited },
    { id: to, ...limited },
  ])
  const funded = await ledger.createTransfers([
    { ...movement({ from: settlement, to: from, number }, 100n), kind: 'posted' },
  ])
  assert.ok([...created, ...funded].every(isSuccess))
  return { from, to, number }
}

const movement = (parties: { from: LedgerId; to: LedgerId; number: number }, amount: bigint) => ({
  id: randomUUID(),
  debitAccountId: parties.from,
  creditAccountId: parties.to,
  ledger: parties.number,
  code: 1,
  amount,
})

/** As callers do who are told that an outcome is unknown: the same again. Connecting takes longer than a short deadline on a busy machine. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  const end = Date.now() + 10_000
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if ((error as { retryable?: boolean }).retryable !== true || Date.now() > end) throw error
    }
  }
}

const received = async (id: LedgerId) => (await ledger.lookupAccounts([id]))[0]?.creditsPosted

test('F39: an answer that is lost is asked for again, and the money moves once', async () => {
  const parties = await openAccounts()
  const hold: TransferEvent = { ...movement(parties, 10n), kind: 'pending', timeoutSeconds: 60 }
  const steps: TransferEvent[][] = [
    [{ ...movement(parties, 30n), kind: 'posted' }],
    [hold],
    [{ id: randomUUID(), kind: 'post', pendingId: hold.id }],
  ]
  for (const [index, events] of steps.entries()) {
    proxy.mode = 'lose'
    const statuses = await ledger.createTransfers(events)
    assert.deepEqual(statuses, ['exists'])
    assert.equal(proxy.lost, index + 1)
  }
  assert.equal(await received(parties.to), 40n)
})

test('F39: an account and the transfer that needs it are one request: both are there when its answer is lost', async () => {
  const parties = await openAccounts()
  const account = { id: randomUUID(), ledger: parties.number, code: accountCode.incomingPayment }
  const credit = (amount: bigint): TransferEvent => ({
    ...movement({ ...parties, to: account.id }, amount),
    kind: 'posted',
    needs: [account],
  })
  for (const [index, event] of [credit(30n), credit(5n)].entries()) {
    proxy.mode = 'lose'
    assert.deepEqual(await ledger.createTransfers([event]), ['exists'])
    assert.equal(proxy.lost, index + 1)
  }
  assert.equal(await received(account.id), 35n)
  // Neither is lost when the request itself was.
  const other = { ...account, id: randomUUID() }
  const late: TransferEvent = {
    ...movement({ ...parties, to: other.id }, 7n),
    kind: 'posted',
    needs: [other],
  }
  proxy.mode = 'refuse'
  proxy.cut()
  setTimeout(() => {
    proxy.mode = 'pass'
  }, 100)
  assert.deepEqual(await again(() => ledger.createTransfers([late])), ['created'])
  assert.equal(await received(other.id), 7n)
})

test('F39: a server that stays away makes the outcome unknown, and the same events settle it', async () => {
  const parties = await openAccounts()
  await ledger.close()
  ledger = open({ outcomeTimeoutMs: 150 })
  const events: TransferEvent[] = [{ ...movement(parties, 30n), kind: 'posted' }]
  for (const mode of ['hold', 'refuse'] as const) {
    proxy.mode = mode
    const start = performance.now()
    await assert.rejects(ledger.createTransfers(events), { code: 'ledger_outcome_unknown', retryable: true })
    assert.ok(performance.now() - start < 1_500, 'within the deadline and a little')
    await assert.rejects(ledger.lookupAccounts([parties.to]), { code: 'ledger_unavailable', retryable: true })
    await assert.rejects(ledger.createAccounts([{ id: randomUUID(), ledger: parties.number, code: 1 }]), {
      code: 'ledger_outcome_unknown',
      retryable: true,
    })
  }
  proxy.mode = 'pass'
  assert.ok((await again(() => ledger.createTransfers(events))).every(isSuccess))
  assert.deepEqual(await again(() => ledger.createTransfers(events)), ['exists'])
  assert.equal(await again(() => received(parties.to)), 30n)
})

test('F19: while the server hangs, waiting calls are bounded and refused, and it recovers without a restart', async () => {
  const parties = await openAccounts()
  await ledger.close()
  ledger = open({ outcomeTimeoutMs: 200, queueSizeMax: 50 })
  proxy.mode = 'hold'
  const pay = () => ledger.createTransfers([{ ...movement(parties, 1n), kind: 'posted' }])
  const first = pay()
  await sleep(20)
  const results = await Promise.allSettled([first, ...Array.from({ length: 100 }, pay)])
  const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'answered'))
  assert.equal(codes.filter((code) => code === 'ledger_overloaded').length >= 50, true)
  assert.ok(codes.every((code) => code === 'ledger_overloaded' || code === 'ledger_outcome_unknown'))
  proxy.mode = 'pass'
  assert.deepEqual(await again(pay), ['created'])
})

test('connections that the server ends cost nothing but a repeat', async () => {
  const parties = await openAccounts()
  const direct = new pg.Client(database.connectionString)
  await direct.connect()
  const terminate = () =>
    direct.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'upesi-ledger' and datname = current_database()`,
    )
  try {
    for (let count = 0; count < 40; count++) {
      const hold: TransferEvent = { ...movement(parties, 1n), kind: 'pending', timeoutSeconds: 60 }
      const [reserved] = await Promise.all([ledger.createTransfers([hold]), terminate()])
      assert.ok(reserved.every(isSuccess))
      const common = { id: randomUUID(), pendingId: hold.id }
      const end: TransferEvent = { ...common, kind: count % 2 ? 'post' : 'void' }
      const [ended] = await Promise.all([ledger.createTransfers([end]), terminate()])
      assert.ok(ended.every(isSuccess))
    }
  } finally {
    await direct.end()
  }
  assert.equal(await received(parties.to), 20n)
})

test('F28: the sweep comes by itself and gives reserved money back', async () => {
  const parties = await openAccounts()
  await ledger.close()
  ledger = open({ sweepIntervalMs: 50 })
  const hold: TransferEvent = { ...movement(parties, 100n), kind: 'pending', timeoutSeconds: 1 }
  assert.deepEqual(await ledger.createTransfers([hold]), ['created'])
  await waitFor(async () => (await ledger.lookupAccounts([parties.from]))[0]?.debitsPending === 0n)
  assert.equal((await ledger.lookupTransfers([hold.id]))[0]?.state, 'expired')
})
