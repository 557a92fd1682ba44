import type { AssetRef } from '../assets/index.ts'

/** Why an incoming payment was closed: its amount arrived, its client or wallet said so, or its time was over. */
export type CloseReason = 'amount_received' | 'requested' | 'expired'

/** What a payment's row remembers of its past, written in the statement that makes the change. Amounts are text: JSON numbers end at 2^53. */
export type HistoryNote =
  | { kind: 'state'; state: string; reason?: string; receivedAmount?: string }
  | { kind: 'expiry_moved'; expiresAt: string; reason: string }

/** As it is read back: written by this release or another one. */
export interface StoredNote {
  /** ISO 8601. */
  at: string
  kind: string
  [field: string]: unknown
}

export interface IncomingPaymentHistory {
  asset: AssetRef
  createdAt: Date
  incomingAmount?: bigint
  approvedAt?: Date
  cancelledAt?: Date
  cancellationReason?: string
  notes: StoredNote[]
}
