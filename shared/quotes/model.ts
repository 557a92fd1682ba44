import type { Amount } from '../money/index.ts'
import type { PaymentMethodName, RateLimits } from '../payment-methods/index.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'

/** An offer: immutable, spent at most once (its id becomes the outgoing payment's), void after `expiresAt`. */
export interface Quote {
  id: string
  tenantId: string
  walletAddressId: string
  walletAddress: WalletAddress
  client?: string
  /** Incoming payment URL. */
  receiver: string
  method: PaymentMethodName
  /** What the payer is debited, fee included. */
  debitAmount: Amount
  /** `debitAmount` without the fee: what may enter the network. */
  sourceAmount: bigint
  receiveAmount: Amount
  feeId?: string
  /** ILP only. */
  limits?: RateLimits
  createdAt: Date
  expiresAt: Date
}
