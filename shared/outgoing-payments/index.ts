/**
 * Outgoing payments spend quotes. Always true here: `debitAmount = sentAmount + what the payment's ledger account holds`;
 * COMPLETED implies that something was sent; a state is reached once and announced in the same transaction; and every step
 * may be repeated after a crash without moving money twice.
 */
export { cancelOutgoingPayment } from './cancel-outgoing-payment.ts'
export type { OutgoingPaymentContext, SendingContext } from './context.ts'
export {
  type CreateFromIncomingPaymentInput,
  type CreateOutgoingPaymentInput,
  createOutgoingPayment,
  createOutgoingPaymentFromIncomingPayment,
} from './create-outgoing-payment.ts'
export { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'
export {
  depositEventLiquidity,
  type WithdrawOutgoingPaymentInput,
  withdrawEventLiquidity,
  withdrawOutgoingPayment,
} from './event-liquidity.ts'
export { fundOutgoingPayment } from './fund-outgoing-payment.ts'
export type { InitiatedBy, OutgoingPayment, OutgoingPaymentFilter, OutgoingPaymentState } from './model.ts'
export { processOutgoingPayment } from './process-outgoing-payment.ts'
export {
  findOutgoingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  getSendProgress,
  listOutgoingPayments,
  recordSendProgress,
} from './read-outgoing-payments.ts'
export { cancelUnfundedPayments, sweepOutgoingPayments } from './sweep.ts'
export { postWithdrawal, voidWithdrawal } from './withdrawals.ts'
