import {
  type Asset,
  depositLiquidity,
  ensureAssetAccounts,
  findLiquidity,
  getAsset,
  type Movement,
  withAccounts,
  withdrawLiquidity,
} from '../assets/index.ts'
import { isSuccess, type Ledger } from '../ledger/index.ts'
import { type Cache, type Clock, type Db, Fault, isUuid, type SecretBox, uuidv7 } from '../platform/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import { PeerRefusal } from './errors.ts'
import {
  type AmountLimit,
  checkEndpoint,
  checkIlpAddress,
  checkLimits,
  checkToken,
  initialLiquidityTransferId,
  type Peer,
  peerAccount,
  type RoutedPeer,
  routesOf,
} from './model.ts'
import {
  insertPeer,
  type PeerPatch,
  patchPeer,
  removePeer,
  selectPeer,
  selectPeerByAddress,
  selectPeerByToken,
  selectPeers,
  selectPeersAfter,
  selectRoutedPeer,
  selectRoutedPeers,
} from './store.ts'

type ReadContext = { db: Db; secretBox: SecretBox }
type WriteContext = ReadContext & { clock: Clock; cache: Cache; ledger: Ledger }

const unknownPeer = () => new PeerRefusal('unknown_peer', { message: 'unknown peer' })

export const findPeer = async (
  ctx: ReadContext,
  scope: TenantScope,
  id: string,
): Promise<Peer | undefined> => (isUuid(id) ? await selectPeer(ctx, scope, id) : undefined)

/** Throws {@link PeerRefusal} `unknown_peer`. */
export async function getPeer(ctx: ReadContext, scope: TenantScope, id: string): Promise<Peer> {
  const peer = await findPeer(ctx, scope, id)
  if (!peer) throw unknownPeer()
  return peer
}

/** The peer of an asset that packets to an address would leave through. */
export const findPeerByAddress = (
  ctx: ReadContext,
  scope: TenantScope,
  route: { address: string; assetId: string },
): Promise<Peer | undefined> => selectPeerByAddress(ctx, scope, route)

export const listPeers = (ctx: ReadContext, scope: TenantScope, page: Page): Promise<Paged<Peer>> =>
  selectPeers(ctx, scope, page)

/** All peers of all tenants, for the connector's routing table: never a page of them. */
export const listRoutedPeers = (ctx: ReadContext): Promise<RoutedPeer[]> => selectRoutedPeers(ctx)

/** One peer after a notice on `upesi_peers`; `undefined` when it is gone. */
export const findRoutedPeer = (ctx: ReadContext, id: string): Promise<RoutedPeer | undefined> =>
  selectRoutedPeer(ctx, id)

export const findPeerByIncomingToken = (ctx: ReadContext, token: string): Promise<Peer | undefined> =>
  selectPeerByToken(ctx, token)

export interface CreatePeerInput {
  /** For callers that must be able to repeat: the same id cannot make a second peer, nor deposit twice. */
  id?: string
  /** Whose asset it must be; absent: any tenant's (the operator). */
  tenantId?: string
  assetId: string
  staticIlpAddress: string
  name?: string
  maxPacketAmount?: bigint
  packetsPerMinute?: number
  amountLimit?: AmountLimit
  liquidityThreshold?: bigint
  outgoing: { endpoint: string; authToken: string }
  incoming?: { authTokens: readonly string[] }
  peeringUrl?: string
  initialLiquidity?: bigint
  routes?: readonly string[]
}

/**
 * Inserts the peer, its tokens and routes, then its ledger account and initial liquidity. The row remembers the initial
 * liquidity, so that {@link repairPeerAccounts} can finish what a crash interrupted. The peer belongs to the asset's tenant.
 * Throws {@link PeerRefusal}, AssetRefusal `unknown_asset`.
 */
export async function createPeer(ctx: WriteContext, input: CreatePeerInput): Promise<Peer> {
  checkIlpAddress(input.staticIlpAddress)
  checkEndpoint(input.outgoing.endpoint)
  checkToken(input.outgoing.authToken)
  input.incoming?.authTokens.forEach(checkToken)
  checkLimits(input)
  const scope = input.tenantId === undefined ? 'all' : { tenantId: input.tenantId }
  const asset = await getAsset(ctx, scope, input.assetId)
  const known = input.id === undefined ? undefined : await findPeer(ctx, scope, input.id)
  const peer = known ?? (await insertNewPeer(ctx, asset, input))
  await ensureAssetAccounts(ctx, asset)
  await ensurePeerAccount(ctx, peer, input.initialLiquidity)
  return peer
}

/** The row alone. */
export function insertNewPeer(
  ctx: ReadContext & { clock: Clock },
  asset: Asset,
  input: CreatePeerInput & { acceptedAt?: Date },
): Promise<Peer> {
  const { incoming, ...row } = input
  return insertPeer(
    ctx,
    {
      ...row,
      id: input.id ?? uuidv7(ctx.clock.nowMs()),
      tenantId: asset.tenantId,
      routes: routesOf(input.staticIlpAddress, input.routes),
      createdAt: ctx.clock.now(),
    },
    incoming?.authTokens ?? [],
  )
}

/** Safe to repeat: the deposit's id follows from the peer's. */
export async function ensurePeerAccount(
  ctx: { ledger: Ledger },
  peer: Peer,
  initialLiquidity: bigint | undefined,
): Promise<void> {
  const [status] = await ctx.ledger.createAccounts([peerAccount(peer)])
  if (status === undefined || !isSuccess(status))
    throw new Fault('ledger_accounts_conflict', {
      retryable: false,
      message: `the ledger refused the account of peer ${peer.staticIlpAddress}: ${status}`,
      details: { peerId: peer.id },
    })
  if (initialLiquidity === undefined) return
  await depositLiquidity(ctx, {
    ...accountOf(peer),
    transferId: initialLiquidityTransferId(peer.id),
    amount: initialLiquidity,
    acceptRepeat: true,
  })
}

const REPAIR_BATCH = 200

/** At start: gives every peer its account and initial liquidity where a crash left them out. Returns how many were repaired. */
export async function repairPeerAccounts(ctx: ReadContext & { ledger: Ledger }): Promise<number> {
  let repaired = 0
  let after = '00000000-0000-0000-0000-000000000000'
  for (;;) {
    const rows = await selectPeersAfter(ctx, after, REPAIR_BATCH)
    const ids = rows.map(({ peer }) => peer.id)
    const [accounts, deposits] = await Promise.all([
      ctx.ledger.lookupAccounts(ids),
      ctx.ledger.lookupTransfers(ids.map(initialLiquidityTransferId)),
    ])
    for (const [index, { peer, initialLiquidity }] of rows.entries()) {
      if (accounts[index] && (initialLiquidity === undefined || deposits[index])) continue
      await ensurePeerAccount(ctx, peer, initialLiquidity)
      repaired++
    }
    const last = ids.at(-1)
    if (last === undefined || ids.length < REPAIR_BATCH) return repaired
    after = last
  }
}

export interface UpdatePeerInput {
  id: string
  staticIlpAddress?: string
  /** Null clears. */
  name?: string | null
  /** Null: any amount. */
  maxPacketAmount?: bigint | null
  /** Null: PEER_PACKETS_PER_MINUTE. */
  packetsPerMinute?: number | null
  /** Null: any amount. */
  amountLimit?: AmountLimit | null
  /** Null: no threshold. */
  liquidityThreshold?: bigint | null
  outgoing?: { endpoint: string; authToken: string }
  /** Who named the endpoint of `outgoing`. Absent: the caller. */
  peeringUrl?: string
  /** Replaces all incoming tokens. */
  incoming?: { authTokens: readonly string[] }
  /** Replaces all routes; the static address stays among them. */
  routes?: readonly string[]
}

/** Fields that are absent stay. Throws {@link PeerRefusal} `unknown_peer`, `duplicate_peer`, `duplicate_incoming_token`, `invalid_…`. */
export async function updatePeer(
  ctx: ReadContext & { clock: Clock },
  scope: TenantScope,
  input: UpdatePeerInput,
): Promise<Peer> {
  if (input.staticIlpAddress !== undefined) checkIlpAddress(input.staticIlpAddress)
  if (input.outgoing) {
    checkEndpoint(input.outgoing.endpoint)
    checkToken(input.outgoing.authToken)
  }
  input.incoming?.authTokens.forEach(checkToken)
  checkLimits(input)
  const patched = await ctx.db.tx(async (db) => {
    // Locked: routes follow from the address, and another update must not come between.
    const current = isUuid(input.id) && (await selectPeer({ ...ctx, db }, scope, input.id, 'lock'))
    if (!current) throw unknownPeer()
    const { id, incoming, routes, ...fields } = input
    return await patchPeer(
      { ...ctx, db },
      scope,
      id,
      { ...fields, ...newRoutes(current, input) } satisfies PeerPatch,
      incoming?.authTokens,
      ctx.clock.now(),
    )
  })
  if (!patched) throw unknownPeer()
  return patched
}

/** A new static address takes the old one's place among the routes. */
function newRoutes(current: Peer, input: UpdatePeerInput): { routes?: string[] } {
  const address = input.staticIlpAddress ?? current.staticIlpAddress
  if (input.routes) return { routes: routesOf(address, input.routes) }
  if (input.staticIlpAddress === undefined) return {}
  return {
    routes: routesOf(
      address,
      current.routes.filter((route) => route !== current.staticIlpAddress),
    ),
  }
}

/** Removes the peer with its tokens and routes. Its ledger account and what is on it stay. Throws {@link PeerRefusal} `unknown_peer`. */
export async function deletePeer(ctx: ReadContext, scope: TenantScope, id: string): Promise<Peer> {
  const peer = isUuid(id) ? await removePeer(ctx, scope, id) : undefined
  if (!peer) throw unknownPeer()
  return peer
}

/** What the peer may still send through us. */
export async function getPeerLiquidity(ctx: { ledger: Ledger }, peer: Pick<Peer, 'id'>): Promise<bigint> {
  const liquidity = await findLiquidity(ctx, peer.id)
  if (liquidity === undefined)
    throw new Fault('ledger_account_missing', { retryable: true, details: { peerId: peer.id } })
  return liquidity
}

interface LiquidityInput {
  peerId: string
  transferId: string
  amount: bigint
  acceptRepeat?: boolean
}

/** Settlement → peer. Throws {@link PeerRefusal} `unknown_peer` or LiquidityRefusal. */
export async function depositPeerLiquidity(
  ctx: ReadContext & { ledger: Ledger },
  scope: TenantScope,
  input: LiquidityInput,
): Promise<Movement> {
  const peer = await getPeer(ctx, scope, input.peerId)
  return await withAccounts(
    () => ensurePeerAccount(ctx, peer, undefined),
    () => depositLiquidity(ctx, { ...input, ...accountOf(peer) }),
  )
}

/** Peer → settlement. Throws {@link PeerRefusal} `unknown_peer` or LiquidityRefusal. */
export async function withdrawPeerLiquidity(
  ctx: ReadContext & { ledger: Ledger },
  scope: TenantScope,
  input: LiquidityInput & { timeoutSeconds: number },
): Promise<Movement> {
  const peer = await getPeer(ctx, scope, input.peerId)
  return await withdrawLiquidity(ctx, { ...input, ...accountOf(peer) })
}

const accountOf = (peer: Pick<Peer, 'id' | 'tenantId' | 'asset'>) => ({
  accountId: peer.id,
  tenantId: peer.tenantId,
  ledger: peer.asset.ledger,
})
