import { isDeepStrictEqual } from 'node:util'
import { AuthRefusal } from '../errors.ts'
import { isPlainUrl } from '../plain-url.ts'

export type AccessType = 'incoming-payment' | 'outgoing-payment' | 'quote'

export interface AccessItem {
  type: AccessType
  actions: readonly string[]
  /** A wallet address; absent: any. */
  identifier?: string
  /** Of outgoing payments. Opaque here. */
  limits?: Readonly<Record<string, unknown>>
}

/** What a resource server asks about. */
export interface WantedAccess {
  type: string
  actions: readonly string[]
  identifier?: string
  limits?: unknown
}

const WIDER: Readonly<Record<string, string>> = { read: 'read-all', list: 'list-all' }

const allows = (granted: readonly string[], action: string): boolean => {
  const wider = Object.hasOwn(WIDER, action) ? WIDER[action] : undefined
  return granted.includes(action) || (wider !== undefined && granted.includes(wider))
}

/** contracts/open-payments/gnap.md §8: identifiers are compared when both sides have one, limits when they are asked about. */
export function covers(granted: AccessItem, wanted: WantedAccess): boolean {
  if (granted.type !== wanted.type) return false
  if (!wanted.actions.every((action) => allows(granted.actions, action))) return false
  if (granted.identifier !== undefined && wanted.identifier !== undefined)
    if (granted.identifier !== wanted.identifier) return false
  return wanted.limits === undefined || isDeepStrictEqual(granted.limits, wanted.limits)
}

interface RequestedItem {
  type: AccessType
  actions: string[]
  /** A text where the schema names it, which of quotes it does not. */
  identifier?: unknown
  limits?: Record<string, unknown>
}

function parseIdentifier(identifier: unknown): string {
  if (typeof identifier !== 'string' || !isPlainUrl(identifier)) throw new AuthRefusal('identifier_invalid')
  return identifier
}

/**
 * Items of a request that the specification's schema has admitted; members that mean nothing here are dropped. Quotes may have an
 * identifier, though the specification names none: a client that names an address never gets more than that, and without one
 * nobody could be asked (QUOTE_INTERACTION). Throws {@link AuthRefusal}.
 */
export const parseAccess = (items: readonly RequestedItem[]): AccessItem[] =>
  items.map(({ type, actions, identifier, limits }) => ({
    type,
    actions,
    ...(identifier !== undefined && { identifier: parseIdentifier(identifier) }),
    ...(limits !== undefined && { limits }),
  }))

/** As clients are told: the specification's quotes have no identifier, and clients refuse what it does not name. */
export const toWireAccess = (items: readonly AccessItem[]): AccessItem[] =>
  items.map((item) => {
    if (item.type !== 'quote') return item
    const { identifier: _scope, ...told } = item
    return told
  })
