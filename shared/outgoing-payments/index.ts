/**
 * Outgoing payments spend quotes. Always true here: `debitAmount = sentAmount + what the payment's ledger account holds`;
 * COMPLETED implies that something was sent; a state is reached once and announced in the same transaction; and every step
 * may be repeated after a crash without moving money twice.
 */
export { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'
export type { InitiatedBy, OutgoingPayment, OutgoingPaymentFilter, OutgoingPaymentState } from './model.ts'

import type { Ledger } from '../ledger/index.ts'
import type { Amount } from '../money/index.ts'
import type { Clock, Db, Logger } from '../platform/index.ts'
import type { Job, JobOutcome } from '../queue/index.ts'
import type { QuoteContext } from '../quotes/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import type { InitiatedBy, OutgoingPayment, OutgoingPaymentFilter } from './model.ts'

export interface OutgoingPaymentContext {
  db: Db
  ledger: Ledger
  clock: Clock
  log: Logger
}
export type SendingContext = QuoteContext & { settings: { outgoingPaymentAttemptsMax: number } }

interface CreateInput {
  tenantId: string
  walletAddressId: string
  metadata?: Record<string, unknown>
  client?: string
  grantId?: string
  initiatedBy: InitiatedBy
}
/** One transaction: the payment in FUNDING, and its `outgoing_payment.created` event. Joins `ctx.db` when that is a transaction. */
export declare function createOutgoingPayment(
  ctx: QuoteContext,
  input: CreateInput & { quoteId: string },
): Promise<OutgoingPayment>
/** Quotes first: `debitAmount` to send that much, without it what the incoming payment asks for. */
export declare function createOutgoingPaymentFromIncomingPayment(
  ctx: QuoteContext,
  input: CreateInput & { incomingPayment: string; debitAmount?: Amount },
): Promise<OutgoingPayment>

export declare function getOutgoingPayment(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  id: string,
): Promise<OutgoingPayment>
export declare function findOutgoingPayment(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  id: string,
): Promise<OutgoingPayment | undefined>
export declare function listOutgoingPayments(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  filter: OutgoingPaymentFilter,
  page: Page,
): Promise<Paged<OutgoingPayment>>
/** What the payments' ledger accounts hold, in the order of `ids`; `undefined` before funding. */
export declare function getOutgoingPaymentLiquidity(
  ctx: OutgoingPaymentContext,
  ids: readonly string[],
): Promise<(bigint | undefined)[]>

/** Only in FUNDING and before funding has started. The reason is kept as `metadata.cancellationReason`. */
export declare function cancelOutgoingPayment(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  input: { id: string; reason?: string; cardPaymentFailureReason?: 'invalid_request' | 'invalid_signature' },
): Promise<OutgoingPayment>
/** The whole debit amount, from settlement; the transfer's id is that of the `outgoing_payment.created` event. Repeats succeed. */
export declare function fundOutgoingPayment(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  input: { outgoingPaymentId: string; amount?: bigint },
): Promise<OutgoingPayment>
/** As {@link fundOutgoingPayment}, addressed by the `outgoing_payment.created` event. */
export declare function depositEventLiquidity(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  eventId: string,
): Promise<void>
/** Withdraws at once what the event says; the transfer's id is the event's. Repeats succeed. */
export declare function withdrawEventLiquidity(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  eventId: string,
): Promise<void>
/** `timeoutSeconds` 0 withdraws at once; otherwise the id returned (the completed or failed event's) is to be posted or voided. */
export declare function withdrawOutgoingPayment(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  input: { outgoingPaymentId: string; timeoutSeconds: number },
): Promise<{ withdrawalId: string; amount: bigint }>
/** Any pending withdrawal of the scope: assets', peers', wallet addresses' and payments'. Repeats succeed. */
export declare function postWithdrawal(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  withdrawalId: string,
): Promise<void>
export declare function voidWithdrawal(
  ctx: OutgoingPaymentContext,
  scope: TenantScope,
  withdrawalId: string,
): Promise<void>

/** The payments worker: one job is one payment in SENDING, or one whose funding was started and not finished. */
export declare function processOutgoingPayment(ctx: SendingContext, job: Job): Promise<JobOutcome>
/** Asks again for work that no job stands for: SENDING without a job, funding started and not finished. Returns how many. */
export declare function sweepOutgoingPayments(
  ctx: OutgoingPaymentContext,
  options: { limit: number },
): Promise<number>
/** Monotonic running totals, for the connector while it sends. */
export declare function recordSendProgress(
  ctx: { db: Db },
  input: {
    outgoingPaymentId: string
    deliveredAmount: bigint
    packets: { sent: number; fulfilled: number; rejected: number }
  },
): Promise<void>
/** What an earlier sender recorded: where a connector that restarted goes on. */
export declare function getSendProgress(
  ctx: { db: Db },
  outgoingPaymentId: string,
): Promise<{ deliveredAmount: bigint; packets: { sent: number; fulfilled: number; rejected: number } }>
