import type * as tigerbeetle from 'tigerbeetle-node'

/**
 * What this room uses of TigerBeetle's client. Types only: the package carries a binary for each platform, so it is loaded where a
 * TigerBeetle ledger is opened and nowhere else.
 */
export type Native = Pick<typeof tigerbeetle, 'createClient' | 'CreateAccountStatus' | 'CreateTransferStatus'>

export type NativeClient = tigerbeetle.Client
export type NativeAccount = tigerbeetle.Account
export type NativeTransfer = tigerbeetle.Transfer
export type QueryFilter = tigerbeetle.QueryFilter
export type NativeAccountStatus = keyof typeof tigerbeetle.CreateAccountStatus
export type NativeTransferStatus = keyof typeof tigerbeetle.CreateTransferStatus

export const loadNative = async (): Promise<Native> => await import('tigerbeetle-node')

// The bits are TigerBeetle's wire format; naming them here keeps the package out of everything that only encodes.
export const accountFlag = {
  linked: 1,
  debitsMustNotExceedCredits: 2,
  creditsMustNotExceedDebits: 4,
  history: 8,
  imported: 16,
  closed: 32,
} as const

export const transferFlag = {
  linked: 1,
  pending: 2,
  post: 4,
  void: 8,
  closingCredit: 128,
  imported: 256,
} as const

export const filterFlag = { debits: 1, credits: 2, reversed: 4 } as const
export const queryFlag = { reversed: 1 } as const

/** As the amount of a post: all that is pending. */
export const AMOUNT_ALL = 2n ** 128n - 1n
/** Neither accounts nor transfers may have it. */
export const ID_MAX = 2n ** 128n - 1n

/** The client's refusal of a request that does not fit into a message of this server. */
export const TOO_MUCH_DATA = 'ERR_TOO_MUCH_DATA'
/** The cluster has ended the session. Such a client has freed itself: destroying it would end the process. */
export const EVICTIONS: readonly unknown[] = [
  'ERR_CLIENT_EVICTED',
  'ERR_CLIENT_RELEASE_TOO_LOW',
  'ERR_CLIENT_RELEASE_TOO_HIGH',
]
export const CLIENT_CLOSED = 'ERR_CLIENT_CLOSED'

export const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
