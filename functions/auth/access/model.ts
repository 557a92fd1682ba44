import { isDeepStrictEqual } from 'node:util'

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
  identifier?: string
  limits?: Record<string, unknown>
}

/** Items of a request that the specification's schema has admitted; members that it does not name are dropped. */
export const parseAccess = (items: readonly RequestedItem[]): AccessItem[] =>
  items.map(({ type, actions, identifier, limits }) => ({
    type,
    actions,
    ...(type !== 'quote' && identifier !== undefined && { identifier }),
    ...(limits !== undefined && { limits }),
  }))
