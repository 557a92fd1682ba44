import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { silentLogger } from '../platform/index.ts'
import {
  createTestDatabase,
  startTestTigerBeetle,
  type TestDatabase,
  testClock,
  untilUnused,
  withoutTigerBeetleBinary,
} from '../testing/index.ts'
import { auditLedger, type LedgerInvariant } from './audit.ts'
import { auditContents } from './audit-contents.ts'
import type { LedgerContents, StoredAccount, StoredTransfer } from './contents.ts'
import { type PopulatedLedger, populateLedger } from './populate.ts'
import { type PostedTransfer, settlementAccountId } from './port.ts'
import { openPostgresContents, type PostgresContents } from './postgres/contents.ts'
import { createPostgresLedger, type PostgresLedger } from './postgres/ledger.ts'
import { openTigerBeetleContents } from './tigerbeetle/contents.ts'
import { createTigerBeetleLedger } from './tigerbeetle/ledger.ts'

let database: TestDatabase
let contents: PostgresContents
let held: PopulatedLedger
const openLedger = (clock = testClock(new Date('2025-03-02T01:00:00.000Z'))): PostgresLedger =>
  createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
    clock,
  })

beforeEach(async () => {
  database = await createTestDatabase('ledger')
  const clock = testClock(new Date('2025-03-02T01:00:00.000Z'))
  const ledger = openLedger(clock)
  held = await populateLedger(ledger, async (seconds) => clock.advance(seconds * 1000))
  await ledger.close()
  await untilUnused(database.connectionString)
  contents = await openPostgresContents(database.connectionString)
})
afterEach(async () => {
  await contents.close()
  await database.drop()
})

type Change<T> = (item: T) => T | undefined
/** The same ledger, as it would be read with something wrong in it. */
function spoilt(change: {
  account?: Change<StoredAccount>
  transfer?: Change<StoredTransfer>
  more?: (transfers: StoredTransfer[]) => StoredTransfer[]
}): LedgerContents {
  const changed = <T>(items: readonly T[], by: Change<T> = (item) => item) =>
    items.flatMap((item) => by(item) ?? [])
  return {
    ...contents,
    async *accounts() {
      for await (const page of contents.accounts()) yield changed(page, change.account)
    },
    async *transfers() {
      for await (const page of contents.transfers()) {
        const transfers = changed(page, change.transfer)
        yield [...transfers, ...(change.more?.(transfers) ?? [])]
      }
    },
    findAccounts: async (ids) =>
      (await contents.findAccounts(ids)).map(
        (account) => account && (change.account ?? ((same) => same))(account),
      ),
  }
}
const expectFinding = async (invariant: LedgerInvariant, change: Parameters<typeof spoilt>[0]) => {
  const { findings, movedCount } = await auditContents(spoilt(change))
  assert.ok(
    findings.some((finding) => finding.invariant === invariant && finding.message.length > 20),
    JSON.stringify(findings),
  )
  assert.equal(movedCount, 0)
}
const only =
  <T extends { id: string }>(id: string, change: (item: T) => T | undefined): Change<T> =>
  (item) =>
    item.id === id ? change(item) : item

describe('auditContents', () => {
  test('books that hold: nothing is found, all was read, and the Postgres audit says the same', async () => {
    let told = 0
    const audit = await auditContents(contents, { onTransfer: () => told++ })
    assert.deepEqual([audit.findings, audit.movedCount], [[], 0])
    assert.equal(audit.accounts, held.accounts.length)
    assert.ok(audit.transfers > 10 && told === audit.transfers)
    assert.deepEqual(await auditLedger(database.connectionString), [])
  })

  test('money from nowhere', () =>
    expectFinding('conservation', {
      account: only(held.open, (account) => ({ ...account, creditsPosted: account.creditsPosted + 1n })),
    }))
  test('a running balance that its transfers do not explain', () =>
    expectFinding('balances_follow_transfers', {
      account: only(held.open, (account) => ({ ...account, creditsPosted: account.creditsPosted + 1n })),
    }))
  test('accounts beyond their limits', async () => {
    await expectFinding('no_overdraft', {
      account: only(held.open, (account) => ({ ...account, debitsPosted: account.creditsPosted + 1n })),
    })
    await expectFinding('no_overdraft', {
      account: only(settlementAccountId(1), (account) => ({
        ...account,
        creditsMustNotExceedDebits: true,
        creditsPending: account.debitsPosted + 1n,
      })),
    })
    await expectFinding('no_overdraft', {
      account: only(held.open, (account) => ({ ...account, debitsPending: -1n })),
    })
  })
  test('a transfer that vanished, or moved another amount', async () => {
    await expectFinding('balances_follow_transfers', {
      transfer: only<StoredTransfer>(held.deposit.id, () => undefined),
    })
    await expectFinding('balances_follow_transfers', {
      transfer: only(held.deposit.id, (transfer) => ({ ...transfer, amount: transfer.amount + 1n })),
    })
  })
  test('a transfer of an account that is not there', () => {
    const nobody = randomUUID()
    return expectFinding('balances_follow_transfers', {
      transfer: only(held.deposit.id, (transfer) => ({ ...transfer, creditAccountId: nobody })),
    })
  })
  test('a reservation that is said to be ended otherwise than it was, or ended by nothing', async () => {
    for (const state of ['voided', 'expired'] as const)
      await expectFinding('reservations', {
        transfer: only(held.posted.id, (transfer) => ({ ...transfer, state })),
      })
    await expectFinding('reservations', { transfer: only<StoredTransfer>(held.post.id, () => undefined) })
  })
  test('a post of more than was reserved, of another account, of nothing, or a second one', async () => {
    await expectFinding('reservations', {
      transfer: only(held.post.id, (transfer) => ({ ...transfer, amount: held.posted.amount + 1n })),
    })
    await expectFinding('reservations', {
      transfer: only(held.post.id, (transfer) => ({ ...transfer, debitAccountId: held.open })),
    })
    await expectFinding('reservations', {
      transfer: only(held.post.id, (transfer) => ({ ...transfer, pendingId: randomUUID() })),
    })
    await expectFinding('reservations', {
      more: (transfers) =>
        transfers.filter(({ id }) => id === held.post.id).map((post) => ({ ...post, id: randomUUID() })),
    })
  })
  test('a reservation that is over and still held', () =>
    expectFinding('reservations', {
      transfer: only(held.expired.id, (transfer) => ({ ...transfer, state: 'pending' })),
    }))
  test('an account that is closed by nothing, or open behind what closed it', async () => {
    await expectFinding('reservations', {
      account: only(held.open, (account) => ({ ...account, closed: true })),
    })
    await expectFinding('reservations', {
      account: only(held.closed, (account) => ({ ...account, closed: false })),
    })
  })

  test('an account that moves while all is read is told as such, and is no finding', async () => {
    const later = (account: StoredAccount) =>
      account.id === held.open ? { ...account, creditsPosted: account.creditsPosted + 5n } : account
    const moving: LedgerContents = {
      ...contents,
      // Balances are read first; then money comes.
      async *transfers() {
        for await (const page of contents.transfers())
          yield page.map((transfer) =>
            transfer.id === held.deposit.id && transfer.creditAccountId === held.open
              ? { ...transfer, amount: transfer.amount + 5n }
              : transfer,
          )
      },
      findAccounts: async (ids) =>
        (await contents.findAccounts(ids)).map((account) => account && later(account)),
      async *accounts() {
        for await (const page of contents.accounts())
          yield page.map((account) =>
            account.id === held.open ? { ...account, creditsPosted: account.creditsPosted - 1n } : account,
          )
      },
    }
    const { findings, movedCount } = await auditContents(moving)
    assert.ok(movedCount > 0)
    assert.deepEqual(
      findings.filter(({ message }) => message.includes(held.open) || /^ledger/.test(message)),
      [],
    )
  })
})

test('books of a real TigerBeetle hold, at rest and in use', { skip: withoutTigerBeetleBinary }, async () => {
  const cluster = await startTestTigerBeetle()
  const options = { ...cluster, log: silentLogger }
  const ledger = await createTigerBeetleLedger(options)
  const books = await openTigerBeetleContents(options)
  try {
    const populated = await populateLedger(
      ledger,
      (seconds) => new Promise((resolve) => setTimeout(resolve, (seconds + 2) * 1000)),
    )
    const atRest = await auditContents(books)
    assert.deepEqual([atRest.findings, atRest.movedCount], [[], 0])
    assert.equal(atRest.accounts, populated.accounts.length)
    const deposit = (): PostedTransfer => ({ ...populated.deposit, id: randomUUID(), amount: 1n })
    let isOver = false
    const traffic = (async () => {
      for (let count = 0; !isOver && count < 1_000; count++)
        await ledger.createTransfers([deposit(), deposit()])
    })()
    for (let round = 0; round < 4; round++) assert.deepEqual((await auditContents(books)).findings, [])
    isOver = true
    await traffic
    const afterwards = await auditContents(books)
    assert.deepEqual([afterwards.findings, afterwards.movedCount], [[], 0])
    // The audit looks through what it is given, and believes nobody.
    const spoiltBooks: LedgerContents = {
      ...books,
      async *transfers() {
        for await (const page of books.transfers()) yield page.filter(({ id }) => id !== populated.deposit.id)
      },
    }
    assert.notDeepEqual((await auditContents(spoiltBooks)).findings, [])
  } finally {
    await books.close()
    await ledger.close()
    await cluster.stop()
  }
})
