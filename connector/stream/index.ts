/**
 * Stream owns both ends of STREAM payments (RFC 29): the receiver, which decides about each packet in one pass and keeps no
 * state, and the sender, which probes paths and delivers fixed amounts. Packets say who they are for and who may read them:
 * nothing is believed about what arrived unless it decrypts under the connection's key. No I/O happens here: the receiver
 * returns decisions, the sender sends through a function that it is given.
 */
export { answerKeyOf, type PacketKey, type PayTo, readDelivered, type SendPacket } from './connection.ts'
export { InvalidDestination, ProbeFailed, type ProbeFailureCode } from './errors.ts'
export type { PaymentFailureCode } from './payment-progress.ts'
export { type ProbeContext, probePath } from './probe-path.ts'
export {
  type DeclineInput,
  type IncomingMoney,
  type IncomingNothing,
  type ReceiveInput,
  receiveStreamPacket,
  type StreamDecision,
  type StreamRejects,
} from './receive-packet.ts'
export { addRejects, type RejectCount } from './reject-tally.ts'
export {
  createStreamPayment,
  type RunOptions,
  type StreamPayment,
  type StreamPaymentContext,
  type StreamPaymentInput,
  type StreamPaymentResult,
} from './send-payment.ts'
