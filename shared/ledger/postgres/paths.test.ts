import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { accountCode, isSuccess, type LedgerId, type PostedTransfer, type TransferEvent } from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'

let database: TestDatabase
let ledger: PostgresLedger
let batches: { path: 'clean' | 'ordered'; events: number }[]
let settlement: LedgerId
let rich: LedgerId
let poor: LedgerId
let payee: LedgerId

before(async () => {
  database = await createTestDatabase('ledger')
  ledger = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
    onBatch: (batch) => batches.push(batch),
  })
})
after(async () => {
  await ledger.close()
  assert.deepEqual(await auditLedger(database.connectionString), [])
  await database.drop()
})
beforeEach(async () => {
  batches = []
  settlement = randomUUID()
  rich = randomUUID()
  poor = randomUUID()
  payee = randomUUID()
  const limited = { ledger: 1, code: accountCode.peer, debitsMustNotExceedCredits: true }
  const accounts = await ledger.createAccounts([
    { id: settlement, ledger: 1, code: accountCode.settlement },
    ...[rich, poor, payee].map((id) => ({ id, ...limited })),
  ])
  const funded = await ledger.createTransfers([pay(settlement, rich, 1000n)])
  assert.ok([...accounts, ...funded].every(isSuccess))
  batches = []
})

const pay = (debitAccountId: LedgerId, creditAccountId: LedgerId, amount: bigint): PostedTransfer => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId,
  creditAccountId,
  ledger: 1,
  code: 1,
  amount,
})

const send = (...calls: TransferEvent[][]) => Promise.all(calls.map((call) => ledger.createTransfers(call)))

test('one who has no money slows down nobody else, once that is known', async () => {
  const calls = () => [[pay(rich, payee, 1n)], [pay(poor, payee, 1n)], [pay(rich, payee, 1n)]]
  const expected = [['created'], ['exceeds_credits'], ['created']]
  assert.deepEqual(await send(...calls()), expected)
  assert.deepEqual(batches, [{ path: 'ordered', events: 3 }])
  batches = []
  assert.deepEqual(await send(...calls()), expected)
  assert.deepEqual(batches, [
    { path: 'clean', events: 2 },
    { path: 'ordered', events: 1 },
  ])
  // And is trusted again as soon as there is money.
  await send([pay(settlement, poor, 5n)], [pay(poor, payee, 1n)])
  batches = []
  assert.deepEqual(await send(...calls()), [['created'], ['created'], ['created']])
  assert.deepEqual(batches, [{ path: 'clean', events: 3 }])
})

test('a reservation is posted on the fast path by who made it, on whichever path that was', async () => {
  const hold = (): TransferEvent => ({ ...pay(rich, payee, 10n), kind: 'pending', timeoutSeconds: 60 })
  const [first, second] = [hold(), hold()]
  await send([first])
  const repeated = pay(rich, payee, 1n)
  assert.deepEqual(await send([second, repeated], [repeated]), [['created', 'created'], ['exists']])
  batches = []
  const posts = [first, second].map(
    ({ id }): TransferEvent => ({ kind: 'post', id: randomUUID(), pendingId: id }),
  )
  assert.deepEqual(await send(posts), [['created', 'created']])
  assert.deepEqual(batches, [{ path: 'clean', events: 2 }])
})

test('a reservation that another process made is posted all the same', async () => {
  const hold: TransferEvent = { ...pay(rich, payee, 10n), kind: 'pending', timeoutSeconds: 60 }
  const other = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
  })
  assert.deepEqual(await other.createTransfers([hold]), ['created'])
  await other.close()
  const post: TransferEvent = { kind: 'post', id: randomUUID(), pendingId: hold.id, amount: 4n }
  assert.deepEqual(await send([post]), [['created']])
  assert.deepEqual(batches, [{ path: 'ordered', events: 1 }])
  const [account] = await ledger.lookupAccounts([payee])
  assert.equal(account?.creditsPosted, 4n)
})

test('a credit and the debit that needs it pass together on the fast path', async () => {
  assert.deepEqual(await send([pay(rich, poor, 10n), pay(poor, payee, 10n)]), [['created', 'created']])
  assert.deepEqual(batches, [{ path: 'clean', events: 2 }])
  batches = []
  assert.deepEqual(await send([pay(poor, payee, 10n), pay(rich, poor, 10n)]), [
    ['exceeds_credits', 'created'],
  ])
  assert.deepEqual(batches, [{ path: 'ordered', events: 2 }])
})
