import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { silentLogger } from '../platform/index.ts'
import { createTestDatabase, openTestTigerBeetle, withoutTigerBeetle } from '../testing/index.ts'
import { auditLedger } from './audit.ts'
import { closeForGood, moveThroughClosed } from './closed-accounts.ts'
import { formerTransferId, isChosenId } from './derived-ids.ts'
import { accountCode, isSuccess, type Ledger, type PostedTransfer, settlementAccountId } from './port.ts'
import { createPostgresLedger } from './postgres/ledger.ts'
import { createTigerBeetleLedger } from './tigerbeetle/ledger.ts'

// A cluster that tests share keeps what earlier runs wrote.
const LEDGER = randomInt(1, 1_000_000_000)
const settlement = settlementAccountId(LEDGER)

interface Store {
  open(): Promise<Ledger>
  close(): Promise<void>
}

async function postgres(): Promise<Store> {
  const { connectionString, drop } = await createTestDatabase('ledger')
  return {
    open: async () => createPostgresLedger({ connectionString, log: silentLogger, sweepIntervalMs: 0 }),
    async close() {
      assert.deepEqual(await auditLedger(connectionString), [])
      await drop()
    },
  }
}

async function tigerBeetle(): Promise<Store> {
  const cluster = await openTestTigerBeetle()
  return {
    open: () => createTigerBeetleLedger({ ...cluster, log: silentLogger, outcomeTimeoutMs: 60_000 }),
    close: () => cluster.stop(),
  }
}

let store: Store
let ledger: Ledger

async function openLedger(create: () => Promise<Store>): Promise<void> {
  store = await create()
  ledger = await store.open()
  const account = { id: settlement, ledger: LEDGER, code: accountCode.settlement }
  assert.ok(
    (await ledger.createAccounts([{ ...account, creditsMustNotExceedDebits: true }])).every(isSuccess),
  )
}

async function closeLedger(): Promise<void> {
  await ledger.close()
  await store.close()
}

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

for (const [name, create, skip] of [
  ['Postgres', postgres, false],
  ['TigerBeetle', tigerBeetle, withoutTigerBeetle],
] as const)
  describe(`closed accounts: ${name}`, { skip }, () => {
    before(() => openLedger(create))
    after(closeLedger)

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

    test('an account that an earlier version closed, under an id that a wallet could have chosen, stays closed and pays out', async () => {
      let id = randomUUID()
      while (!isChosenId(formerTransferId('close', id, 0))) id = randomUUID()
      const account = { id, ledger: LEDGER, code: accountCode.incomingPayment }
      await ledger.createAccounts([{ ...account, debitsMustNotExceedCredits: true }])
      const closing = { kind: 'close' as const, accountId: id, ledger: LEDGER, code: 1, userData128: id }
      const events = [
        move(settlement, id, 100n),
        { ...closing, id: formerTransferId('close', id, 0) },
      ] as const
      assert.deepEqual(await ledger.createTransfers(events), ['created', 'created'])
      for (let times = 0; times < 2; times++) await closeForGood({ ledger }, account)
      const through = () => moveThroughClosed({ ledger }, account, move(id, settlement, 50n))
      assert.deepEqual([await through(), await through()], ['created', 'created'])
      const { debitsPosted, closed: isClosed } = await find(id)
      assert.deepEqual([debitsPosted, isClosed], [100n, true])
    })

    test('what was taken beside it under such an id is no close', async () => {
      let account = await closed()
      while (!isChosenId(formerTransferId('close', account.id, 1))) account = await closed()
      const taken = { ...move(settlement, account.id, 1n), id: formerTransferId('close', account.id, 1) }
      const others = { id: randomUUID(), ledger: LEDGER, code: accountCode.assetLiquidity }
      await ledger.createAccounts([others])
      assert.deepEqual(await ledger.createTransfers([{ ...taken, creditAccountId: others.id }]), ['created'])
      const through = () => moveThroughClosed({ ledger }, account, move(account.id, settlement, 50n))
      assert.deepEqual([await through(), await through()], ['created', 'created'])
    })

    test('many movements at once through one closed account: each happens, once, and it ends closed', async () => {
      const account = await closed()
      const others = [await store.open(), await store.open()]
      try {
        const clients = [ledger, ...others]
        const events = Array.from({ length: 10 }, () => move(account.id, settlement, 7n))
        const statuses = await Promise.all(
          [...events, ...events].map((event, index) =>
            moveThroughClosed({ ledger: clients[index % 3] as Ledger }, account, event),
          ),
        )
        assert.ok(statuses.every(isSuccess), statuses.join(' '))
        const { debitsPosted, closed: isClosed } = await find(account.id)
        assert.deepEqual([debitsPosted, isClosed], [70n, true])
      } finally {
        for (const other of others) await other.close()
      }
    })
  })
