import {
  type CreateTransferStatus,
  deriveTransferId,
  formerTransferId,
  type NewAccount,
  type PostedTransfer,
  tenantSurrogate,
  transferCode,
} from '../../ledger/index.ts'
import type { PayFailure, PayInput } from '../port.ts'

/** Where a local payment goes: the incoming payment's account, and the asset's beside it. */
export interface LocalDestination {
  incomingPaymentId: string
  tenantId: string
  assetId: string
  ledger: number
  /** The account, where it may be missing: it is made with the credit. */
  newAccount?: NewAccount
}

/** The id of the transfer that credits the receiver; the same for every repeat of one attempt. */
const deliveryId = (outgoingPaymentId: string, attempt: number): string =>
  deriveTransferId('local-payment', outgoingPaymentId, 'delivery', attempt)

/** What the delivery may be found under: earlier versions had other ids. */
export const deliveryIds = (outgoingPaymentId: string, attempt: number): string[] => [
  deliveryId(outgoingPaymentId, attempt),
  formerTransferId('local-payment', outgoingPaymentId, 'delivery', attempt),
]

/**
 * A local payment as the ledger sees it, in one step: one transfer within one ledger, otherwise a chain over both through the
 * assets' liquidity (contracts/ilp/accounting.md §2).
 */
export function localTransfers(
  input: Pick<PayInput, 'outgoingPaymentId' | 'tenantId' | 'sourceAsset' | 'transferAttempt'>,
  to: LocalDestination,
  amounts: { sourceAmount: bigint; deliverAmount: bigint },
): PostedTransfer[] {
  const { outgoingPaymentId, sourceAsset, transferAttempt } = input
  const isSameLedger = sourceAsset.ledger === to.ledger
  const common = { kind: 'posted', code: transferCode.transfer, userData128: outgoingPaymentId } as const
  const delivery: PostedTransfer = {
    ...common,
    id: deliveryId(outgoingPaymentId, transferAttempt),
    debitAccountId: isSameLedger ? outgoingPaymentId : to.assetId,
    creditAccountId: to.incomingPaymentId,
    ledger: to.ledger,
    amount: amounts.deliverAmount,
    userData64: tenantSurrogate(to.tenantId),
    ...(to.newAccount && { needs: [to.newAccount] }),
  }
  if (isSameLedger) return [delivery]
  const debit: PostedTransfer = {
    ...common,
    id: deriveTransferId('local-payment', outgoingPaymentId, 'debit', transferAttempt),
    debitAccountId: outgoingPaymentId,
    creditAccountId: sourceAsset.id,
    ledger: sourceAsset.ledger,
    amount: amounts.sourceAmount,
    userData64: tenantSurrogate(input.tenantId),
    linked: true,
  }
  return [debit, delivery]
}

/**
 * Whether an earlier call moved the money. The ids are this attempt's alone, so a transfer under one of them is this payment,
 * even if the amounts were others: the receiver may want less by now. Of a chain's repeat only the first member may say so.
 */
export const wasAppliedBefore = (statuses: readonly CreateTransferStatus[]): boolean =>
  statuses.some((status) => status === 'exists' || status === 'exists_with_different_fields')

/** Why the ledger refused: the first member of the chain that says more than that another one failed. */
export function refusalOf(
  transfers: readonly PostedTransfer[],
  statuses: readonly CreateTransferStatus[],
  outgoingPaymentId: string,
): PayFailure {
  const at = statuses.findIndex((status) => status !== 'linked_event_failed')
  const status = statuses[at] ?? 'linked_event_failed'
  if (status === 'exceeds_credits' && transfers[at]?.debitAccountId !== outgoingPaymentId)
    return {
      code: 'insufficient_liquidity',
      message: "the receiver's asset has too little liquidity: deposit some",
      retryable: true,
      transferRefused: true,
    }
  if (status === 'exceeds_credits')
    return {
      code: 'insufficient_balance',
      message: 'the payment holds less money than it is to send',
      retryable: false,
      transferRefused: true,
    }
  if (status === 'credit_account_already_closed')
    return {
      code: 'receiver_completed',
      message: 'the receiver was closed before anything was sent',
      retryable: false,
      transferRefused: true,
    }
  return {
    code: 'transfer_refused',
    message: `the ledger refused the payment: ${status}`,
    // TigerBeetle remembers a refused id for ever; the next attempt brings a new one.
    retryable: status === 'id_already_failed',
    transferRefused: true,
  }
}
