import type { Asset, Rate } from '../money/index.ts'

/** What the connector must know of the asset that money leaves from. */
export interface SourceAsset extends Asset {
  id: string
  ledger: number
}

/** Where a STREAM payment goes: the payment method of an incoming payment and its asset. */
export interface StreamDestination extends Asset {
  ilpAddress: string
  /** base64url, 32 bytes. */
  sharedSecret: string
}

export interface ProbeInput {
  tenantId: string
  sourceAsset: SourceAsset
  destination: StreamDestination
}

/** What the path allows. Rates are destination units per source unit, both smallest. */
export interface ProbeResult {
  /** Largest packet that the path takes, in source units; absent when nothing limited it. */
  maxPacketAmount?: bigint
  /** Every packet yields at least this … */
  lowRate: Rate
  /** … and less than this. */
  highRate: Rate
}

export interface SendInput {
  outgoingPaymentId: string
  tenantId: string
  sourceAsset: SourceAsset
  destination: StreamDestination
  /** In all, over all calls: the payment's debit amount. */
  debitAmount: bigint
  /** Stop when this much has arrived, over all calls. */
  receiveAmount: bigint
  /** Recorded so far by earlier calls; the connector takes the larger of this and what it knows itself. */
  sentAmount: bigint
  deliveredAmount: bigint
  /** Least acceptable rate of any packet. */
  minRate: Rate
  lowRate: Rate
  highRate: Rate
  maxPacketAmount?: bigint
  /** For the receiver, with every packet until it has answered one. */
  data?: string
  /** The call returns `progress` when this is used up; call again to go on. */
  budgetMs: number
}

export interface PacketCounts {
  sent: number
  fulfilled: number
  rejected: number
}

/** Why sending stopped. `code` is stable (docs/errors.md); `retryable` says whether a later attempt may succeed. */
export interface SendFailure {
  code: string
  message: string
  retryable: boolean
  /** Final ILP reject, where there was one, and who sent it. */
  ilpCode?: string
  triggeredBy?: string
}

/** Totals are over all calls for this payment, as the ledger and the receiver's authentic replies say. */
export type SendResult = {
  sentAmount: bigint
  deliveredAmount: bigint
  packets: PacketCounts
} & ({ status: 'done' } | { status: 'progress' } | { status: 'failed'; failure: SendFailure })

export interface SettleInput {
  outgoingPaymentId: string
  /** How long the call may wait for packets under way. */
  budgetMs: number
}

/** What the connector itself knows of a payment that it sends or has sent a short while ago. */
export type SettleResult =
  | { status: 'unknown' }
  | {
      /** `settled`: no packet is under way, so the totals are exact and recorded. */
      status: 'settled' | 'pending'
      sentAmount: bigint
      deliveredAmount: bigint
      packets: PacketCounts
    }

export interface RateInput {
  tenantId: string
  sourceAssetCode: string
  destinationAssetCode: string
}

/**
 * The connector as functions see it (decisions: Who does what). Refusals of the world come back as {@link ConnectorRefusal};
 * an unreachable connector is a retryable Fault with code `connector_unavailable`.
 */
export interface ConnectorClient {
  /** Sends unfulfillable packets and moves no money. */
  probe(input: ProbeInput): Promise<ProbeResult>
  /** Idempotent by payment id: a second call while one runs joins it. Runs in slices of `budgetMs`. */
  send(input: SendInput): Promise<SendResult>
  /** Starts nothing: waits for what is under way and tells the totals. For payments whose receiver takes no more. */
  settle(input: SettleInput): Promise<SettleResult>
  /** Price of one whole unit of the source asset in the destination asset; 1 when the codes are equal. */
  getPrice(input: RateInput): Promise<Rate>
  close(): Promise<void>
}
