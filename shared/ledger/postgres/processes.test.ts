import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../platform/index.ts'
import { createTestDatabase, type TestDatabase } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import {
  accountCode,
  availableCredit,
  type CloseTransfer,
  type CreateTransferStatus,
  isSuccess,
  type LedgerId,
  settlementAccountId,
  type TransferEvent,
} from '../port.ts'
import { createPostgresLedger, type PostgresLedger } from './ledger.ts'

const PROCESSES = 3
const USD = 1
const EUR = 2
const client = fileURLToPath(new URL('./processes.client.ts', import.meta.url))

let database: TestDatabase
let ledger: PostgresLedger

before(async () => {
  database = await createTestDatabase('ledger')
  ledger = createPostgresLedger({ connectionString: database.connectionString, log: silentLogger })
  const settlements = [USD, EUR].map((number) => ({
    id: settlementAccountId(number),
    ledger: number,
    code: accountCode.settlement,
  }))
  assert.ok((await ledger.createAccounts(settlements)).every(isSuccess))
})

after(async () => {
  await ledger.close()
  assert.deepEqual(await auditLedger(database.connectionString), [])
  await database.drop()
})

async function open(number: number, balance: bigint): Promise<LedgerId> {
  const id = randomUUID()
  const account = { id, ledger: number, code: accountCode.peer, debitsMustNotExceedCredits: true }
  assert.deepEqual(await ledger.createAccounts([account]), ['created'])
  if (balance > 0n) {
    const deposit = posted(number, settlementAccountId(number), id, balance)
    assert.deepEqual(await ledger.createTransfers([deposit]), ['created'])
  }
  return id
}

const posted = (
  number: number,
  debitAccountId: LedgerId,
  creditAccountId: LedgerId,
  amount: bigint,
): TransferEvent => ({
  kind: 'posted',
  id: randomUUID(),
  debitAccountId,
  creditAccountId,
  ledger: number,
  code: 1,
  amount,
})

const close = (accountId: LedgerId, linked = false): CloseTransfer => ({
  kind: 'close',
  id: randomUUID(),
  accountId,
  ledger: USD,
  code: 1,
  linked,
})

/** Each process gets its chains, and all begin once all are up and have looked up what they are to know. */
async function runProcesses(
  chainsOf: (process: number) => TransferEvent[][],
  lookups: LedgerId[] = [],
): Promise<CreateTransferStatus[][][]> {
  const children = Array.from({ length: PROCESSES }, () => fork(client, { serialization: 'advanced' }))
  try {
    await Promise.all(children.map((child) => once(child, 'message')))
    return await Promise.all(
      children.map(async (child, index) => {
        child.send({ connectionString: database.connectionString, lookups, chains: chainsOf(index) })
        const [results] = await once(child, 'message')
        return results as CreateTransferStatus[][]
      }),
    )
  } finally {
    for (const child of children) child.kill()
  }
}

const available = async (id: LedgerId) => {
  const [account] = await ledger.lookupAccounts([id])
  assert.ok(account)
  return availableCredit(account)
}

test('F4: processes that drain an account together never overdraw it', async () => {
  const [from, to] = [await open(USD, 100n), await open(USD, 0n)]
  const results = await runProcesses(() => Array.from({ length: 64 }, () => [posted(USD, from, to, 10n)]))
  const statuses = results.flat(2)
  assert.equal(statuses.filter((status) => status === 'created').length, 10)
  assert.equal(statuses.filter((status) => status === 'exceeds_credits').length, 64 * PROCESSES - 10)
  assert.equal(await available(from), 0n)
  assert.equal(await available(to), 100n)
})

test('F27: chains over two ledgers in opposite orders from several processes do not deadlock', async () => {
  const [a, b] = [await open(USD, 1000n), await open(USD, 1000n)]
  const [x, y] = [await open(EUR, 1000n), await open(EUR, 1000n)]
  const results = await runProcesses((process) =>
    Array.from({ length: 100 }, (_, index) => {
      const [usd, eur] =
        (process + index) % 2
          ? [posted(USD, a, b, 1n), posted(EUR, x, y, 1n)]
          : [posted(USD, b, a, 1n), posted(EUR, y, x, 1n)]
      return index % 3 ? [{ ...usd, linked: true }, eur] : [{ ...eur, linked: true }, usd]
    }),
  )
  assert.ok(results.flat(2).every((status) => status === 'created'))
  assert.equal((await available(a)) + (await available(b)), 2000n)
})

test('F27: a ring of eight accounts, 64 chains from each process in both directions: nobody sees a deadlock', async () => {
  const ring = await Promise.all(Array.from({ length: 8 }, () => open(USD, 1000n)))
  const at = (index: number): LedgerId => ring[index % ring.length] ?? ''
  const results = await runProcesses((process) =>
    Array.from({ length: 64 }, (_, index) => {
      const step = (index + process) % 2 === 0 ? 1 : ring.length - 1
      const first = posted(USD, at(index), at(index + step), 1n)
      return [{ ...first, linked: true }, posted(USD, at(index + step), at(index + 2 * step), 1n)]
    }),
  )
  const statuses = results.flat(2)
  assert.equal(statuses.length, PROCESSES * 64 * 2)
  assert.deepEqual(new Set(statuses), new Set(['created']))
  const balances = await Promise.all(ring.map(available))
  assert.equal(
    balances.reduce((sum, balance) => sum + balance, 0n),
    8000n,
  )
})

test('F39: the same chains sent by every process are applied once', async () => {
  const [from, to] = [await open(USD, 1000n), await open(USD, 0n)]
  const chains = Array.from({ length: 50 }, (): TransferEvent[] => {
    const first = posted(USD, from, to, 3n)
    return [{ ...first, linked: true }, posted(USD, to, from, 1n)]
  })
  const results = await runProcesses(() => chains)
  assert.ok(results.flat(2).every(isSuccess))
  for (const index of chains.keys()) {
    const created = results.filter((statuses) => statuses[index]?.every((status) => status === 'created'))
    assert.equal(created.length, 1, `chain ${index}`)
  }
  assert.equal(await available(to), 100n)
})

test('an id that two processes use on different ledgers at once belongs to one of them', async () => {
  const [a, b] = [await open(USD, 1000n), await open(USD, 0n)]
  const [x, y] = [await open(EUR, 1000n), await open(EUR, 0n)]
  const ids = Array.from({ length: 60 }, () => randomUUID())
  const results = await runProcesses((process) =>
    ids.map((id) => [{ ...(process % 2 ? posted(USD, a, b, 1n) : posted(EUR, x, y, 1n)), id }]),
  )
  for (const index of ids.keys()) {
    const statuses = results.map((result) => result[index]?.[0])
    assert.equal(statuses.filter((status) => status === 'created').length, 1, statuses.join(' '))
    assert.ok(statuses.includes('exists_with_different_fields'), statuses.join(' '))
  }
  assert.equal((await available(b)) + (await available(y)), BigInt(ids.length))
})

test('F25: money that several processes send to accounts which they close meanwhile came before, or not at all', async () => {
  const rich = await open(USD, 100_000n)
  const targets = await Promise.all(Array.from({ length: 8 }, () => open(USD, 0n)))
  const at = (index: number): LedgerId => targets[index % targets.length] ?? ''
  const results = await runProcesses((process) =>
    Array.from({ length: 120 }, (_, index) =>
      index === 30 + 20 * process ? targets.map((id) => close(id)) : [posted(USD, rich, at(index), 1n)],
    ),
  )
  const closes = results.flatMap((chains) => chains.filter((chain) => chain.length > 1)).flat()
  assert.equal(closes.filter((status) => status === 'created').length, targets.length)
  assert.equal(
    closes.filter((status) => status === 'credit_account_already_closed').length,
    2 * targets.length,
  )
  const payments = results.flatMap((chains) => chains.filter((chain) => chain.length === 1)).flat()
  const paid = payments.filter((status) => status === 'created').length
  assert.equal(
    payments.filter((status) => status === 'credit_account_already_closed').length,
    payments.length - paid,
  )
  const balances = await Promise.all(targets.map(available))
  assert.equal(
    balances.reduce((sum, balance) => sum + balance, 0n),
    BigInt(paid),
  )
})

test('F26: of processes that open one closed account at the same time one does, and it ends closed', async () => {
  const [to, ...accounts] = await Promise.all([
    open(USD, 0n),
    ...Array.from({ length: 20 }, () => open(USD, 100n)),
  ])
  const closes = accounts.map((id) => close(id))
  assert.ok((await ledger.createTransfers(closes)).every(isSuccess))
  const results = await runProcesses(
    () =>
      closes.map(({ id, accountId }) => [
        { kind: 'void', id: randomUUID(), pendingId: id, linked: true },
        { ...posted(USD, accountId, to, 1n), linked: true },
        close(accountId),
      ]),
    closes.map(({ id }) => id),
  )
  for (const index of closes.keys()) {
    const statuses = results.map((chains) => chains[index])
    assert.equal(statuses.filter((chain) => chain?.every((status) => status === 'created')).length, 1)
    assert.equal(
      statuses.filter((chain) => chain?.[0] === 'pending_transfer_already_voided').length,
      PROCESSES - 1,
    )
  }
  assert.equal(await available(to), BigInt(accounts.length))
  for (const account of await ledger.lookupAccounts(accounts)) assert.equal(account?.closed, true)
})
