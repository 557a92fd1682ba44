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

export class PeerRefusal extends Refusal<PeerRefusalCode> {}
