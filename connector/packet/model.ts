/** The first byte of a packet. */
export const packetType = { prepare: 12, fulfill: 13, reject: 14 } as const

/** Most data that a packet carries, in bytes (RFC 27). */
export const DATA_LENGTH_MAX = 32767

/** A request to pay `amount`, in the units of the account it arrives on, for the preimage of `executionCondition`. */
export interface IlpPrepare {
  amount: bigint
  destination: string
  /** SHA-256 of the fulfilment, 32 bytes. */
  executionCondition: Buffer
  expiresAt: Date
  data: Buffer
}

export interface IlpFulfill {
  /** 32 bytes. */
  fulfillment: Buffer
  data: Buffer
}

export interface IlpReject {
  /** Three characters; next hops may use codes that {@link ilpErrors} does not know. */
  code: string
  /** Address of the node that rejected; may be empty. */
  triggeredBy: string
  message: string
  data: Buffer
}

export type IlpReply = IlpFulfill | IlpReject

export const isFulfill = (reply: IlpReply): reply is IlpFulfill => 'fulfillment' in reply
export const isReject = (reply: IlpReply): reply is IlpReject => !('fulfillment' in reply)

/** Reject codes (RFC 27): F is final, T temporary, R relative to amount or time. */
export const ilpErrors = {
  F00: 'bad request',
  F01: 'invalid packet',
  F02: 'unreachable',
  F03: 'invalid amount',
  F04: 'insufficient destination amount',
  F05: 'wrong condition',
  F06: 'unexpected payment',
  F07: 'cannot receive',
  F08: 'amount too large',
  F99: 'application error',
  T00: 'internal error',
  T01: 'peer unreachable',
  T02: 'peer busy',
  T03: 'connector busy',
  T04: 'insufficient liquidity',
  T05: 'rate limited',
  T99: 'application error',
  R00: 'transfer timed out',
  R01: 'insufficient source amount',
  R02: 'insufficient timeout',
  R99: 'application error',
} as const

export type IlpErrorCode = keyof typeof ilpErrors
