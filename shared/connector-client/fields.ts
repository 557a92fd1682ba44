import { parseUint64 } from '../money/index.ts'
import { Refusal } from '../platform/index.ts'

/** What the other side sent is not what the schema says. */
export class MalformedRpc extends Refusal<'malformed_rpc'> {
  constructor(message: string) {
    super('malformed_rpc', { message })
  }
}

export type Fields = Readonly<Record<string, unknown>>

export const fieldsOf = (value: unknown, what: string): Fields => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MalformedRpc(`${what} must be an object`)
  return value as Fields
}

export const textOf = (fields: Fields, name: string): string => {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw new MalformedRpc(`${name} must be text`)
  return value
}

export const wholeOf = (fields: Fields, name: string, max = Number.MAX_SAFE_INTEGER): number => {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
    throw new MalformedRpc(`${name} must be a whole number from 0 to ${max}`)
  return value
}

export const amountOf = (fields: Fields, name: string): bigint => {
  try {
    return parseUint64(fields[name])
  } catch {
    throw new MalformedRpc(`${name} must be a uint64 in decimal digits`)
  }
}
