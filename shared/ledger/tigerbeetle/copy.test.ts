import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { silentLogger } from '../../platform/index.ts'
import {
  createTestDatabase,
  type OwnTigerBeetle,
  startTestTigerBeetle,
  type TestDatabase,
  testClock,
  untilUnused,
  withoutTigerBeetleBinary,
} from '../../testing/index.ts'
import { compareLedgers } from '../compare.ts'
import { assertSound, type CopyTarget, copyLedger } from '../copy.ts'
import { type PopulatedLedger, populateLedger } from '../populate.ts'
import { type Ledger, settlementAccountId, type TransferEvent } from '../port.ts'
import { openPostgresContents } from '../postgres/contents.ts'
import { createPostgresLedger } from '../postgres/ledger.ts'
import { openTigerBeetleContents, type TigerBeetleContents } from './contents.ts'
import { createTigerBeetleLedger } from './ledger.ts'

const names = ['Postgres', 'TigerBeetle'] as const
const timing = { outcomeTimeoutMs: 60_000, silenceMsMax: 60_000, connectMsMax: 60_000 }

describe('a Postgres ledger copied into TigerBeetle', { skip: withoutTigerBeetleBinary }, () => {
  let database: TestDatabase
  let cluster: OwnTigerBeetle
  let contents: TigerBeetleContents
  let held: PopulatedLedger

  before(async () => {
    database = await createTestDatabase('ledger')
    // In the past: a copy keeps times, and TigerBeetle takes none that is to come.
    const clock = testClock(new Date('2025-03-02T01:00:00.000Z'))
    const ledger = createPostgresLedger({
      connectionString: database.connectionString,
      log: silentLogger,
      clock,
      sweepIntervalMs: 0,
    })
    held = await populateLedger(ledger, async (seconds) => clock.advance(seconds * 1000))
    await ledger.close()
    cluster = await startTestTigerBeetle()
    contents = await openTigerBeetleContents({ ...cluster, log: silentLogger })
  })
  after(async () => {
    await contents.close()
    await cluster.stop()
    await database.drop()
  })

  const withSource = async <T>(
    work: (source: Awaited<ReturnType<typeof openPostgresContents>>) => Promise<T>,
  ) => {
    const source = await openPostgresContents(database.connectionString)
    try {
      return await work(source)
    } finally {
      await source.close()
    }
  }
  const compare = () => withSource((source) => compareLedgers([source, contents], { names }))

  test('a copy that is broken off anywhere is finished by the next one, and equal', async () => {
    const { differenceCount } = await compare()
    assert.ok(differenceCount > 0, 'nothing was copied yet')
    await assertSound(database.connectionString)
    // Each run gets one event further than the one before: as if it was ended there.
    class Ended extends Error {}
    const upTo = (allowed: number): CopyTarget => {
      let made = 0
      const allow = async <T extends { linked: boolean }>(
        events: readonly T[],
        copy: (part: readonly T[]) => Promise<void>,
      ) => {
        const end = Math.min(events.length, allowed - made)
        const whole = events.slice(0, end).findLastIndex(({ linked }) => !linked) + 1
        await copy(events.slice(0, whole))
        made += events.length
        if (end < events.length) throw new Ended()
      }
      return {
        ...contents,
        copyAccounts: (accounts) => allow(accounts, contents.copyAccounts),
        copyTransfers: (transfers) => allow(transfers, contents.copyTransfers),
      }
    }
    let runs = 0
    for (let allowed = 0; ; allowed++) {
      runs++
      try {
        await withSource((source) => copyLedger(source, upTo(allowed)))
        break
      } catch (error) {
        assert.ok(error instanceof Ended, String(error))
      }
    }
    assert.ok(runs > 30, `${runs} runs`)
    const result = await compare()
    assert.deepEqual(result.differences, [])
    assert.equal(result.accounts, held.accounts.length)
    // And once more: there is nothing left to do; and after the node went on for a while: what came since is added.
    await withSource((source) => copyLedger(source, contents))
    assert.deepEqual((await compare()).differences, [])
    const ledger = createPostgresLedger({ connectionString: database.connectionString, log: silentLogger })
    const id = randomUUID()
    await ledger.createAccounts([{ id, ledger: 1, code: 4 }])
    const sent = { ...held.deposit, id: randomUUID(), creditAccountId: id }
    assert.deepEqual(await ledger.createTransfers([sent]), ['created'])
    await ledger.close()
    await untilUnused(database.connectionString)
    await withSource((source) => copyLedger(source, contents))
    const later = await compare()
    assert.deepEqual([later.differences, later.transfers], [[], result.transfers + 1])
  })

  test('what was sent to the one is known to the other, and nothing moves twice', async () => {
    const ledger = await createTigerBeetleLedger({ ...cluster, log: silentLogger, ...timing })
    try {
      await knowsEverything(ledger, held)
    } finally {
      await ledger.close()
    }
    assert.deepEqual((await compare()).differences, [])
  })

  test('the copy goes on as a ledger, and is then no target any more', async () => {
    const ledger = await createTigerBeetleLedger({ ...cluster, log: silentLogger, ...timing })
    const spend: TransferEvent = {
      kind: 'posted',
      id: randomUUID(),
      debitAccountId: held.open,
      creditAccountId: settlementAccountId(1),
      ledger: 1,
      code: 3,
      amount: 793n,
    }
    try {
      const again = {
        ...spend,
        id: randomUUID(),
        debitAccountId: held.closed,
        ledger: 2,
        creditAccountId: settlementAccountId(2),
        amount: 1n,
      }
      assert.deepEqual(await ledger.createTransfers([again]), ['debit_account_already_closed'])
      assert.deepEqual(
        await ledger.createTransfers([
          { kind: 'void', id: randomUUID(), pendingId: held.close.id, linked: true },
          { ...again, id: randomUUID() },
          { ...spend, id: randomUUID(), amount: 1n },
          spend,
        ]),
        ['created', 'created', 'created', 'exceeds_credits'],
      )
    } finally {
      await ledger.close()
    }
    const { differences } = await compare()
    assert.match(differences.join('\n'), new RegExp(`account ${held.open}: debitsPosted 0 and 1`))
    await assert.rejects(
      withSource((source) => copyLedger(source, contents)),
      { code: 'target_differs' },
    )
  })
})

/** Whatever a node may send again, or ask after it was moved. */
async function knowsEverything(ledger: Ledger, held: PopulatedLedger): Promise<void> {
  const { deposit, chain, holdChain, posted, post, voided, expired, close } = held
  assert.deepEqual(await ledger.createAccounts([held.closedAccount]), ['exists'])
  assert.deepEqual(await ledger.createAccounts([{ ...held.closedAccount, userData32: 1 }]), [
    'exists_with_different_fields',
  ])
  for (const events of [[deposit], chain, holdChain, [posted], [post], [voided], [expired], [close]])
    assert.deepEqual(
      await ledger.createTransfers(events),
      events.map(() => 'exists'),
    )
  assert.deepEqual(await ledger.createTransfers([{ ...deposit, amount: 1n }]), [
    'exists_with_different_fields',
  ])
  const resolve = (pendingId: string): TransferEvent => ({ kind: 'post', id: randomUUID(), pendingId })
  assert.deepEqual(
    await ledger.createTransfers([resolve(posted.id), resolve(voided.id), resolve(expired.id)]),
    ['pending_transfer_already_posted', 'pending_transfer_already_voided', 'pending_transfer_expired'],
  )
  const found = await ledger.lookupTransfers([posted.id, voided.id, expired.id, close.id])
  assert.deepEqual(
    found.map((transfer) => transfer?.state),
    ['posted', 'voided', 'expired', 'pending'],
  )
  const ofPayment = await ledger.queryTransfers({ userData128: held.payment, limit: 10 })
  assert.deepEqual(
    ofPayment.map(({ id }) => id),
    chain.map(({ id }) => id),
  )
}
