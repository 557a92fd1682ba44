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
  /** By the hex SHA-256 of a bearer token. */
  findPeerByTokenHash(tokenHash: string): Peer | undefined
  readonly size: number
}

/** An immutable table: every change of a peer makes a new one. */
export function buildRouteTable(peers: readonly Peer[]): RouteTable {
  const byTokenHash = new Map(peers.flatMap((peer) => peer.incomingTokenHashes.map((hash) => [hash, peer])))
  const byPrefix = new Map<string, Peer[]>()
  // In order of ids, so that equal candidates are chosen alike by every connector and after every restart.
  for (const peer of [...peers].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    for (const prefix of new Set([peer.staticIlpAddress, ...peer.routes])) {
      const key = `${peer.tenantId} ${prefix}`
      const candidates = byPrefix.get(key)
      if (candidates) candidates.push(peer)
      else byPrefix.set(key, [peer])
    }
  }

  return {
    size: peers.length,
    findPeerByTokenHash: (tokenHash) => byTokenHash.get(tokenHash),
    findRoute({ tenantId, destination, assetId, incomingPeerId, ownAddress = '' }) {
      const isBelow = `${destination}.`.startsWith(`${ownAddress}.`)
      const tooShort = isBelow ? ownAddress.length : 0
      for (let end = destination.length; end > tooShort; end = destination.lastIndexOf('.', end - 1)) {
        const candidates = byPrefix.get(`${tenantId} ${destination.slice(0, end)}`)
        const peer = candidates && choosePeer(candidates, assetId, incomingPeerId)
        if (peer) return peer
      }
      return undefined
    },
  }
}

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
