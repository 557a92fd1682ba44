import { Refusal } from '../platform/index.ts'

export type PeerRefusalCode =
  | 'unknown_peer'
  /** The asset has a peer with this ILP address. */
  | 'duplicate_peer'
  | 'duplicate_incoming_token'
  | 'invalid_ilp_address'
  | 'invalid_endpoint'
  | 'invalid_token'
  | 'invalid_peer'
  /** Peering by URL: nobody answers there, or nobody may be asked there. */
  | 'peer_unreachable'
  /** This node's own address or connector URL is missing, or not accepted. */
  | 'own_ilp_configuration'
  /** What the other node says of itself cannot be used. */
  | 'peer_ilp_configuration'
  | 'peer_lacks_asset'
  | 'peering_refused'
  /** Peering is asked for too often. */
  | 'peering_busy'
  /** Only peers that asked to be one are approved. */
  | 'not_accepted_peer'
  /** The peer is there, its liquidity is not. */
  | 'peering_liquidity'

export class PeerRefusal extends Refusal<PeerRefusalCode> {}
