import type { PacketCounts, SendFailure, SourceAsset } from '../connector-client/index.ts'
import { convertFloor, type Rate } from '../money/index.ts'
import type { Receiver } from '../receivers/index.ts'

export type PaymentMethodName = 'LOCAL' | 'ILP'

export interface MethodQuoteInput {
  tenantId: string
  sourceAsset: SourceAsset
  receiver: Receiver
  /** `debit`: what may leave, without fee; zero asks only for the least sensible amount. `receive`: what must arrive. */
  amount: { side: 'debit' | 'receive'; value: bigint }
}

/** Bounds that an ILP payment keeps to. Rates are destination units per source unit, both smallest, exact. */
export interface RateLimits {
  maxPacketAmount?: bigint
  /** Least acceptable rate of any packet. */
  minRate: Rate
  /** What the probe saw: every packet yields at least `lowRate` and less than `highRate`. */
  lowRate: Rate
  highRate: Rate
}

/** Without fee: `sourceAmount` may leave, `receiveAmount` will arrive. Both greater than zero. */
export interface MethodQuote {
  sourceAmount: bigint
  receiveAmount: bigint
  limits?: RateLimits
}

export interface PayInput {
  outgoingPaymentId: string
  tenantId: string
  sourceAsset: SourceAsset
  receiver: Receiver
  /** The quote's, over all calls: never more than this leaves. */
  sourceAmount: bigint
  /** The quote's: the rate of a local payment is `quotedReceiveAmount / sourceAmount`. */
  quotedReceiveAmount: bigint
  /** Stop when this much has arrived, over all calls; at most `quotedReceiveAmount`. */
  receiveAmount: bigint
  sentAmount: bigint
  deliveredAmount: bigint
  limits?: RateLimits
  /** For the receiver's wallet, with the packets; a payment within the node has none to carry it. */
  data?: string
  /** Grows only after a definite refusal of the ledger was recorded, so that a repeat is the same transfer. */
  transferAttempt: number
  budgetMs: number
}

export interface PayFailure extends SendFailure {
  /** The ledger said no, so the next attempt needs new transfer ids. */
  transferRefused?: boolean
}

/** Totals are over all calls for this payment. */
export type PayResult = {
  sentAmount: bigint
  deliveredAmount: bigint
  packets: PacketCounts
} & ({ status: 'done' } | { status: 'progress' } | { status: 'failed'; failure: PayFailure })

/** What must have arrived of what left: every packet got at least the least rate. */
export const leastDelivered = (sentAmount: bigint, limits: Pick<RateLimits, 'minRate'>): bigint =>
  convertFloor(sentAmount, limits.minRate)

export interface ProgressInput {
  outgoingPaymentId: string
  /** The ledger's figure. */
  sentAmount: bigint
  /** What was recorded; a crash may have lost the last of it. */
  deliveredAmount: bigint
  transferAttempt: number
  limits?: RateLimits
  /** How long the call may wait for what is under way. */
  budgetMs: number
}

export interface Progress {
  sentAmount: bigint
  /** What has arrived, at least. */
  deliveredAmount: bigint
  /** Something is under way still: nothing can be decided yet. */
  pending: boolean
  /** Nothing is left to do, whatever became of the receiver. */
  paid: boolean
}

/** One way to move money to a receiver. Both calls are safe to repeat; `pay` never pays twice for one payment. */
export interface PaymentMethod {
  quote(input: MethodQuoteInput): Promise<MethodQuote>
  pay(input: PayInput): Promise<PayResult>
  /** What can be proven of a payment that has sent or holds something, without its receiver: where to go on. */
  progress(input: ProgressInput): Promise<Progress>
}

export type PaymentMethods = Readonly<Record<PaymentMethodName, PaymentMethod>>
