/**
 * Receivers are incoming payments as their payers see them, at this node or at any other. Always true here: a receiver is
 * local only when its URL is one of ours and the id exists; and a receiver that could not be read is an error that says why,
 * never "nothing".
 */
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
  createReceiver,
  getReceiver,
  getRecentReceiver,
  type ReceiverInput,
  receiverUrlForms,
} from './receivers.ts'
export { incomingPaymentIdOf } from './url.ts'
