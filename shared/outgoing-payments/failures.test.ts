import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, silentLogger } from '../platform/index.ts'
import { QuoteRefusal } from '../quotes/index.ts'
import { ReceiverRefusal } from '../receivers/index.ts'
import {
  type FailureClass,
  failureClass,
  failureOf,
  failureOfError,
  reportedFailure,
  retryAfter,
} from './failures.ts'

const now = new Date('2031-05-04T03:00:00.000Z')
const inMs = (milliseconds: number) => new Date(now.getTime() + milliseconds)
const input = { stateAttempts: 0, attemptsMax: 5, quoteExpiresAt: inMs(300_000), now, random: 0 }
const failure = (type: FailureClass) => ({ code: 'some_code', message: 'some words', class: type })

// Independent of the table in the code: what an operator reads in the list of errors.
test('F23: every failure has its class', () => {
  assert.deepEqual(failureClass, {
    quote_expired: 'fatal',
    receiver_completed: 'fatal',
    receiver_expired: 'fatal',
    receiver_unpayable: 'fatal',
    unknown_receiver: 'fatal',
    invalid_receiver_url: 'fatal',
    unknown_wallet_address: 'fatal',
    receiver_wrong_state: 'fatal',
    receiver_forbidden: 'retry',
    receiver_refused: 'retry',
    receiver_unreachable: 'retry',
    destination_asset_conflict: 'fatal',
    connector_unavailable: 'wait',
    internal_error: 'retry',
  })
  assert.equal(failureOf('receiver_unreachable', 'words').class, 'retry')
  const reported = { code: 'x', message: 'y' }
  assert.equal(reportedFailure({ ...reported, retryable: true }).class, 'retry')
  assert.equal(reportedFailure({ ...reported, retryable: false }).class, 'fatal')
})

test('F23: counted attempts wait ten seconds longer each time, a minute at most, and end at the limit', () => {
  const waits = [0, 1, 2, 3, 4, 5, 6, 20].map((stateAttempts) => {
    const retry = retryAfter(failure('retry'), { ...input, stateAttempts, attemptsMax: 100 })
    assert.ok(retry?.counted)
    return retry.at.getTime() - now.getTime()
  })
  assert.deepEqual(waits, [10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 60_000, 60_000])
  assert.equal(retryAfter(failure('retry'), { ...input, stateAttempts: 4 }), undefined)
  assert.ok(retryAfter(failure('retry'), { ...input, stateAttempts: 3 }))
})

test('F23: nothing is tried again after a fatal failure, nor a counted one after the quote is over', () => {
  assert.equal(retryAfter(failure('fatal'), input), undefined)
  assert.equal(retryAfter(failure('retry'), { ...input, quoteExpiresAt: now }), undefined)
})

test('waits are short and free; around the expiry they leave time for a slice to end, after it they count', () => {
  assert.deepEqual(retryAfter(failure('wait'), input), { at: inMs(1_000), counted: false })
  assert.deepEqual(retryAfter(failure('wait'), { ...input, random: 0.5 }), {
    at: inMs(1_500),
    counted: false,
  })
  const soon = { ...input, quoteExpiresAt: inMs(1_000) }
  assert.deepEqual(retryAfter(failure('wait'), soon), { at: inMs(6_000), counted: false })
  const over = { ...input, quoteExpiresAt: now }
  assert.deepEqual(retryAfter(failure('wait'), over), { at: inMs(6_000), counted: true })
})

test('F23: what is no matter of the payment goes through to the queue', () => {
  const classify = (error: unknown) => failureOfError(error, silentLogger, 'id')
  const lost = new Fault('database_unavailable', { retryable: true })
  assert.throws(() => classify(lost), lost)
  const unknown = new Fault('ledger_outcome_unknown', { retryable: true })
  assert.throws(() => classify(unknown), unknown)
  assert.equal(classify(new Fault('connector_unavailable', { retryable: true })).class, 'wait')
  assert.equal(classify(new Fault('receiver_unreachable', { retryable: true })).class, 'retry')
  assert.equal(classify(new Fault('secret_unreadable', { retryable: false })).class, 'fatal')
  assert.equal(classify(new ReceiverRefusal('unknown_receiver')).class, 'fatal')
  assert.deepEqual(classify(new TypeError('x is undefined')), {
    code: 'internal_error',
    message: 'an internal error: see the log',
    class: 'retry',
  })
})

test('words that the database does not take are made such that it does, whoever says them', () => {
  const message = 'a\0b\uD800'
  for (const error of [
    new Fault('some_fault', { retryable: false, message }),
    new Fault('receiver_unreachable', { retryable: true, message }),
    new ReceiverRefusal('unknown_receiver', { message }),
    new QuoteRefusal('invalid_amount', { message }),
  ])
    assert.equal(failureOfError(error, silentLogger, 'id').message, 'a\uFFFDb\uFFFD')
  assert.equal(reportedFailure({ code: 'x', message, retryable: false }).message, 'a\uFFFDb\uFFFD')
})
