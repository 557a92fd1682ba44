import type { IlpFulfill, IlpReject, PreparePacket } from '../packet/index.ts'
import type { LedgerAsset, Peer } from '../routing/index.ts'

/** The account that a packet comes in on. Its id is its ledger account. */
export interface IncomingAccount {
  /** `probe`: a quote's unfulfillable packets. They move no money here, so they need no account. */
  kind: 'peer' | 'payment' | 'probe'
  id: string
  tenantId: string
  asset: LedgerAsset
  /** Of a peer: its own address, as this node knows it. */
  peerAddress?: string
  maxPacketAmount?: bigint
  /** Absent: not limited. */
  packetsPerMinute?: number
  /** Absent: not limited. */
  amountLimit?: AmountLimit
}

/** So much may come in within so many seconds. */
export interface AmountLimit {
  amount: bigint
  seconds: number
}

/** Where a packet went, noted on its way for who watches it. */
export interface PacketTrail {
  destination?: 'payee' | 'peer'
}

export interface IncomingPacket {
  account: IncomingAccount
  prepare: PreparePacket
  trail?: PacketTrail
  /** Of this node's own packets that are to outlive their connector: opens what the receiver says. */
  answerKey?: Buffer
  /** Called when its money is held: from then on the ledger shows that it is under way. */
  onHeld?: () => void
}

/** With what makes a packet the same packet when it comes again. */
export interface IdentifiedPacket extends IncomingPacket {
  conditionHex: string
  /** Also the id of its first transfer. */
  packetId: string
}

/** A packet for somebody else. */
export interface ForeignPacket extends IdentifiedPacket {
  /** Under which the packet's tenant receives; absent when it has none. */
  ownAddress?: string
}

/** A packet for one of this node's payments or wallet addresses. */
export interface LocalPacket extends IdentifiedPacket {
  /** Id of the resource that the address was made for. */
  paymentTag: string
  /** The node's address for the packet's tenant: the receiver's address without its token. */
  ownAddress: string
}

export interface RoutedPacket extends IdentifiedPacket {
  peer: Peer
}

export interface ScheduledPacket extends RoutedPacket {
  /** When the next hop's answer is too late. */
  expiresAt: Date
}

/** A packet ready for the next hop. */
export interface OutgoingPacket extends ScheduledPacket {
  /** In the next hop's asset. */
  destinationAmount: bigint
  /** It may not leave before. */
  kept?: Promise<void>
}

/** `bytes`: the answer as the next hop wrote it, relayed unchanged. */
export type Reply = (IlpFulfill | IlpReject) & { bytes?: Buffer }

/**
 * One step: answers the packet, or passes it on and answers with what came back. Both answers are ordinary results; a throw
 * is a fault of this node.
 */
export type Service<P> = (packet: P) => Promise<Reply>
