import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createDb, type Db, silentLogger, sql } from '../../platform/index.ts'
import { createTestDatabase } from '../../testing/index.ts'
import { auditLedger } from '../audit.ts'
import { accountCode, isSuccess, type LedgerId, settlementAccountId } from '../port.ts'
import { createPostgresLedger } from './ledger.ts'

/** As a process from before migration 0004 applies one posted transfer of 5 with code 1. */
const applyAsBefore = (db: Db, id: LedgerId, from: LedgerId, to: LedgerId): Promise<boolean> =>
  db.one(
    (row) => row.applied as boolean,
    sql`select ledger.apply_clean(null, array[1], array[${from}, ${to}]::uuid[], array[1, 1], array[0, 0], array[5, 0],
      array[0, 0], array[0, 5], array[5, 0], array[0, 5], array[uuid_send(${id}), ''], array['', uuid_send(${id})],
      array['', '']::bytea[], array[${id}]::uuid[], array[0 + 8 * 1], array[1], array[2], array[0], array[5], array[0],
      array[0], array[null]::integer[], array[null]::integer[], array[null]::integer[], array[null]::uuid[], '{}', '{}',
      '{}', '{}', '{}', '{}', '{}', '{}') as applied`,
  )

test('processes from before closes took the fast path share the books, and a closed account is closed for them too', async () => {
  const { connectionString, drop } = await createTestDatabase('ledger')
  const db = createDb({ connectionString, poolSizeMax: 1 })
  const ledger = createPostgresLedger({ connectionString, log: silentLogger, path: 'clean' })
  try {
    const [settlement, to] = [settlementAccountId(1), randomUUID()]
    const accounts = [settlement, to].map((id) => ({ id, ledger: 1, code: accountCode.peer }))
    assert.ok((await ledger.createAccounts(accounts)).every(isSuccess))
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
    assert.equal(await applyAsBefore(db, first, settlement, to), true)
    const [stored] = await ledger.lookupTransfers([first])
    assert.deepEqual([stored?.kind, stored?.code, stored?.amount], ['posted', 1, 5n])
    const close = { kind: 'close' as const, id: randomUUID(), accountId: to, ledger: 1, code: 1 }
    assert.deepEqual(await ledger.createTransfers([close]), ['created'])
    assert.equal(await applyAsBefore(db, second, settlement, to), false)
    const reopen = { kind: 'void' as const, id: randomUUID(), pendingId: close.id }
    assert.deepEqual(await ledger.createTransfers([reopen]), ['created'])
    assert.equal(await applyAsBefore(db, third, settlement, to), true)
    const [account] = await ledger.lookupAccounts([to])
    assert.equal(account?.creditsPosted, 10n)
    assert.deepEqual(await auditLedger(connectionString), [])
  } finally {
    await ledger.close()
    await db.close()
    await drop()
  }
})
