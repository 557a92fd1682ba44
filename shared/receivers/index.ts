/**
 * Receivers are incoming payments as their payers see them, at this node or at any other. Always true here: a receiver is
 * local only when its URL is one of ours and the id exists; and a receiver that could not be read is an error that says why,
 * never "nothing".
 */
import { traced } from '../telemetry/index.ts'
import { createReceiver as create, getReceiver as get, getReceiverToPay as getToPay } from './receivers.ts'

export type { CreateReceiverContext, ReceiverContext } from './context.ts'
export { ReceiverRefusal, type ReceiverRefusalCode } from './errors.ts'
export {
  type Receiver,
  type ReceiverClosed,
  type ReceiverMethod,
  receiverClosed,
  wantedAmount,
} from './model.ts'
export {
  type CreateReceiverInput,
  completeReceiver,
  getReceiverToQuote,
  getRecentReceiver,
  type ReceiverInput,
  receiverUrlForms,
} from './receivers.ts'
export { incomingPaymentIdOf, readReceiverUrl } from './url.ts'

export const createReceiver = traced('receiver.create', create)
export const getReceiver = traced('receiver.get', get, { timer: 'getReceiver' })
export const getReceiverToPay = traced('receiver.get', getToPay, { timer: 'getReceiver' })
