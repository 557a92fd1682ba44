/**
 * Routing knows all peers of all tenants and which of them is nearest to an address. Always true here: a tenant's packets only
 * use the tenant's own peers, never the one they came from; prefixes match whole segments, the longest wins; and what is in
 * memory follows the database within a notification's time.
 */
export type { LedgerAsset, Peer } from './model.ts'
export { createPeerDirectory, type PeerDirectory, type PeerDirectoryOptions } from './peer-directory.ts'
export { buildRouteTable, type RouteQuery, type RouteTable } from './route-table.ts'
