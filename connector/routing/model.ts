import type { Asset } from '../../shared/money/index.ts'

/** An asset as the ledger knows it. */
export interface LedgerAsset extends Asset {
  id: string
  /** Ledger number: one per asset and tenant. */
  ledger: number
}

/** A peer as packets need it. Its id is its ledger account. */
export interface Peer {
  id: string
  tenantId: string
  asset: LedgerAsset
  staticIlpAddress: string
  /** Every prefix that leads to the peer, its static address among them. */
  routes: readonly string[]
  /** Of packets that come from it, in its asset. */
  maxPacketAmount?: bigint
  /** Of packets that come from it. Absent: PEER_PACKETS_PER_MINUTE. */
  packetsPerMinute?: number
  /** Of packets that come from it, in its asset, within so many seconds. Absent: not limited. */
  amountLimit?: { amount: bigint; seconds: number }
  /** Where its packets go, and the token it wants to see. */
  endpoint: string
  /** The endpoint is the peer's own word (peering by URL): whoever it belongs to, packets go through the guarded client. */
  isEndpointForeign?: boolean
  outgoingToken: string
  /** Hex SHA-256 of every bearer token that it may present. */
  incomingTokenHashes: readonly string[]
}
