/**
 * Receivers are incoming payments as their payers see them, at this node or at any other. Always true here: a receiver is
 * local only when its URL has our origin and the id exists; and a receiver that could not be read is an error that says why,
 * never "nothing".
 */
export type { ReceiverContext } from './context.ts'
export { ReceiverRefusal, type ReceiverRefusalCode } from './errors.ts'
export {
  type Receiver,
  type ReceiverClosed,
  type ReceiverMethod,
  receiverClosed,
  wantedAmount,
} from './model.ts'

import type { Amount } from '../money/index.ts'
import type { ReceiverContext } from './context.ts'
import type { Receiver } from './model.ts'

export declare function createReceiver(
  ctx: ReceiverContext,
  input: {
    tenantId: string
    walletAddressUrl: string
    incomingAmount?: Amount
    expiresAt?: Date
    metadata?: Record<string, unknown>
  },
): Promise<Receiver>
export declare function getReceiver(
  ctx: ReceiverContext,
  input: { tenantId: string; url: string },
): Promise<Receiver>
/** `undefined` only when there is no such incoming payment; anything else that goes wrong is thrown. */
export declare function findReceiver(
  ctx: ReceiverContext,
  input: { tenantId: string; url: string },
): Promise<Receiver | undefined>
export declare function completeReceiver(
  ctx: ReceiverContext,
  input: { tenantId: string; url: string },
): Promise<Receiver>
