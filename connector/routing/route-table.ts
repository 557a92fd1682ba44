import type { Peer } from './model.ts'

export interface RouteQuery {
  /** Tenant of the account that the packet came in on: tenants do not route through each other. */
  tenantId: string
  destination: string
  /** Asset of that account. */
  assetId: string
  /** The account itself, when it is a peer: a packet never goes back to where it came from. */
  incomingPeerId?: string
  /**
   * Where the tenant receives. What lies below it and is nobody's here does not exist elsewhere: only a route that lies below it
   * too leads on, to a node that is under this one.
   */
  ownAddress?: string
}

export interface RouteTable {
  /** The peer with the longest matching prefix, by whole segments. */
  findRoute(query: RouteQuery): Peer | undefined
  findPeer(id: string): Peer | undefined
  /** By the hex SHA-256 of a bearer token. */
  findPeerByTokenHash(tokenHash: string): Peer | undefined
  readonly size: number
}

/** An immutable table: every change of a peer makes a new one. */
export function buildRouteTable(peers: readonly Peer[]): RouteTable {
  const byTokenHash = new Map(peers.flatMap((peer) => peer.incomingTokenHashes.map((hash) => [hash, peer])))
  const byId = new Map(peers.map((peer) => [peer.id, peer]))
  const byTenant = new Map<string, Map<string, Peer[]>>()
  /** What lies beyond is no prefix: addresses of receivers are long. */
  let longest = 0
  // In order of ids, so that equal candidates are chosen alike by every connector and after every restart.
  for (const peer of [...peers].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const prefix of new Set([peer.staticIlpAddress, ...peer.routes])) {
      const byPrefix = byTenant.get(peer.tenantId) ?? new Map<string, Peer[]>()
      byTenant.set(peer.tenantId, byPrefix)
      longest = Math.max(longest, prefix.length)
      const candidates = byPrefix.get(prefix)
      if (candidates) candidates.push(peer)
      else byPrefix.set(prefix, [peer])
    }
  }

  return {
    size: peers.length,
    findPeer: (id) => byId.get(id),
    findPeerByTokenHash: (tokenHash) => byTokenHash.get(tokenHash),
    findRoute({ tenantId, destination, assetId, incomingPeerId, ownAddress = '' }) {
      const byPrefix = byTenant.get(tenantId)
      if (!byPrefix) return undefined
      const tooShort = isBelow(destination, ownAddress) ? ownAddress.length : 0
      for (let end = destination.length; end > tooShort; end = destination.lastIndexOf('.', end - 1)) {
        const candidates = end > longest ? undefined : byPrefix.get(destination.slice(0, end))
        const peer = candidates && choosePeer(candidates, assetId, incomingPeerId)
        if (peer) return peer
      }
      return undefined
    },
  }
}

/** By whole segments; an address is below itself. */
const isBelow = (address: string, prefix: string): boolean =>
  prefix !== '' &&
  address.startsWith(prefix) &&
  (address.length === prefix.length || address[prefix.length] === '.')

/** Same asset first: no conversion, no exchange risk. */
function choosePeer(candidates: readonly Peer[], assetId: string, incomingPeerId?: string): Peer | undefined {
  let other: Peer | undefined
  for (const peer of candidates) {
    if (peer.id === incomingPeerId) continue
    if (peer.asset.id === assetId) return peer
    other ??= peer
  }
  return other
}
