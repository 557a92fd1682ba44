import type { Amount } from '../money/index.ts'
import type { Quote } from '../quotes/index.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'

export type OutgoingPaymentState = 'FUNDING' | 'SENDING' | 'COMPLETED' | 'FAILED' | 'CANCELLED'
export type InitiatedBy = 'CARD' | 'OPEN_PAYMENTS' | 'ADMIN'

/** What the card said to the terminal, as the wallet gets it. */
export interface CardDetails {
  requestId: string
  data: Record<string, unknown>
  /** ISO 8601. */
  initiatedAt: string
}

/** How often a node rejected packets with an ILP code. Many that were seen once share one count, with an empty `triggeredBy`. */
export interface PacketRejects {
  code: string
  triggeredBy: string
  count: number
}

/** `debitAmount = sentAmount + what the payment's ledger account still holds`, from funding to withdrawal. */
export interface OutgoingPayment {
  /** The quote's id: a quote is spent once. */
  id: string
  tenantId: string
  walletAddressId: string
  walletAddress: WalletAddress
  quote: Quote
  state: OutgoingPaymentState
  /** Incoming payment URL. */
  receiver: string
  debitAmount: Amount
  receiveAmount: Amount
  /** In the debit asset. From the ledger while SENDING, fixed when the payment ended. */
  sentAmount: Amount
  /** In the receive asset, as receivers confirmed. */
  deliveredAmount: Amount
  client?: string
  grantId?: string
  initiatedBy: InitiatedBy
  /** Of a payment by card. */
  cardDetails?: CardDetails
  metadata?: Record<string, unknown>
  /** Words and stable code of why it failed. */
  error?: string
  errorCode?: string
  stateAttempts: number
  packets: { sent: number; fulfilled: number; rejected: number }
  createdAt: Date
  updatedAt: Date
}

/** Each list means "one of". */
export interface OutgoingPaymentFilter {
  receiver?: string[]
  walletAddressId?: string[]
  state?: string[]
  client?: string
}
