import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { expiryId, type StoredAccount, type StoredTransfer } from './contents.ts'
import { ZERO_ID } from './port.ts'
import { createAccountReplay, createTransferReplay } from './replay.ts'

const SECOND = 1_000_000_000n
const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const tags = { userData128: ZERO_ID, userData64: 0n, userData32: 0 }

const transfer = (number: number, fields: Partial<StoredTransfer>): StoredTransfer => ({
  id: idOf(number),
  kind: 'posted',
  debitAccountId: idOf(900),
  creditAccountId: idOf(901),
  ledger: 1,
  code: 1,
  amount: 1n,
  createdAt: new Date(0),
  linked: false,
  timestamp: 10n * SECOND,
  ...tags,
  ...fields,
})
const expired = (number: number, seconds: number, fields: Partial<StoredTransfer> = {}): StoredTransfer =>
  transfer(number, {
    kind: 'pending',
    state: 'expired',
    timeoutSeconds: 1,
    expiresAt: new Date(seconds * 1000),
    ...fields,
  })
const replayOf = (transfers: readonly StoredTransfer[], accountTimestamp = 0n): StoredTransfer[] => {
  const replay = createTransferReplay(() => accountTimestamp)
  return [...replay.next(transfers), ...replay.end()]
}
const ids = (transfers: readonly { id: string }[]) => transfers.map(({ id }) => id)

test('accounts that were made at once get even timestamps that ascend, the others their own', () => {
  const account = (number: number, timestamp: bigint): StoredAccount => ({
    id: idOf(number),
    ledger: 1,
    code: 1,
    debitsMustNotExceedCredits: false,
    creditsMustNotExceedDebits: false,
    debitsPending: 0n,
    debitsPosted: 0n,
    creditsPending: 0n,
    creditsPosted: 0n,
    closed: false,
    createdAt: new Date(0),
    linked: false,
    timestamp,
    ...tags,
  })
  const replay = createAccountReplay()
  const timestamps = [
    ...replay([account(1, 1000n), account(2, 1000n)]),
    ...replay([account(3, 1000n), account(4, 3000n)]),
  ]
  assert.deepEqual(
    timestamps.map(({ timestamp }) => timestamp),
    [1000n, 1002n, 1004n, 3000n],
  )
})

test('transfers come behind their accounts, in the given order even when clocks went back', () => {
  const replayed = replayOf([transfer(1, { timestamp: 1000n }), transfer(2, { timestamp: 500n })], 5000n)
  assert.deepEqual(
    replayed.map(({ timestamp }) => timestamp),
    [5001n, 5003n],
  )
})

test('a reservation that ran out is voided in front of the first chain that came after it, never before it was made', () => {
  const replayed = replayOf([
    // Of another ledger, numbered before the reservation and yet made after its end.
    transfer(1, { timestamp: 30n * SECOND, ledger: 2 }),
    expired(2, 20),
    expired(3, 15),
    transfer(4, { timestamp: 14n * SECOND, linked: true }),
    transfer(5, { timestamp: 14n * SECOND }),
    transfer(6, { timestamp: 20n * SECOND, linked: true }),
    transfer(7, { timestamp: 20n * SECOND }),
    expired(8, 99),
  ])
  const [first, second, third] = [2, 3, 8].map((number) => expiryId(idOf(number)))
  assert.deepEqual(
    ids(replayed),
    [1, 2, 3, 4, 5, second, first, 6, 7, 8, third].map((id) => (typeof id === 'number' ? idOf(id) : id)),
  )
  const { kind, pendingId, state, linked } = replayed[5] as StoredTransfer
  assert.deepEqual([kind, pendingId, state, linked], ['void', idOf(3), undefined, false])
})

test('pages do not matter, chains stay whole, and what is appended changes nothing before it', () => {
  const steps = fc.array(
    fc.record({ linked: fc.boolean(), seconds: fc.nat({ max: 3 }), expires: fc.option(fc.nat({ max: 5 })) }),
    { minLength: 1, maxLength: 30 },
  )
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 7 }), (drafts, pageSize) => {
      let now = 0
      const transfers = drafts.map(({ linked, seconds, expires }, index) => {
        now += seconds
        const isLast = index === drafts.length - 1
        const made = { linked: linked && !isLast, timestamp: BigInt(now) * SECOND }
        return expires === null ? transfer(index + 1, made) : expired(index + 1, now + expires, made)
      })
      const whole = replayOf(transfers)
      const replay = createTransferReplay(() => 0n)
      const paged: StoredTransfer[] = []
      for (let at = 0; at < transfers.length; at += pageSize) {
        const next = replay.next(transfers.slice(at, at + pageSize))
        assert.notEqual(next.at(-1)?.linked, true)
        paged.push(...next)
      }
      assert.deepEqual([...paged, ...replay.end()], whole)
      assert.ok(whole.every(({ timestamp }) => timestamp % 2n === 1n))
      assert.ok(whole.every(({ timestamp }, index) => timestamp > (whole[index - 1]?.timestamp ?? -1n)))
      assert.deepEqual(ids(whole.filter(({ kind }) => kind !== 'void')), ids(transfers))
      // Everything had run out when the first copy was made.
      const appended = replayOf([...transfers, transfer(500, { timestamp: 1000n * SECOND })])
      assert.deepEqual(appended.slice(0, whole.length), whole)
    }),
  )
})
