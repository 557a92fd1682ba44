import { type Rate, rate } from '../money/index.ts'
import { present } from '../platform/index.ts'
import { amountOf, fieldsOf, MalformedRpc, textOf, wholeOf } from './fields.ts'
import type {
  PacketCounts,
  ProbeInput,
  ProbeResult,
  RateInput,
  SendFailure,
  SendInput,
  SendResult,
  SettleInput,
  SettleResult,
  SourceAsset,
  StreamDestination,
} from './model.ts'

/**
 * The RPC on the wire: one POST with `{ method, params }`, answered by `{ result }` or `{ error: { code, message } }`. bigint
 * travels as decimal text, rates as two of them. Both ends parse what they get: a newer or older other side is an error with a
 * name, never a wrong amount.
 */
const paymentMethods = ['probe', 'send', 'settle', 'getPrice'] as const
/** Their parameters and results are `shared/ledger/rpc`'s. */
const ledgerMethods = [
  'createAccounts',
  'createTransfers',
  'createTransfersWithAccounts',
  'lookupAccounts',
  'lookupTransfers',
  'queryTransfers',
] as const
const rpcMethods = [...paymentMethods, ...ledgerMethods] as const
export type LedgerMethod = (typeof ledgerMethods)[number]
export type RpcMethod = (typeof rpcMethods)[number]

export interface RpcRequest {
  method: RpcMethod
  params: unknown
}

export interface RpcError {
  code: string
  message: string
}

/** Longest `budgetMs` that a caller may ask for. */
export const BUDGET_MS_MAX = 120_000

/** Rates are exact, and exact rationals can be long: 400 digits are far beyond any real one. */
const DIGITS = /^[0-9]{1,400}$/

const rateOf = (value: unknown, what: string): Rate => {
  const { numerator, denominator } = fieldsOf(value, what)
  if (typeof numerator !== 'string' || typeof denominator !== 'string')
    throw new MalformedRpc(`${what} must have a numerator and a denominator`)
  if (!DIGITS.test(numerator) || !DIGITS.test(denominator) || BigInt(denominator) === 0n)
    throw new MalformedRpc(`${what} must be a fraction of decimal digits`)
  return rate(BigInt(numerator), BigInt(denominator))
}

export const toWireRate = (value: Rate) => ({
  numerator: value.numerator.toString(),
  denominator: value.denominator.toString(),
})
export const parseWireRate = (value: unknown): Rate => rateOf(value, 'rate')

const sourceAssetOf = (value: unknown): SourceAsset => {
  const fields = fieldsOf(value, 'sourceAsset')
  return {
    id: textOf(fields, 'id'),
    ledger: wholeOf(fields, 'ledger', 2 ** 32 - 1),
    assetCode: textOf(fields, 'assetCode'),
    assetScale: wholeOf(fields, 'assetScale', 255),
  }
}

const SECRET = /^[A-Za-z0-9_-]{43}$/

const destinationOf = (value: unknown): StreamDestination => {
  const fields = fieldsOf(value, 'destination')
  const sharedSecret = textOf(fields, 'sharedSecret')
  if (!SECRET.test(sharedSecret)) throw new MalformedRpc('sharedSecret must be 32 bytes in base64url')
  return {
    ilpAddress: textOf(fields, 'ilpAddress'),
    sharedSecret,
    assetCode: textOf(fields, 'assetCode'),
    assetScale: wholeOf(fields, 'assetScale', 255),
  }
}

/** Only the named fields travel: callers may pass richer objects. */
const assetToWire = ({ id, ledger, assetCode, assetScale }: SourceAsset) => ({
  id,
  ledger,
  assetCode,
  assetScale,
})
const destinationToWire = ({ ilpAddress, sharedSecret, assetCode, assetScale }: StreamDestination) => ({
  ilpAddress,
  sharedSecret,
  assetCode,
  assetScale,
})

export const toWireProbeInput = (input: ProbeInput) => ({
  tenantId: input.tenantId,
  sourceAsset: assetToWire(input.sourceAsset),
  destination: destinationToWire(input.destination),
})

export function parseProbeInput(value: unknown): ProbeInput {
  const fields = fieldsOf(value, 'params')
  return {
    tenantId: textOf(fields, 'tenantId'),
    sourceAsset: sourceAssetOf(fields.sourceAsset),
    destination: destinationOf(fields.destination),
  }
}

export const toWireProbeResult = (result: ProbeResult) => ({
  ...present({ maxPacketAmount: result.maxPacketAmount?.toString() }),
  lowRate: toWireRate(result.lowRate),
  highRate: toWireRate(result.highRate),
})

export function parseProbeResult(value: unknown): ProbeResult {
  const fields = fieldsOf(value, 'result')
  return {
    ...(fields.maxPacketAmount !== undefined && { maxPacketAmount: amountOf(fields, 'maxPacketAmount') }),
    lowRate: rateOf(fields.lowRate, 'lowRate'),
    highRate: rateOf(fields.highRate, 'highRate'),
  }
}

export const toWireSendInput = (input: SendInput) => ({
  ...toWireProbeInput(input),
  outgoingPaymentId: input.outgoingPaymentId,
  debitAmount: input.debitAmount.toString(),
  receiveAmount: input.receiveAmount.toString(),
  sentAmount: input.sentAmount.toString(),
  deliveredAmount: input.deliveredAmount.toString(),
  minRate: toWireRate(input.minRate),
  lowRate: toWireRate(input.lowRate),
  highRate: toWireRate(input.highRate),
  ...present({ maxPacketAmount: input.maxPacketAmount?.toString(), data: input.data }),
  budgetMs: input.budgetMs,
})

export function parseSendInput(value: unknown): SendInput {
  const fields = fieldsOf(value, 'params')
  return {
    ...parseProbeInput(value),
    outgoingPaymentId: textOf(fields, 'outgoingPaymentId'),
    debitAmount: amountOf(fields, 'debitAmount'),
    receiveAmount: amountOf(fields, 'receiveAmount'),
    sentAmount: amountOf(fields, 'sentAmount'),
    deliveredAmount: amountOf(fields, 'deliveredAmount'),
    minRate: rateOf(fields.minRate, 'minRate'),
    lowRate: rateOf(fields.lowRate, 'lowRate'),
    highRate: rateOf(fields.highRate, 'highRate'),
    ...(fields.maxPacketAmount !== undefined && { maxPacketAmount: amountOf(fields, 'maxPacketAmount') }),
    ...(fields.data !== undefined && { data: textOf(fields, 'data') }),
    budgetMs: wholeOf(fields, 'budgetMs', BUDGET_MS_MAX),
  }
}

const countsOf = (value: unknown): PacketCounts => {
  const fields = fieldsOf(value, 'packets')
  return {
    sent: wholeOf(fields, 'sent'),
    fulfilled: wholeOf(fields, 'fulfilled'),
    rejected: wholeOf(fields, 'rejected'),
  }
}

const failureOf = (value: unknown): SendFailure => {
  const fields = fieldsOf(value, 'failure')
  if (typeof fields.retryable !== 'boolean') throw new MalformedRpc('retryable must be true or false')
  return {
    code: textOf(fields, 'code'),
    message: textOf(fields, 'message'),
    retryable: fields.retryable,
    ...(fields.ilpCode !== undefined && { ilpCode: textOf(fields, 'ilpCode') }),
    ...(fields.triggeredBy !== undefined && { triggeredBy: String(fields.triggeredBy) }),
  }
}

export const toWireSendResult = (result: SendResult) => ({
  ...result,
  sentAmount: result.sentAmount.toString(),
  deliveredAmount: result.deliveredAmount.toString(),
})

export function parseSendResult(value: unknown): SendResult {
  const fields = fieldsOf(value, 'result')
  const totals = {
    sentAmount: amountOf(fields, 'sentAmount'),
    deliveredAmount: amountOf(fields, 'deliveredAmount'),
    packets: countsOf(fields.packets),
  }
  const { status } = fields
  if (status === 'failed') return { ...totals, status, failure: failureOf(fields.failure) }
  if (status === 'done' || status === 'progress') return { ...totals, status }
  throw new MalformedRpc('status must be done, progress or failed')
}

export const toWireSettleInput = ({ outgoingPaymentId, budgetMs }: SettleInput) => ({
  outgoingPaymentId,
  budgetMs,
})

export function parseSettleInput(value: unknown): SettleInput {
  const fields = fieldsOf(value, 'params')
  return {
    outgoingPaymentId: textOf(fields, 'outgoingPaymentId'),
    budgetMs: wholeOf(fields, 'budgetMs', BUDGET_MS_MAX),
  }
}

export const toWireSettleResult = (result: SettleResult) =>
  result.status === 'unknown'
    ? result
    : {
        ...result,
        sentAmount: result.sentAmount.toString(),
        deliveredAmount: result.deliveredAmount.toString(),
      }

export function parseSettleResult(value: unknown): SettleResult {
  const fields = fieldsOf(value, 'result')
  const { status } = fields
  if (status === 'unknown') return { status }
  if (status !== 'settled' && status !== 'pending')
    throw new MalformedRpc('status must be unknown, settled or pending')
  return {
    status,
    sentAmount: amountOf(fields, 'sentAmount'),
    deliveredAmount: amountOf(fields, 'deliveredAmount'),
    packets: countsOf(fields.packets),
  }
}

export const toWireRateInput = ({ tenantId, sourceAssetCode, destinationAssetCode }: RateInput) => ({
  tenantId,
  sourceAssetCode,
  destinationAssetCode,
})

export function parseRateInput(value: unknown): RateInput {
  const fields = fieldsOf(value, 'params')
  return {
    tenantId: textOf(fields, 'tenantId'),
    sourceAssetCode: textOf(fields, 'sourceAssetCode'),
    destinationAssetCode: textOf(fields, 'destinationAssetCode'),
  }
}

export function parseRpcRequest(value: unknown): RpcRequest {
  const fields = fieldsOf(value, 'the request')
  const method = rpcMethods.find((name) => name === fields.method)
  if (method === undefined) throw new MalformedRpc(`method must be one of ${rpcMethods.join(', ')}`)
  return { method, params: fields.params }
}

/** The answer's result, or its error. */
export function parseRpcAnswer(value: unknown): { result: unknown } | { error: RpcError } {
  const fields = fieldsOf(value, 'the answer')
  if (fields.error === undefined) return { result: fields.result }
  const error = fieldsOf(fields.error, 'error')
  return { error: { code: textOf(error, 'code'), message: textOf(error, 'message') } }
}
