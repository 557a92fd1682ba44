import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Fault, silentLogger } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { assertUnused, fenceSource } from '../copy.ts'
import { accountCode, type PostedTransfer, settlementAccountId, type TransferEvent } from '../port.ts'
import { openPostgresContents } from './contents.ts'
import { findFence, liftFence } from './fence.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'

const LEDGER = 7
const PLACE = 'the TigerBeetle cluster 0 at 3004'
const settlement = settlementAccountId(LEDGER)

let database: TestDatabase
let ledger: PostgresLedger
let account: string
const clients: pg.Client[] = []

const open = () => createPostgresLedger({ connectionString: database.connectionString, log: silentLogger })
const client = async (): Promise<pg.Client> => {
  const opened = new pg.Client(database.connectionString)
  await opened.connect()
  clients.push(opened)
  return opened
}
const deposit = (amount = 1n): PostedTransfer => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId: settlement,
  creditAccountId: account,
  ledger: LEDGER,
  code: 1,
  amount,
})
/** As the end of a copy does it: look, and fence what was seen. Whether nothing had come between. */
async function lookAndFence(between: () => Promise<void> = async () => undefined): Promise<boolean> {
  const contents = await openPostgresContents(database.connectionString)
  try {
    await between()
    return (await contents.fence(PLACE)) === undefined
  } finally {
    await contents.close()
  }
}
const isMoved = (error: unknown) =>
  error instanceof Fault && error.code === 'ledger_moved' && error.retryable && error.message.includes(PLACE)

before(async () => {
  database = await createTestDatabase('ledger')
})
after(() => database.drop())
beforeEach(async () => {
  ledger = open()
  account = randomUUID()
  await ledger.createAccounts([
    { id: settlement, ledger: LEDGER, code: accountCode.settlement },
    { id: account, ledger: LEDGER, code: accountCode.peer, debitsMustNotExceedCredits: true },
  ])
})
afterEach(async () => {
  for (const each of clients.splice(0)) await each.end()
  await ledger.close()
  await liftFence(database.connectionString)
  assert.deepEqual(await auditLedger(database.connectionString), [])
})

test('behind its fence a ledger takes nothing, says so at once, and can be read', async () => {
  const first = deposit(100n)
  const reserved = { ...deposit(5n), kind: 'pending', timeoutSeconds: 60 } as const
  assert.deepEqual(await ledger.createTransfers([first, reserved]), ['created', 'created'])
  assert.equal(await lookAndFence(), true)
  assert.equal((await findFence(database.connectionString))?.movedTo, PLACE)

  const movement = { ledger: LEDGER, code: 1 }
  const events: TransferEvent[] = [
    deposit(),
    { ...deposit(), kind: 'pending', timeoutSeconds: 1 },
    { kind: 'post', id: randomUUID(), pendingId: reserved.id },
    { kind: 'void', id: randomUUID(), pendingId: reserved.id },
    { kind: 'close', id: randomUUID(), accountId: account, ...movement },
    // Neither a repeat nor a refusal is told: whoever asks is in the wrong place.
    first,
    { ...deposit(), debitAccountId: account, creditAccountId: settlement, amount: 1_000n },
  ]
  const another = open()
  for (const writer of [ledger, another]) {
    const startedMs = performance.now()
    for (const event of events) await assert.rejects(writer.createTransfers([event]), isMoved)
    await assert.rejects(writer.createTransfers([deposit(), deposit()]), isMoved)
    await assert.rejects(
      writer.createAccounts([{ id: randomUUID(), ledger: LEDGER + 1, code: accountCode.peer }]),
      isMoved,
    )
    assert.ok(performance.now() - startedMs < 5_000)
  }
  const [found] = await another.lookupAccounts([account])
  assert.deepEqual([found?.creditsPosted, found?.creditsPending, found?.closed], [100n, 5n, false])
  assert.equal((await another.queryTransfers({ accountId: account, limit: 10 })).length, 2)
  await another.close()

  await liftFence(database.connectionString)
  assert.equal(await findFence(database.connectionString), undefined)
  assert.deepEqual(
    await ledger.createTransfers([{ kind: 'void', id: randomUUID(), pendingId: reserved.id }]),
    ['created'],
  )
})

test('a booking after the look stops the fence; a second fence changes nothing', async () => {
  const booked = lookAndFence(async () => {
    assert.deepEqual(await ledger.createTransfers([deposit()]), ['created'])
  })
  assert.equal(await booked, false)
  assert.equal(await findFence(database.connectionString), undefined)
  const contents = await openPostgresContents(database.connectionString)
  await ledger.createTransfers([deposit()])
  await assert.rejects(fenceSource(contents, PLACE), {
    code: 'ledger_in_use',
    message: /written to meanwhile/,
  })
  await contents.close()
  assert.equal(await lookAndFence(), true)
  const fence = await findFence(database.connectionString)
  assert.equal(await lookAndFence(), true)
  assert.deepEqual(await findFence(database.connectionString), fence)
})

test('a booking that is under way at another connection is waited for, and then seen', async () => {
  for (const lock of [LEDGER, 128]) {
    const writer = await client()
    const contents = await openPostgresContents(database.connectionString)
    await writer.query('begin')
    await writer.query('select ledger.take_locks(array[$1::integer])', [lock])
    await writer.query(
      `insert into ledger.accounts (id, user_data_64, created_at, ledger, user_data_32, code, linked, user_data_128,
         debits_must_not_exceed_credits, credits_must_not_exceed_debits)
       values ($1, 0, now(), $2, 0, 3, false, $1, false, false)`,
      [randomUUID(), LEDGER],
    )
    let isOver = false
    const fencing = contents.fence(PLACE).finally(() => {
      isOver = true
    })
    await sleep(300)
    assert.equal(isOver, false, 'the fence waits')
    await writer.query('commit')
    assert.match((await fencing) ?? '', /written to meanwhile/)
    assert.equal(await findFence(database.connectionString), undefined)
    await contents.close()
  }
})

test('a booking that waits for its turn while the fence is raised comes too late', async () => {
  const fencing = await client()
  await fencing.query('begin')
  await fencing.query('select ledger.take_all_locks()')
  await fencing.query('insert into ledger.fence (moved_to) values ($1)', [PLACE])
  const bookings = [
    ledger.createTransfers([deposit()]),
    ledger.createAccounts([{ id: randomUUID(), ledger: LEDGER, code: accountCode.peer }]),
  ]
  const outcomes = Promise.allSettled(bookings)
  await sleep(300)
  await fencing.query('commit')
  for (const outcome of await outcomes) {
    assert.equal(outcome.status, 'rejected')
    if (outcome.status === 'rejected') assert.ok(isMoved(outcome.reason), String(outcome.reason))
  }
  assert.equal((await ledger.queryTransfers({ accountId: account, limit: 1 })).length, 0)
})

test('writers that never rest: what was booked is what the fence had seen, to the last transfer', async () => {
  const writers = Array.from({ length: 4 }, open)
  let booked = 0
  const running = writers.map(async (writer) => {
    for (;;) {
      try {
        const [status] = await writer.createTransfers([deposit()])
        assert.equal(status, 'created')
        booked++
      } catch (error) {
        assert.ok(isMoved(error), String(error))
        return
      }
      await sleep(Math.random() * 40)
    }
  })
  let seen = -1
  for (let attempt = 0; seen < 0; attempt++) {
    assert.ok(attempt < 2_000, 'the fence finds a moment')
    const contents = await openPostgresContents(database.connectionString)
    const [found] = await contents.findAccounts([account])
    if ((await contents.fence(PLACE)) === undefined) seen = Number(found?.creditsPosted)
    await contents.close()
  }
  await Promise.all(running)
  assert.equal(booked, seen)
  const [held] = await ledger.lookupAccounts([account])
  assert.equal(held?.creditsPosted, BigInt(seen))
  for (const writer of writers) await writer.close()
})

test('a copy that was used is no way back', async () => {
  await assertUnused({ isCopy: async () => true })
  await assert.rejects(assertUnused({ isCopy: async () => false }), { code: 'target_used' })
})
