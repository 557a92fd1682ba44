import type { IncomingPayment } from '../incoming-payments/index.ts'
import type { Amount, Asset } from '../money/index.ts'

/** How a receiver can be paid. Credentials are fresh on every read. */
export interface ReceiverMethod {
  type: 'ilp'
  ilpAddress: string
  /** base64url, 32 bytes. */
  sharedSecret: string
}

/** An incoming payment as its payer sees it, here or at another node. */
export interface Receiver {
  /** The incoming payment's URL. */
  url: string
  /** Present when the incoming payment is of this node. */
  local?: IncomingPayment
  walletAddressUrl: string
  asset: Asset
  incomingAmount?: Amount
  receivedAmount: Amount
  completed: boolean
  expiresAt?: Date
  metadata?: Record<string, unknown>
  createdAt: Date
  /** Empty once the incoming payment takes no more money. None of one of this node: it is paid in the ledger, without packets. */
  methods: ReceiverMethod[]
}

/** Why a receiver takes no money; `undefined` when it does. */
export type ReceiverClosed = 'receiver_completed' | 'receiver_expired' | 'receiver_unpayable'

export function receiverClosed(receiver: Receiver, now: Date): ReceiverClosed | undefined {
  if (receiver.completed) return 'receiver_completed'
  if (receiver.expiresAt && receiver.expiresAt <= now) return 'receiver_expired'
  if (receiver.incomingAmount && receiver.receivedAmount.value >= receiver.incomingAmount.value)
    return 'receiver_completed'
  // A local receiver is paid in the ledger; it needs no packets and so no credentials.
  if (!receiver.local && receiver.methods.length === 0) return 'receiver_unpayable'
  return undefined
}

/** What the receiver still wants; `undefined` when it set no amount. */
export function wantedAmount(receiver: Receiver): bigint | undefined {
  if (!receiver.incomingAmount) return undefined
  const wanted = receiver.incomingAmount.value - receiver.receivedAmount.value
  return wanted > 0n ? wanted : 0n
}
