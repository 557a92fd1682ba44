/**
 * Outgoing payments spend quotes. Always true here: `debitAmount = sentAmount + what the payment's ledger account holds`;
 * COMPLETED implies that something was sent; a state is reached once and announced in the same transaction; every step may be
 * repeated after a crash without moving money twice; and what a grant has spent is the sum of what its payments count, changed
 * in the statement that creates, fails or cancels one, and never more than its limit.
 */
import { traced } from '../telemetry/index.ts'
import { cancelOutgoingPayment as cancel } from './cancel-outgoing-payment.ts'
import {
  createOutgoingPayment as create,
  createOutgoingPaymentFromIncomingPayment as createFromIncomingPayment,
  createGrantedPayment as createGranted,
} from './create-outgoing-payment.ts'
import { fundOutgoingPayment as fund } from './fund-outgoing-payment.ts'
import type { OutgoingPayment } from './model.ts'

export { auditGrants, type GrantFinding } from './audit-grants.ts'
export type { OutgoingPaymentContext, SendingContext } from './context.ts'
export type {
  CreateFromIncomingPaymentInput,
  CreateGrantedPaymentInput,
  CreateOutgoingPaymentInput,
  GrantedPayment,
} from './create-outgoing-payment.ts'
export { sealDataToTransmit } from './data-to-transmit.ts'
export { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'
export {
  depositEventLiquidity,
  type WithdrawOutgoingPaymentInput,
  withdrawEventLiquidity,
  withdrawOutgoingPayment,
} from './event-liquidity.ts'
export type { Grant, GrantSpent } from './grant-spending.ts'
export {
  type FoundPacket,
  findKeptPackets,
  type KeptPacket,
  keepPacket,
  sweepKeptPackets,
} from './kept-packets.ts'
export { type AnyPayment, type AnyPaymentFilter, listAnyPayments, type PaymentType } from './list-payments.ts'
export { type AccountTransfers, listAccountTransfers } from './list-transfers.ts'
export type {
  CardDetails,
  InitiatedBy,
  OutgoingPayment,
  OutgoingPaymentFilter,
  OutgoingPaymentState,
  PacketRejects,
} from './model.ts'
export { processOutgoingPayment } from './process-outgoing-payment.ts'
export type { AnsweredPacket } from './progress-store.ts'
export {
  findGrantSpent,
  findOutgoingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  getSendProgress,
  listOutgoingPayments,
  recordAnswers,
  recordSendProgress,
} from './read-outgoing-payments.ts'
export { sealedPaymentColumns } from './sealed-columns.ts'
export { loadOutgoingPayment } from './store.ts'
export { cancelUnfundedPayments, sweepOutgoingPayments } from './sweep.ts'
export { getOutgoingPaymentTimeline } from './timeline.ts'
export { postWithdrawal, voidWithdrawal } from './withdrawals.ts'

/** A payment has its quote's id, so its trace can be known before it is made. */
const ofQuote = (input: object) =>
  'quoteId' in input ? { outgoingPaymentId: input.quoteId as string } : undefined
const created = {
  root: 'outgoing_payment',
  payment: ({ id }: OutgoingPayment) => ({ outgoingPaymentId: id }),
  createdAt: ({ createdAt }: OutgoingPayment) => createdAt,
}
const creating = { timer: 'outgoing_payment_service_create_time_ms', payment: ofQuote } as const

export const createOutgoingPayment = traced('outgoing_payment.create', create, {
  ...creating,
  creates: created,
})
export const createOutgoingPaymentFromIncomingPayment = traced(
  'outgoing_payment.create',
  createFromIncomingPayment,
  { ...creating, creates: created },
)
export const createGrantedPayment = traced('outgoing_payment.create', createGranted, {
  ...creating,
  creates: {
    root: created.root,
    payment: ({ payment }) => created.payment(payment),
    createdAt: ({ payment }) => created.createdAt(payment),
  },
})
export const fundOutgoingPayment = traced('outgoing_payment.fund', fund, {
  timer: 'fund_payment_ms',
  payment: (_scope, { outgoingPaymentId }) => ({ outgoingPaymentId }),
})
export const cancelOutgoingPayment = traced('outgoing_payment.cancel', cancel)
