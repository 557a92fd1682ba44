import { createReject, type IlpErrorCode, type IlpReject } from '../packet/index.ts'

/** Makes the node's own rejects. `triggeredBy` is the operator's address, whichever tenant's packet it was (connector.md §2). */
export type Rejects = (code: IlpErrorCode, message: string, data?: Buffer) => IlpReject

export const createRejects =
  (triggeredBy: string): Rejects =>
  (code, message, data) =>
    createReject(code, { triggeredBy, message, ...(data && { data }) })

/** Words of the contract's reject table (connector.md §4). */
export const rejectMessages = {
  unknownDestination: 'unknown destination account',
  wrongState: 'destination account is in an incorrect state',
  internal: 'unexpected internal error',
  throttled: 'too many requests, throttling.',
  tooMuchMoney: 'exceeded money bandwidth, throttling.',
  expired: 'packet expired.',
  wrongFulfilment: 'fulfillment did not match expected value.',
  insufficientBalance: 'InsufficientBalance',
  insufficientLiquidity: 'InsufficientLiquidity',
  noPrice: 'Exchange rate error: InvalidDestinationPrice',
  /** Own words: Rafiki forwards the unconverted amount. */
  convertsToNothing: 'amount is worth less than the smallest unit of the destination',
  alreadyAnswered: 'packet was already answered',
} as const
