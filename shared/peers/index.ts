/**
 * Peers owns who packets are exchanged with: address, routes, tokens, limits and credit. Always true here: incoming tokens
 * exist only as hashes and each belongs to one peer, outgoing tokens are sealed, the static address is among the routes, and
 * every change is announced on `upesi_peers` in its own transaction.
 */
export {
  type AcceptingIdentity,
  acceptPeering,
  approvePeer,
  type PeeringAnswer,
} from './accept-peering.ts'
export { PeerRefusal, type PeerRefusalCode } from './errors.ts'
export { type AmountLimit, hashToken, PEERS_CHANNEL, type Peer, type RoutedPeer } from './model.ts'
export { createOrUpdatePeerByUrl, type PeerByUrlInput, type PeeringIdentity } from './peer-by-url.ts'
export { type PeeringPolicy, toPeeringPolicy } from './peering-policy.ts'
export {
  type CreatePeerInput,
  createPeer,
  deletePeer,
  depositPeerLiquidity,
  findPeer,
  findPeerByAddress,
  findPeerByIncomingToken,
  findRoutedPeer,
  getPeer,
  getPeerLiquidity,
  listPeers,
  listRoutedPeers,
  repairPeerAccounts,
  type UpdatePeerInput,
  updatePeer,
  withdrawPeerLiquidity,
} from './peers.ts'
export { proveEndpoints } from './prove-endpoints.ts'
export { sealedPeerColumns } from './sealed-columns.ts'
