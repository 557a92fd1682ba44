import {
  GraphQLError,
  type GraphQLSchema,
  isScalarType,
  isSpecifiedScalarType,
  Kind,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql'
import { AMOUNT_MAX } from '../money/index.ts'
import { isObject } from '../platform/index.ts'

const badInput = (message: string) => new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } })

function toUint64(value: unknown): bigint {
  const text = typeof value === 'bigint' || typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || !/^(0|[1-9]\d{0,19})$/.test(text) || BigInt(text) > AMOUNT_MAX)
    throw badInput(`UInt64 must be a whole number from 0 to ${AMOUNT_MAX}`)
  // Beyond 2^53 a JSON number has already lost digits; guessing which amount was meant is not for us.
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw badInput('UInt64 above 2^53 must be sent as a string')
  return BigInt(text)
}

function toUint8(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 255)
    throw badInput('UInt8 must be a whole number from 0 to 255')
  return number
}

/** Balances that leave are sums: what one transfer can carry does not bound them. */
const toDigits = (value: unknown): string =>
  typeof value === 'string' && /^(0|[1-9]\d{0,38})$/.test(value) ? value : toUint64(value).toString()

/** What leaves is ours and needs no guard of its own; `AccountingTransfer.ledger` has this type and counts far beyond 255. */
function toWholeNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw badInput('UInt8 must be a whole number')
  return value
}

function toObject(value: unknown): Record<string, unknown> {
  if (!isObject(value)) throw badInput('JSONObject must be an object')
  return value
}

const literalText = (node: ValueNode): unknown => {
  if (node.kind === Kind.INT || node.kind === Kind.STRING || node.kind === Kind.FLOAT) return node.value
  throw badInput(`unexpected ${node.kind}`)
}

interface ScalarBehaviour {
  parse: (value: unknown) => unknown
  parseLiteral: (node: ValueNode) => unknown
  serialize: (value: unknown) => unknown
}

const behaviours: Record<string, ScalarBehaviour> = {
  // Amounts leave as strings: JSON numbers end at 2^53.
  UInt64: {
    parse: toUint64,
    parseLiteral: (node) => toUint64(literalText(node)),
    serialize: toDigits,
  },
  UInt8: { parse: toUint8, parseLiteral: (node) => toUint8(literalText(node)), serialize: toWholeNumber },
  JSONObject: {
    parse: toObject,
    parseLiteral: (node) => toObject(valueFromASTUntyped(node)),
    serialize: toObject,
  },
}

/** Gives the schema's scalars their meaning (admin-api.md §1). Throws when the schema has one that we do not know. */
export function defineScalars(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isScalarType(type) || isSpecifiedScalarType(type)) continue
    const behaviour = behaviours[type.name]
    if (!behaviour) throw new Error(`scalar without behaviour: ${type.name}`)
    type.parseValue = behaviour.parse
    type.coerceInputValue = behaviour.parse
    type.parseLiteral = behaviour.parseLiteral
    type.coerceInputLiteral = behaviour.parseLiteral
    type.serialize = behaviour.serialize
    type.coerceOutputValue = behaviour.serialize
  }
}
