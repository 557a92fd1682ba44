import { type Amount, InvalidAmount, isSameAsset, parseAmount } from '../money/index.ts'
import { configuration, Fault, isObject, messageOf, parseJsonBody } from '../platform/index.ts'
import type { Receiver, ReceiverMethod } from './model.ts'
import { parseReceiverUrl, URL_LENGTH_MAX } from './url.ts'

const SHARED_SECRET_BYTES = 32
const METHODS_MAX = 20
/** Longer ones do not fit the index that holds them. */
const ASSET_CODE_LENGTH_MAX = 255

/** The node that serves the receiver answered what nobody can read: as good as not answering. */
export const unreadable = (what: string, cause?: unknown) =>
  new Fault('receiver_unreachable', {
    retryable: true,
    message: `the receiver's node gave an answer that cannot be read: ${what}`,
    ...(cause !== undefined && { cause }),
  })

type Fields = Record<string, unknown>

export function parseObject(body: Buffer): Fields {
  let value: unknown
  try {
    value = parseJsonBody(body)
  } catch (error) {
    throw unreadable('not JSON', error)
  }
  if (!isObject(value)) throw unreadable('not an object')
  return value
}

export function textField(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw unreadable(`${name} is missing`)
  return value
}

/** A URL that can be kept. */
export function urlField(fields: Fields, name: string): string {
  const value = textField(fields, name)
  if (value.length > URL_LENGTH_MAX || !URL.canParse(value)) throw unreadable(`${name} is no URL`)
  return value
}

function dateField(fields: Fields, name: string): Date {
  const date = new Date(textField(fields, name))
  if (Number.isNaN(date.getTime())) throw unreadable(`${name} is not a date`)
  return date
}

function amountField(fields: Fields, name: string): Amount {
  const value = fields[name]
  if (typeof value !== 'object' || value === null) throw unreadable(`${name} is missing`)
  const amount = parseAmountField(name, value as { value: unknown; assetCode: unknown; assetScale: unknown })
  if (amount.assetCode.length > ASSET_CODE_LENGTH_MAX) throw unreadable(`${name}: assetCode is too long`)
  return amount
}

function parseAmountField(name: string, value: Parameters<typeof parseAmount>[0]): Amount {
  try {
    return parseAmount(value)
  } catch (error) {
    if (error instanceof InvalidAmount) throw unreadable(`${name}: ${error.message}`, error)
    throw error
  }
}

function toMethod(value: unknown): ReceiverMethod | undefined {
  const { type, ilpAddress, sharedSecret } = (value ?? {}) as Fields
  if (type !== 'ilp' || typeof ilpAddress !== 'string' || typeof sharedSecret !== 'string') return undefined
  if (Buffer.from(sharedSecret, 'base64url').length !== SHARED_SECRET_BYTES) return undefined
  try {
    return { type, ilpAddress: configuration.ilpAddress(ilpAddress), sharedSecret }
  } catch {
    // Another kind of method, or a broken one: the receiver may have a better one beside it.
    return undefined
  }
}

/** An incoming payment as another node shows it (Open Payments). Methods that we do not know are left out. */
export function parseReceiver(body: Buffer): Receiver {
  const fields = parseObject(body)
  const url = textField(fields, 'id')
  try {
    parseReceiverUrl(url)
  } catch (error) {
    throw unreadable(messageOf(error), error)
  }
  const receivedAmount = amountField(fields, 'receivedAmount')
  const incomingAmount = fields.incomingAmount == null ? undefined : amountField(fields, 'incomingAmount')
  if (incomingAmount && !isSameAsset(incomingAmount, receivedAmount))
    throw unreadable('incomingAmount and receivedAmount are in different assets')
  if (typeof fields.completed !== 'boolean') throw unreadable('completed is missing')
  const methods = Array.isArray(fields.methods) ? fields.methods.slice(0, METHODS_MAX) : []
  const { metadata } = fields
  const { assetCode, assetScale } = receivedAmount
  return {
    url,
    walletAddressUrl: textField(fields, 'walletAddress'),
    asset: { assetCode, assetScale },
    receivedAmount,
    completed: fields.completed,
    createdAt: dateField(fields, 'createdAt'),
    methods: methods.flatMap((method) => toMethod(method) ?? []),
    ...(incomingAmount && { incomingAmount }),
    ...(fields.expiresAt != null && { expiresAt: dateField(fields, 'expiresAt') }),
    ...(typeof metadata === 'object' && metadata !== null && { metadata: metadata as Fields }),
  }
}

/** What an error answer says, for people: `error.description` of Open Payments, or whatever is nearest. */
export function parseDescription(body: Buffer): string {
  const text = body.toString('utf8')
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown }
    const { description, code } = (typeof error === 'object' && error !== null ? error : {}) as Fields
    const said = [description, message, error, code].find((part) => typeof part === 'string' && part !== '')
    if (typeof said === 'string') return said.slice(0, 200)
  } catch {
    // Text, most likely.
  }
  return text.slice(0, 200).replace(/\s+/g, ' ').trim()
}
