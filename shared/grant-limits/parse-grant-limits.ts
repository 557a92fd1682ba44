import { type Amount, InvalidAmount, parseAmount } from '../money/index.ts'
import { isObject } from '../platform/index.ts'
import { GrantLimitsRefusal } from './errors.ts'
import type { GrantLimits } from './model.ts'
import { parseInterval } from './parse-interval.ts'

const MEMBERS = ['receiver', 'debitAmount', 'receiveAmount', 'interval']
const RECEIVER_LENGTH_MAX = 2048
/** The specification's pattern for the URL of an incoming payment. */
const RECEIVER = /^https?:\/\/.+\/incoming-payments\/.+$/

const malformed = (message: string): GrantLimitsRefusal => new GrantLimitsRefusal('limits_malformed', message)

function parseReceiver(value: unknown): string {
  if (typeof value !== 'string' || value.length > RECEIVER_LENGTH_MAX || !RECEIVER.test(value))
    throw malformed('limits.receiver must be the URL of an incoming payment')
  return value
}

function parseLimit(name: string, value: unknown): Amount {
  if (!isObject(value)) throw malformed(`limits.${name} must be an amount`)
  const { value: units, assetCode, assetScale } = value
  try {
    return parseAmount({ value: units, assetCode, assetScale })
  } catch (error) {
    if (error instanceof InvalidAmount) throw malformed(`limits.${name}: ${error.message}`)
    throw error
  }
}

function parseRepetition(value: unknown) {
  if (typeof value !== 'string')
    throw new GrantLimitsRefusal('interval_invalid', 'limits.interval must be text')
  return parseInterval(value)
}

/**
 * The limits of a grant, as the client asked for them. A member that is not known is refused: it might be meant to limit
 * something, and would limit nothing. Throws {@link GrantLimitsRefusal}.
 */
export function parseGrantLimits(value: unknown): GrantLimits {
  if (!isObject(value)) throw malformed('limits must be an object')
  const members = Object.keys(value).filter((name) => value[name] !== undefined)
  const unknown = members.find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) throw malformed('limits has a member that is not known')
  const { receiver, debitAmount, receiveAmount, interval } = value
  if (debitAmount !== undefined && receiveAmount !== undefined)
    throw new GrantLimitsRefusal('both_amounts', 'limits has a debitAmount or a receiveAmount, not both')
  return {
    ...(receiver !== undefined && { receiver: parseReceiver(receiver) }),
    ...(debitAmount !== undefined && { debitAmount: parseLimit('debitAmount', debitAmount) }),
    ...(receiveAmount !== undefined && { receiveAmount: parseLimit('receiveAmount', receiveAmount) }),
    ...(interval !== undefined && { interval: parseRepetition(interval) }),
  }
}
