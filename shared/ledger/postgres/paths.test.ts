import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb, silentLogger, sql } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase, testClock } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { closeForGood, moveThroughClosed } from '../closed-accounts.ts'
import {
  accountCode,
  type CloseTransfer,
  isSuccess,
  type LedgerId,
  type PendingTransfer,
  type PostedTransfer,
  settlementAccountId,
  type TransferEvent,
} from '../port.ts'
import { createPostgresLedger, type PostgresLedger, type PostgresLedgerOptions } from './ledger.ts'

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
  settlement = settlementAccountId(1)
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

const hold = (debitAccountId: LedgerId, creditAccountId: LedgerId, amount: bigint): PendingTransfer => ({
  ...pay(debitAccountId, creditAccountId, amount),
  kind: 'pending',
  timeoutSeconds: 60,
})

const close = (accountId: LedgerId): CloseTransfer => ({
  kind: 'close',
  id: randomUUID(),
  accountId,
  ledger: 1,
  code: 1,
})

const post = (pendingId: LedgerId): TransferEvent => ({ kind: 'post', id: randomUUID(), pendingId })
const voiding = (pendingId: LedgerId): TransferEvent => ({ kind: 'void', id: randomUUID(), pendingId })

/** Another process on the same books. */
async function elsewhere<T>(
  work: (other: PostgresLedger) => Promise<T>,
  options: Partial<PostgresLedgerOptions> = {},
): Promise<T> {
  const other = createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
    ...options,
  })
  try {
    return await work(other)
  } finally {
    await other.close()
  }
}

const isClosed = async (id: LedgerId): Promise<boolean | undefined> =>
  (await ledger.lookupAccounts([id]))[0]?.closed

const send = (...calls: TransferEvent[][]) => Promise.all(calls.map((call) => ledger.createTransfers(call)))

test('accounts that transfers need cost them no fast path, and are no matter to others in the batch', async () => {
  const accounts = Array.from({ length: 3 }, () => ({
    id: randomUUID(),
    ledger: 1,
    code: accountCode.incomingPayment,
    debitsMustNotExceedCredits: true,
  }))
  const calls = () => [
    [pay(rich, payee, 1n)],
    ...accounts.map((account) => [{ ...pay(rich, account.id, 2n), needs: [account] }]),
    [hold(rich, payee, 1n)],
  ]
  // Made, and there already.
  for (let round = 1; round <= 2; round++) {
    assert.ok((await send(...calls())).flat().every((status) => status === 'created'))
    assert.deepEqual(batches.splice(0), [{ path: 'clean', events: 5 }])
  }
  const impossible = { ...pay(rich, payee, 1n), needs: [{ ...accounts[0], code: 9 }] } as PostedTransfer
  const statuses = await send([pay(rich, payee, 1n)], [impossible], [pay(rich, payee, 1n)])
  assert.deepEqual(statuses.flat(), ['created', 'needed_account_refused', 'created'])
})

test('who makes accounts with transfers waits for nobody who has the locks, and waits for those: never both', async () => {
  const warnings: unknown[] = []
  const log = { ...silentLogger, warn: (...words: unknown[]) => void warnings.push(words) }
  const direct = createDb({ connectionString: database.connectionString })
  const others = [1, 2, 3].map(() =>
    createPostgresLedger({
      connectionString: database.connectionString,
      log,
      sweepIntervalMs: 0,
      outcomeTimeoutMs: 60_000,
    }),
  )
  let isOver = false
  const everyLock = (async () => {
    while (!isOver) {
      await direct.tx((db) => db.execute(sql`select ledger.take_all_locks()`))
      await sleep(1)
    }
  })()
  try {
    for (let round = 0; round < 40; round++) {
      const account = { id: randomUUID(), ledger: 1, code: accountCode.incomingPayment }
      const statuses = await Promise.all(
        others.map((other) =>
          other.createTransfers([{ ...pay(rich, account.id, 1n), needs: [account] }, pay(rich, payee, 1n)]),
        ),
      )
      assert.ok(statuses.flat().every((status) => status === 'created'))
    }
  } finally {
    isOver = true
    await everyLock
    for (const other of others) await other.close()
    await direct.close()
  }
  // A deadlock would have been repeated, and told.
  assert.deepEqual(warnings, [])
})

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
  const [first, second] = [hold(rich, payee, 10n), hold(rich, payee, 10n)]
  await send([first])
  const repeated = pay(rich, payee, 1n)
  assert.deepEqual(await send([second, repeated], [repeated]), [['created', 'created'], ['exists']])
  batches = []
  assert.deepEqual(await send([post(first.id), post(second.id)]), [['created', 'created']])
  assert.deepEqual(batches, [{ path: 'clean', events: 2 }])
})

test('a reservation that another process made is posted all the same', async () => {
  const reserved = hold(rich, payee, 10n)
  assert.deepEqual(await elsewhere((other) => other.createTransfers([reserved])), ['created'])
  assert.deepEqual(await send([{ ...post(reserved.id), amount: 4n } as TransferEvent]), [['created']])
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

test('an account is closed, opened for one movement and closed again on the fast path, together with what others do', async () => {
  const first = close(rich)
  assert.deepEqual(await send([first], [pay(settlement, payee, 1n)]), [['created'], ['created']])
  const through = pay(rich, payee, 100n)
  const next = close(rich)
  const chain: TransferEvent[] = [{ ...voiding(first.id), linked: true }, { ...through, linked: true }, next]
  assert.deepEqual(await send(chain, [pay(settlement, poor, 1n)]), [
    ['created', 'created', 'created'],
    ['created'],
  ])
  assert.equal(await isClosed(rich), true)
  assert.deepEqual(await send([voiding(next.id)], [pay(rich, payee, 1n)]), [['created'], ['created']])
  assert.equal(await isClosed(rich), false)
  assert.deepEqual(batches, [
    { path: 'clean', events: 2 },
    { path: 'clean', events: 4 },
    { path: 'clean', events: 2 },
  ])
})

test('what a batch closes takes nothing more in the same batch, and one that is closed is not closed again', async () => {
  const closing = close(poor)
  assert.deepEqual(await send([closing], [pay(rich, poor, 1n)], [close(poor)], [pay(rich, payee, 1n)]), [
    ['created'],
    ['credit_account_already_closed'],
    ['credit_account_already_closed'],
    ['created'],
  ])
  assert.deepEqual(await send([close(poor)]), [['credit_account_already_closed']])
  assert.deepEqual(await send([post(closing.id)]), [['credit_account_already_closed']])
  assert.deepEqual(await send([voiding(closing.id)], [voiding(closing.id)]), [
    ['created'],
    ['pending_transfer_already_voided'],
  ])
  assert.equal(await isClosed(poor), false)
})

test('of what a closed account has reserved, a void passes on the fast path and a post does not', async () => {
  const [first, second] = [hold(rich, payee, 10n), hold(rich, payee, 10n)]
  assert.deepEqual(await send([first, second, close(rich)]), [['created', 'created', 'created']])
  assert.deepEqual(await send([voiding(first.id)]), [['created']])
  assert.deepEqual(batches, [
    { path: 'clean', events: 3 },
    { path: 'clean', events: 1 },
  ])
  assert.deepEqual(await send([post(second.id)]), [['debit_account_already_closed']])
  assert.equal(await isClosed(rich), true)
})

test('what another process reserved or closed is known once it was looked up, and forgotten once it has ended', async () => {
  const [reserved, closing] = [hold(rich, payee, 10n), close(poor)]
  await elsewhere((other) => other.createTransfers([hold(rich, payee, 1n), reserved, closing]))
  await ledger.lookupTransfers([reserved.id, closing.id])
  assert.deepEqual(await send([post(reserved.id), voiding(closing.id)]), [['created', 'created']])
  assert.deepEqual(batches, [{ path: 'clean', events: 2 }])
  const again = close(poor)
  await send([again])
  await elsewhere(async (other) => {
    await other.lookupTransfers([again.id])
    await other.createTransfers([voiding(again.id)])
  })
  batches = []
  await ledger.lookupTransfers([again.id])
  for (let attempt = 0; attempt < 2; attempt++)
    assert.deepEqual(await send([voiding(again.id)]), [['pending_transfer_already_voided']])
  // It is known to have ended. Two attempts on the fast path that failed would take that from the next batch.
  assert.deepEqual(await send([pay(rich, payee, 1n)]), [['created']])
  assert.deepEqual(
    batches.map(({ path }) => path),
    ['ordered', 'ordered', 'clean'],
  )
})

test('who believes in a close that another process has voided meanwhile moves nothing', async () => {
  const [first, second] = [close(rich), close(rich)]
  await send([first])
  await elsewhere((other) =>
    other.createTransfers([
      { ...voiding(first.id), linked: true },
      { ...pay(rich, payee, 1n), linked: true },
      second,
    ]),
  )
  const late: TransferEvent[] = [
    { ...voiding(first.id), linked: true },
    { ...pay(rich, payee, 500n), linked: true },
    close(rich),
  ]
  assert.deepEqual(await send(late), [
    ['pending_transfer_already_voided', 'linked_event_failed', 'linked_event_failed'],
  ])
  const [account] = await ledger.lookupAccounts([payee])
  assert.deepEqual([account?.creditsPosted, await isClosed(rich)], [1n, true])
})

test('withdrawals from an account that was closed elsewhere take the fast path', async () => {
  const account = { id: rich, ledger: 1 }
  await elsewhere((other) => closeForGood({ ledger: other }, account))
  for (const amount of [300n, 700n])
    assert.equal(await moveThroughClosed({ ledger }, account, pay(rich, settlement, amount)), 'created')
  assert.deepEqual(batches, [
    { path: 'clean', events: 3 },
    { path: 'clean', events: 3 },
  ])
  assert.equal(await moveThroughClosed({ ledger }, account, pay(rich, settlement, 1n)), 'exceeds_credits')
  assert.equal(await isClosed(rich), true)
})

test('F28: what has run out, or has ended elsewhere, is not posted on the fast path by who reserved it', async () => {
  const clock = testClock(new Date())
  await elsewhere(
    async (other) => {
      const [first, second] = [hold(rich, payee, 10n), hold(rich, payee, 10n)]
      await other.createTransfers([first, second])
      await ledger.createTransfers([voiding(first.id)])
      assert.deepEqual(await other.createTransfers([post(first.id)]), ['pending_transfer_already_voided'])
      clock.advance(60_000)
      assert.deepEqual(await other.createTransfers([post(second.id)]), ['pending_transfer_expired'])
    },
    { clock, path: 'clean' },
  )
  const [account] = await ledger.lookupAccounts([payee])
  assert.equal(account?.creditsPosted, 0n)
})

for (const path of ['clean', 'ordered'] as const)
  test(`F4: a batch waits for who is booking on its ledger (path ${path})`, async () => {
    const db = createDb({ connectionString: database.connectionString, poolSizeMax: 1 })
    try {
      await elsewhere(
        async (other) => {
          const answers: unknown[] = []
          let sent = Promise.resolve()
          await db.tx(async (tx) => {
            await tx.execute(sql`select ledger.take_locks(array[1])`)
            sent = other.createTransfers([pay(rich, payee, 1n)]).then((answer) => void answers.push(answer))
            await sleep(300)
            assert.deepEqual(answers, [])
          })
          await sent
          assert.deepEqual(answers, [['created']])
        },
        { path },
      )
    } finally {
      await db.close()
    }
  })
