/**
 * Incoming payments owns promises to receive: their life from PENDING over PROCESSING to COMPLETED or EXPIRED, and telling the wallet
 * what arrived. Always true here: what was received is what the ledger says; a payment is created together with its event and
 * the job that will close it; its end is announced exactly once, with the whole amount that may be withdrawn; money is credited
 * only under the rule of {@link canReceive}, and the ledger account is closed before the end is announced, so none arrives after it.
 */
import { traced } from '../telemetry/index.ts'
import { createIncomingPayment as create } from './create-incoming-payment.ts'

export {
  createPartialDecisions,
  type PartialDecisionLimits,
  type PartialDecisions,
} from './await-partial-decision.ts'
export {
  approveIncomingPayment,
  cancelIncomingPayment,
  completeIncomingPayment,
  recordIncomingProgress,
  updateIncomingPayment,
  updateWalletAddress,
} from './change-incoming-payment.ts'
export type { IncomingPaymentContext, IncomingPaymentSettings } from './context.ts'
export { awaitIncomingPaymentApproval, type CreateIncomingPaymentInput } from './create-incoming-payment.ts'
export { expectLocalCredits } from './credits-store.ts'
export { IncomingPaymentRefusal, type IncomingPaymentRefusalCode } from './errors.ts'
export type { StoredNote } from './history.ts'
export { beginLocalCredit, endLocalCredit, findForPackets } from './local-credits.ts'
export {
  ANNOUNCE_GRACE_MS,
  CREDIT_DECISION_AGE_MAX_MS,
  canReceive,
  type IncomingPayment,
  type IncomingPaymentState,
  type Initiator,
  incomingPaymentAccount,
  incomingPaymentStates,
  incomingPaymentUrl,
  initiators,
  type ReceivingPayment,
  toWebhookData,
} from './model.ts'
export {
  askAboutPartialPayment,
  decidePartialPayment,
  type PartialDecision,
  type PartialPayment,
  partialIncomingPaymentIdOf,
} from './partial-payments.ts'
export { type IlpPaymentMethod, paymentMethodsOf } from './payment-methods.ts'
export {
  findIncomingPaymentsToProcess,
  processIncomingPayment,
  reconcileIncomingPayments,
} from './process-incoming-payment.ts'
export {
  findIncomingPayment,
  findReceivingPayment,
  getIncomingPayment,
  listIncomingPayments,
} from './read-incoming-payments.ts'
export { type IncomingPaymentFilter, loadIncomingPayment } from './store.ts'
export {
  getIncomingPaymentTimeline,
  inOrder,
  ledgerEntries,
  noteEntries,
  type TimelineEntry,
  type TimelineKind,
  timelineKinds,
  type WebhookEntriesContext,
  webhookEntries,
} from './timeline.ts'
export { type WithdrawIncomingPaymentInput, withdrawIncomingPayment } from './withdraw-incoming-payment.ts'

export const createIncomingPayment = traced('incoming_payment.create', create, {
  creates: {
    root: 'incoming_payment',
    payment: ({ id }) => ({ incomingPaymentId: id }),
    createdAt: ({ createdAt }) => createdAt,
  },
})
