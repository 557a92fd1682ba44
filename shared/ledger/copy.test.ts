import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createDb, type DbPool, type Sql, silentLogger, sql } from '../platform/index.ts'
import {
  createTestDatabase,
  type TestClock,
  type TestDatabase,
  testClock,
  untilUnused,
} from '../testing/index.ts'
import { compareLedgers } from './compare.ts'
import { assertSound, copyLedger } from './copy.ts'
import { createFakeCopyTarget } from './fake-copy-target.ts'
import { type PopulatedLedger, populateLedger } from './populate.ts'
import { accountCode, type PendingTransfer, settlementAccountId } from './port.ts'
import { openPostgresContents, type PostgresContents } from './postgres/contents.ts'
import { createPostgresLedger, type PostgresLedger } from './postgres/ledger.ts'

const names = ['one', 'other'] as const

let database: TestDatabase
let db: DbPool
let held: PopulatedLedger
const opened: PostgresContents[] = []

const openLedger = (clock?: TestClock): PostgresLedger =>
  createPostgresLedger({
    connectionString: database.connectionString,
    log: silentLogger,
    sweepIntervalMs: 0,
    ...(clock && { clock }),
  })
/** The ledger as it is now. */
const look = async (): Promise<PostgresContents> => {
  const contents = await openPostgresContents(database.connectionString)
  opened.push(contents)
  return contents
}
const hold = (timeoutSeconds: number): PendingTransfer => ({
  kind: 'pending',
  id: randomUUID(),
  debitAccountId: settlementAccountId(1),
  creditAccountId: held.open,
  ledger: 1,
  code: 1,
  amount: 5n,
  timeoutSeconds,
})
const use = async (work: (ledger: PostgresLedger) => Promise<string[]>) => {
  const ledger = openLedger()
  const statuses = await work(ledger)
  assert.ok(
    statuses.every((status) => status === 'created'),
    statuses.join(),
  )
  await ledger.close()
  await untilUnused(database.connectionString)
}

beforeEach(async () => {
  database = await createTestDatabase('ledger')
  db = createDb({ connectionString: database.connectionString })
  const clock = testClock(new Date('2025-03-02T01:00:00.000Z'))
  const ledger = openLedger(clock)
  held = await populateLedger(ledger, async (seconds) => clock.advance(seconds * 1000))
  await ledger.close()
  await untilUnused(database.connectionString)
})
afterEach(async () => {
  for (const contents of opened.splice(0)) await contents.close()
  await db.close()
  await database.drop()
})

const writtenTo = { code: 'ledger_in_use', message: /written to meanwhile/ }

describe('copyLedger', () => {
  test('the copy is equal, chains whole, timestamps strict, and a second run adds nothing', async () => {
    // Nobody swept since: looking at it does.
    const source = await look()
    await assertSound(database.connectionString)
    const target = createFakeCopyTarget(testClock())
    const copied = await copyLedger(source, target)
    assert.equal(copied.accounts, held.accounts.length)
    const result = await compareLedgers([source, target], { names })
    assert.deepEqual([result.differences, result.differenceCount], [[], 0])
    assert.equal(result.transfers, copied.transfers)
    await copyLedger(await look(), target)
    assert.deepEqual((await compareLedgers([source, target], { names })).differences, [])
  })

  test('pages are read one after the other, also where a chain goes from one to the next', async () => {
    await use(async (ledger) => {
      const statuses: string[] = []
      for (let call = 0; call < 5; call++) {
        const chains = Array.from({ length: 999 }, (_, index) => ({
          ...hold(0),
          kind: 'posted' as const,
          linked: index % 3 !== 2,
        }))
        statuses.push(...(await ledger.createTransfers(chains)))
      }
      return statuses
    })
    const source = await look()
    const pages: number[] = []
    for await (const page of source.transfers()) pages.push(page.length)
    assert.ok(pages.length > 2, pages.join())
    const target = createFakeCopyTarget(testClock())
    const copied = await copyLedger(source, target)
    assert.equal(
      copied.transfers,
      pages.reduce((sum, size) => sum + size, 0),
    )
    const result = await compareLedgers([source, target], { names })
    assert.deepEqual([result.differences, result.transfers], [[], copied.transfers])
  })

  test('what was written after a copy is added by the next one, behind the rest', async () => {
    const target = createFakeCopyTarget(testClock())
    await copyLedger(await look(), target)
    await use((ledger) =>
      ledger.createTransfers([
        { ...hold(0), kind: 'posted' },
        { ...hold(0), kind: 'posted', linked: true },
        { ...hold(0), kind: 'posted' },
      ]),
    )
    const source = await look()
    await copyLedger(source, target)
    assert.deepEqual((await compareLedgers([source, target], { names })).differences, [])
  })

  test('a ledger that somebody has open, or writes to meanwhile, is refused', async () => {
    const ledger = openLedger()
    await ledger.lookupAccounts([held.open])
    await assert.rejects(copyLedger(await look(), createFakeCopyTarget(testClock())), {
      code: 'ledger_in_use',
      message: /connections/,
    })
    await ledger.close()
    await untilUnused(database.connectionString)

    const moved = await look()
    await use((writer) => writer.createTransfers([{ ...hold(0), kind: 'posted' }]))
    await assert.rejects(copyLedger(moved, createFakeCopyTarget(testClock())), writtenTo)
    // During the copy: seen at its end.
    const late = await look()
    const meanwhile = {
      ...createFakeCopyTarget(testClock()),
      copyAccounts: () =>
        use((writer) => writer.createAccounts([{ id: randomUUID(), ledger: 9, code: accountCode.peer }])),
      copyTransfers: async () => undefined,
    }
    await assert.rejects(copyLedger(late, meanwhile), writtenTo)
  })

  test('reservations that are under way are refused, by their ids; those that ran out are released', async () => {
    const [brief, long] = [hold(1), hold(3600)]
    await use((ledger) => ledger.createTransfers([brief, long]))
    await db.execute(
      sql`update ledger.holds set expires_at = now() - interval '1 second' where id = ${brief.id}`,
    )
    const target = createFakeCopyTarget(testClock())
    await assert.rejects(copyLedger(await look(), target), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ledger_holds_open')
      assert.match(error.message, new RegExp(`${long.id}: 5 of account ${settlementAccountId(1)} until`))
      assert.doesNotMatch(error.message, new RegExp(brief.id))
      return true
    })
    await use((ledger) => ledger.createTransfers([{ kind: 'void', id: randomUUID(), pendingId: long.id }]))
    const source = await look()
    await copyLedger(source, target)
    assert.deepEqual((await compareLedgers([source, target], { names })).differences, [])
  })

  test('a target that holds anything else is refused, and nothing is written there', async () => {
    const other = { ...(await look()), isCopy: async () => false }
    const untouched = {
      copyAccounts: () => assert.fail('nothing is written'),
      copyTransfers: () => assert.fail('nothing is written'),
    }
    await assert.rejects(copyLedger(await look(), { ...other, ...untouched }), { code: 'target_differs' })

    const same = { ...(await look()), isCopy: async () => true, ...untouched }
    await db.execute(sql`update ledger.accounts set code = 5 where id = ${held.open}`)
    await assert.rejects(copyLedger(await look(), same), {
      code: 'target_differs',
      message: new RegExp(`account ${held.open}: code 5 and 1`),
    })
    await db.execute(sql`update ledger.accounts set code = 1, id = ${randomUUID()} where id = ${held.open}`)
    await assert.rejects(copyLedger(await look(), same), {
      code: 'target_differs',
      message: new RegExp(`account ${held.open}: not an account of this node`),
    })
  })

  test('books that do not hold are not copied', async () => {
    await db.execute(
      sql`update ledger.accounts set credits_posted = credits_posted + 1 where id = ${held.open}`,
    )
    await assert.rejects(assertSound(database.connectionString), {
      code: 'ledger_not_sound',
      message: new RegExp(held.open),
    })
  })
})

describe('compareLedgers', () => {
  const differencesAfter = async (...changes: Sql[]): Promise<string> => {
    const before = await look()
    for (const change of changes) await db.execute(change)
    const result = await compareLedgers([before, await look()], { names })
    assert.equal(result.differenceCount, result.differences.length)
    return result.differences.join('\n')
  }

  test('a ledger is equal to itself, counted up', async () => {
    const result = await compareLedgers([await look(), await look()], { names })
    assert.deepEqual(result.differences, [])
    assert.deepEqual(
      result.totals.map(({ ledger, accounts }) => [ledger, accounts]),
      [
        [1, 6],
        [2, 3],
        [77, 2],
      ],
    )
    const { debitsPosted, creditsPosted } = result.totals[2] ?? {}
    assert.deepEqual([debitsPosted, creditsPosted], [2n ** 65n - 2n, 2n ** 65n - 2n])
  })

  test('a balance that was changed is found, and that its ledger does not balance', async () => {
    const text = await differencesAfter(
      sql`update ledger.accounts set credits_posted = credits_posted + 1 where id = ${held.open}`,
    )
    assert.match(text, new RegExp(`account ${held.open}: creditsPosted 793 and 794`))
    assert.match(text, /ledger 1 of other: debits posted/)
  })

  for (const [column, value] of [
    ['code', sql`code = 9`],
    ['debitsMustNotExceedCredits', sql`debits_must_not_exceed_credits = false`],
    ['userData128', sql`user_data_128 = id`],
    ['userData64', sql`user_data_64 = 0`],
    ['userData32', sql`user_data_32 = 0`],
    ['closed', sql`closed = true`],
    ['linked', sql`linked = true`],
  ] as const)
    test(`an account with another ${column} is found`, async () => {
      const text = await differencesAfter(sql`update ledger.accounts set ${value} where id = ${held.open}`)
      assert.match(text, new RegExp(`^account ${held.open}: ${column} `))
    })

  for (const [column, value] of [
    ['code', sql`code = 9`],
    ['amount', sql`amount = amount + 1`],
    ['userData128', sql`user_data_128 = id`],
    ['userData64', sql`user_data_64 = 0`],
    ['userData32', sql`user_data_32 = 0`],
    ['linked', sql`linked = true`],
    ['debitAccountId', sql`debit_account_id = id`],
    ['creditAccountId', sql`credit_account_id = id`],
  ] as const)
    test(`a transfer with another ${column} is found`, async () => {
      const text = await differencesAfter(
        sql`update ledger.transfers set ${value} where id = ${held.deposit.id}`,
      )
      assert.match(text, new RegExp(`^transfer ${held.deposit.id}: ${column} `))
    })

  test('another state of a reservation is found', async () => {
    const text = await differencesAfter(
      sql`update ledger.holds set posted = voided, voided = posted where id = ${held.voided.id}
        or position(uuid_send(${held.voided.id}::uuid) in transfer_ids) > 0`,
    )
    assert.match(text, new RegExp(`transfer ${held.voided.id}: state voided and posted`))
  })

  test('what only one of the two has is found, from either side', async () => {
    const [first, second] = [
      await look(),
      await (async () => {
        await use((ledger) => ledger.createTransfers([{ ...hold(0), kind: 'posted', id: held.payment }]))
        await use((ledger) =>
          ledger.createAccounts([{ id: held.payment, ledger: 1, code: accountCode.peer }]),
        )
        return await look()
      })(),
    ]
    const there = await compareLedgers([first, second], { names })
    assert.ok(there.differences.includes(`account ${held.payment}: only in other`))
    assert.ok(there.differences.includes(`transfer ${held.payment}: only in other`))
    const back = await compareLedgers([second, first], { names })
    assert.ok(back.differences.includes(`account ${held.payment}: only in one`))
    assert.ok(back.differences.includes(`transfer ${held.payment}: only in one`))
    const few = await compareLedgers([second, first], { names, differencesMax: 1 })
    assert.equal(few.differences.length, 1)
    assert.equal(few.differenceCount, back.differenceCount)
  })
})
