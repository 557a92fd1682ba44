import { createHash } from 'node:crypto'
import type { AssetRef } from '../assets/index.ts'
import { accountCode, type NewAccount, tenantSurrogate } from '../ledger/index.ts'
import { AMOUNT_MAX } from '../money/index.ts'
import { configuration, deriveId } from '../platform/index.ts'
import { PeerRefusal } from './errors.ts'

/** So much within so many seconds. */
export interface AmountLimit {
  amount: bigint
  seconds: number
}

/** A node that packets are exchanged with, in one asset. */
export interface Peer {
  id: string
  tenantId: string
  asset: AssetRef
  staticIlpAddress: string
  name?: string
  maxPacketAmount?: bigint
  /** Overrides PEER_PACKETS_PER_MINUTE. */
  packetsPerMinute?: number
  /** What it may send within an interval. Absent: not limited. */
  amountLimit?: AmountLimit
  liquidityThreshold?: bigint
  outgoing: { endpoint: string; authToken: string }
  /** The URL that it was made through: its endpoint is the other node's word, not this node's choice. */
  peeringUrl?: string
  /** When this node accepted its request; absent: it was made on this side. */
  acceptedAt?: Date
  /** When the operator said that it may have credit. */
  approvedAt?: Date
  /** What it was given at first. */
  initialLiquidity?: bigint
  /** Every ILP prefix that leads to this peer; the static address is always among them. */
  routes: string[]
  createdAt: Date
}

/** A peer as the connector needs it: with what proves an incoming request to be its own. */
export interface RoutedPeer extends Peer {
  /** SHA-256 of each accepted bearer token, hex. */
  incomingTokenHashes: string[]
}

/** Tokens are random, so a plain hash protects them; it is also the lookup key. */
export const hashToken = (token: string): Buffer => createHash('sha256').update(token, 'utf8').digest()

/** Every change of a peer is announced here with the peer's id. */
export const PEERS_CHANNEL = 'upesi_peers'

export const peerAccount = (peer: Pick<Peer, 'id' | 'tenantId' | 'asset'>): NewAccount => ({
  id: peer.id,
  ledger: peer.asset.ledger,
  code: accountCode.peer,
  debitsMustNotExceedCredits: true,
  userData128: peer.asset.id,
  userData64: tenantSurrogate(peer.tenantId),
})

/** Follows from the peer, so that a retry after a crash cannot deposit twice. */
export const initialLiquidityTransferId = (peerId: string): string =>
  deriveId('peer-initial-liquidity', peerId)

/** Throws {@link PeerRefusal} `invalid_ilp_address`. */
export function checkIlpAddress(address: string, what = 'staticIlpAddress'): void {
  try {
    configuration.ilpAddress(address)
  } catch (error) {
    throw new PeerRefusal('invalid_ilp_address', {
      message: `${what} must be an ILP address, such as g.bank`,
      cause: error,
    })
  }
}

/** Prefixes of routes may be shorter than an address, down to a bare allocation scheme such as `g`. */
const ROUTE = /^(g|private|example|peer|self|test[1-3]?|local)([.][a-zA-Z0-9_~-]+)*$/

/** The routes as stored: the static address first, the given prefixes after it, each once. */
export function routesOf(staticIlpAddress: string, routes: readonly string[] = []): string[] {
  for (const route of routes)
    if (!ROUTE.test(route) || route.length > 1023)
      throw new PeerRefusal('invalid_ilp_address', { message: 'a route must be an ILP address prefix' })
  return [...new Set([staticIlpAddress, ...routes])]
}

/** http or https, no credentials, no empty label in the host. Throws {@link PeerRefusal} `invalid_endpoint`. */
export function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const fine =
    url !== undefined &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    (url.hostname.startsWith('[') || url.hostname.split('.').every((label) => label !== ''))
  if (!fine)
    throw new PeerRefusal('invalid_endpoint', {
      message: 'the outgoing endpoint must be an http or https URL',
    })
}

/** What a header can carry. Throws {@link PeerRefusal} `invalid_token`. */
export function checkToken(token: string): void {
  if (!/^[\x21-\x7e]{1,4096}$/.test(token))
    throw new PeerRefusal('invalid_token', { message: 'a token must be visible ASCII without spaces' })
}

const DAY_SECONDS = 86_400
const INTEGER_MAX = 2 ** 31 - 1

const isAmount = (value: bigint | null | undefined, min: bigint): boolean =>
  value == null || (value >= min && value <= AMOUNT_MAX)
const isInteger = (value: number | null | undefined, max: number): boolean =>
  value == null || (Number.isInteger(value) && value >= 1 && value <= max)

/** Throws {@link PeerRefusal} `invalid_peer`. */
export function checkLimits(peer: {
  maxPacketAmount?: bigint | null
  packetsPerMinute?: number | null
  amountLimit?: AmountLimit | null
  liquidityThreshold?: bigint | null
  initialLiquidity?: bigint
}): void {
  const check = (isFine: boolean, message: string) => {
    if (!isFine) throw new PeerRefusal('invalid_peer', { message })
  }
  const { maxPacketAmount, packetsPerMinute, amountLimit, liquidityThreshold, initialLiquidity } = peer
  check(isAmount(maxPacketAmount, 1n), 'maxPacketAmount must be from 1 to 18446744073709551615')
  check(isInteger(packetsPerMinute, INTEGER_MAX), 'packetsPerMinute must be from 1 to 2147483647')
  check(
    isAmount(amountLimit?.amount, 1n) && isInteger(amountLimit?.seconds, DAY_SECONDS),
    'amountLimit must be an amount from 1 to 18446744073709551615 and 1 to 86400 seconds',
  )
  check(isAmount(liquidityThreshold, 0n), 'liquidityThreshold must be from 0 to 18446744073709551615')
  check(isAmount(initialLiquidity, 1n), 'initialLiquidity must be from 1 to 18446744073709551615')
}
