import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { accountCode, type TransferEvent } from '../port.ts'
import { encodeAccount, encodeTransfer } from './encode.ts'
import { accountFlag, type NativeTransfer } from './native.ts'
import { findRepeats, isSameAccount, isSameTransfer } from './repeats.ts'

const pending = encodeTransfer({
  kind: 'pending',
  id: randomUUID(),
  debitAccountId: randomUUID(),
  creditAccountId: randomUUID(),
  ledger: 1,
  code: 1,
  amount: 10n,
  timeoutSeconds: 9,
  userData128: randomUUID(),
  userData64: 8n,
  userData32: 7,
})
const uuidOf = (id: bigint) =>
  id
    .toString(16)
    .padStart(32, '0')
    .replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** As TigerBeetle stores a post or void of it: what was left out is there. */
const resolved = (event: TransferEvent, amount: bigint): NativeTransfer => {
  const sent = encodeTransfer(event)
  return {
    ...sent,
    debit_account_id: pending.debit_account_id,
    credit_account_id: pending.credit_account_id,
    ledger: 1,
    code: 1,
    amount,
    user_data_128: sent.user_data_128 || pending.user_data_128,
    user_data_64: sent.user_data_64 || pending.user_data_64,
    user_data_32: sent.user_data_32 || pending.user_data_32,
    timestamp: 3n,
  }
}

test('F40: a post or void is the same with what it inherits, written out or not', () => {
  const of = { id: randomUUID(), pendingId: uuidOf(pending.id) }
  const whole: TransferEvent = { ...of, kind: 'post' }
  const part: TransferEvent = { ...of, kind: 'post', amount: 4n }
  const voided: TransferEvent = { ...of, kind: 'void' }
  const isSame = (asked: TransferEvent, stored: NativeTransfer, known = [pending, stored]) =>
    isSameTransfer(encodeTransfer(asked), new Map(known.map((transfer) => [transfer.id, transfer])))

  for (const [event, amount] of [
    [whole, 10n],
    [part, 4n],
    [voided, 10n],
  ] as const) {
    const stored = resolved(event, amount)
    assert.ok(isSame(event, stored))
    assert.ok(isSame({ ...event, userData32: 7, userData64: 8n }, stored))
    assert.ok(!isSame({ ...event, userData32: 6 }, stored))
    assert.ok(!isSame({ ...event, userData64: 6n }, stored))
    assert.ok(!isSame({ ...event, userData128: randomUUID() }, stored))
    assert.ok(!isSame({ ...event, pendingId: randomUUID() }, stored))
    assert.ok(!isSame({ ...event, linked: true }, stored))
    assert.ok(!isSame(event, stored, [stored]), 'its pending transfer must be known')
    assert.ok(!isSame(event, stored, [pending]))
  }
  assert.ok(isSame({ ...whole, amount: 10n }, resolved(whole, 10n)))
  assert.ok(!isSame(part, resolved(part, 5n)))
  assert.ok(!isSame(whole, resolved(part, 4n)))
  assert.ok(!isSame(voided, resolved(whole, 10n)))
})

test('an account that was closed since is still the one that was created', () => {
  const account = { id: randomUUID(), ledger: 1, code: accountCode.settlement, userData64: 5n }
  const stored = encodeAccount(account)
  const closed = { ...stored, flags: stored.flags | accountFlag.closed }
  assert.ok(isSameAccount(stored, closed))
  assert.ok(!isSameAccount(encodeAccount({ ...account, linked: true }), closed))
  assert.ok(!isSameAccount(encodeAccount({ ...account, userData64: 6n }), closed))
  assert.ok(!isSameAccount(encodeAccount({ ...account, ledger: 2 }), closed))
  assert.ok(!isSameAccount(encodeAccount({ ...account, debitsMustNotExceedCredits: true }), closed))
  assert.ok(!isSameAccount(stored, undefined))
})

test('F39: chains that may be repeats are found whole; open ones are none', () => {
  const events = [0, 1, 0, 1, 1, 0, 1].map((flags) => ({ flags }))
  const any = () => true
  assert.deepEqual(findRepeats(events, 1, any), [
    { first: 0, end: 1 },
    { first: 1, end: 3 },
    { first: 3, end: 6 },
  ])
  assert.deepEqual(
    findRepeats(events, 2, (first) => first !== 1),
    [{ first: 3, end: 6 }],
  )
  assert.deepEqual(findRepeats([], 1, any), [])
})
