/**
 * Outgoing payments spend quotes. Always true here: `debitAmount = sentAmount + what the payment's ledger account holds`;
 * COMPLETED implies that something was sent; a state is reached once and announced in the same transaction; every step may be
 * repeated after a crash without moving money twice; and what a grant has spent is the sum of what its payments count, changed
 * in the statement that creates, fails or cancels one, and never more than its limit.
 */
export { auditGrants, type GrantFinding } from './audit-grants.ts'
export { cancelOutgoingPayment } from './cancel-outgoing-payment.ts'
export type { OutgoingPaymentContext, SendingContext } from './context.ts'
export {
  type CreateFromIncomingPaymentInput,
  type CreateGrantedPaymentInput,
  type CreateOutgoingPaymentInput,
  createGrantedPayment,
  createOutgoingPayment,
  createOutgoingPaymentFromIncomingPayment,
  type GrantedPayment,
} from './create-outgoing-payment.ts'
export { sealDataToTransmit } from './data-to-transmit.ts'
export { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'
export {
  depositEventLiquidity,
  type WithdrawOutgoingPaymentInput,
  withdrawEventLiquidity,
  withdrawOutgoingPayment,
} from './event-liquidity.ts'
export { fundOutgoingPayment } from './fund-outgoing-payment.ts'
export type { Grant, GrantSpent } from './grant-spending.ts'
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
export {
  findGrantSpent,
  findOutgoingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  getSendProgress,
  listOutgoingPayments,
  recordSendProgress,
} from './read-outgoing-payments.ts'
export { sealedPaymentColumns } from './sealed-columns.ts'
export { cancelUnfundedPayments, sweepOutgoingPayments } from './sweep.ts'
export { getOutgoingPaymentTimeline } from './timeline.ts'
export { postWithdrawal, voidWithdrawal } from './withdrawals.ts'
