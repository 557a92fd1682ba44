import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AMOUNT_MAX, rate } from '../money/index.ts'
import { MalformedRpc } from './fields.ts'
import type { SendInput, SendResult } from './model.ts'
import {
  parseProbeInput,
  parseProbeResult,
  parseRateInput,
  parseRpcAnswer,
  parseRpcRequest,
  parseSendInput,
  parseSendResult,
  toWireProbeResult,
  toWireSendInput,
  toWireSendResult,
} from './schema.ts'

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const sendInput: SendInput = {
  outgoingPaymentId: '0a1b2c3d-0000-4000-8000-000000000001',
  tenantId: '0a1b2c3d-0000-4000-8000-000000000002',
  sourceAsset: { id: 'asset', ledger: 7, assetCode: 'USD', assetScale: 9 },
  destination: {
    ilpAddress: 'test.b.x',
    sharedSecret: Buffer.alloc(32, 0xff).toString('base64url'),
    assetCode: 'EUR',
    assetScale: 0,
  },
  debitAmount: AMOUNT_MAX,
  receiveAmount: 0n,
  sentAmount: 2n ** 53n + 1n,
  deliveredAmount: 1n,
  minRate: rate(9007199254740993n, 10n ** 30n),
  lowRate: rate(1n, 3n),
  highRate: rate(2n, 3n),
  maxPacketAmount: AMOUNT_MAX,
  budgetMs: 5_000,
}

test('inputs survive the wire exactly, with amounts and rates beyond what floats hold', () => {
  assert.deepEqual(parseSendInput(overTheWire(toWireSendInput(sendInput))), sendInput)
  const { maxPacketAmount: _max, ...unlimited } = sendInput
  assert.deepEqual(parseSendInput(overTheWire(toWireSendInput(unlimited))), unlimited)
})

test('only named fields travel', () => {
  const richer = { ...sendInput, destination: { ...sendInput.destination, secretNote: 'x' } }
  assert.ok(!JSON.stringify(toWireSendInput(richer)).includes('secretNote'))
})

test('results survive the wire, failures with their ILP code', () => {
  const totals = { sentAmount: 3n, deliveredAmount: 2n, packets: { sent: 4, fulfilled: 3, rejected: 1 } }
  const failure = { code: 'no_route', message: 'm', retryable: true, ilpCode: 'F02', triggeredBy: '' }
  const results: SendResult[] = [
    { ...totals, status: 'done' },
    { ...totals, status: 'progress' },
    { ...totals, status: 'failed', failure },
    { ...totals, status: 'failed', failure: { code: 'c', message: 'm', retryable: false } },
  ]
  for (const result of results)
    assert.deepEqual(parseSendResult(overTheWire(toWireSendResult(result))), result)
  const path = { maxPacketAmount: 5n, lowRate: rate(1n, 2n), highRate: rate(2n, 2n) }
  assert.deepEqual(parseProbeResult(overTheWire(toWireProbeResult(path))), path)
})

test('what is not exactly as agreed is refused with the name of the field', () => {
  const wire = toWireSendInput(sendInput)
  const bad: [Record<string, unknown>, RegExp][] = [
    [{ debitAmount: 5 }, /debitAmount/],
    [{ debitAmount: '-1' }, /debitAmount/],
    [{ debitAmount: '18446744073709551616' }, /debitAmount/],
    [{ debitAmount: '1e3' }, /debitAmount/],
    [{ minRate: { numerator: '1', denominator: '0' } }, /minRate/],
    [{ minRate: { numerator: '-1', denominator: '1' } }, /minRate/],
    [{ minRate: { numerator: '9'.repeat(401), denominator: '1' } }, /minRate/],
    [{ minRate: 0.5 }, /minRate/],
    [{ budgetMs: 120_001 }, /budgetMs/],
    [{ budgetMs: 1.5 }, /budgetMs/],
    [{ tenantId: undefined }, /tenantId/],
    [{ sourceAsset: null }, /sourceAsset/],
    [{ sourceAsset: { ...wire.sourceAsset, assetScale: 256 } }, /assetScale/],
    [{ sourceAsset: { ...wire.sourceAsset, ledger: -1 } }, /ledger/],
    [{ destination: { ...wire.destination, sharedSecret: 'short' } }, /sharedSecret/],
    [{ destination: [] }, /destination/],
  ]
  for (const [change, message] of bad)
    assert.throws(
      () => parseSendInput({ ...wire, ...change }),
      (error: unknown) => error instanceof MalformedRpc && message.test(error.message),
      JSON.stringify(change),
    )
  for (const value of [null, undefined, 'x', 1, []]) {
    assert.throws(() => parseProbeInput(value), MalformedRpc)
    assert.throws(() => parseRateInput(value), MalformedRpc)
    assert.throws(() => parseSendResult(value), MalformedRpc)
    assert.throws(() => parseRpcRequest(value), MalformedRpc)
    assert.throws(() => parseRpcAnswer(value), MalformedRpc)
  }
  assert.throws(() => parseRpcRequest({ method: 'toString', params: {} }), MalformedRpc)
  assert.throws(() => parseRpcAnswer({ error: {} }), MalformedRpc)
})
