import { randomBytes } from 'node:crypto'
import { type Asset, ensureAssetAccounts, findAssetByCodeAndScale } from '../assets/index.ts'
import type { Ledger } from '../ledger/index.ts'
import {
  type Cache,
  type Clock,
  type Db,
  type HttpClient,
  type SecretBox,
  uuidv7,
} from '../platform/index.ts'
import {
  countOpenProofs,
  countUnapproved,
  insertProof,
  lockAcceptance,
  markApproved,
  selectGrantedCredit,
  selectRivalEndpoints,
} from './accepted-store.ts'
import { PeerRefusal } from './errors.ts'
import type { Peer } from './model.ts'
import { creditFor, type PeeringPolicy } from './peering-policy.ts'
import { type PeeringRequest, parsePeeringRequest } from './peering-request.ts'
import { areRelated, loweredTo, mayBeReached } from './peering-rules.ts'
import { ensurePeerAccount, findPeerByIncomingToken, getPeer, insertNewPeer, updatePeer } from './peers.ts'
import { selectPeerAt } from './store.ts'

type Context = {
  db: Db
  secretBox: SecretBox
  clock: Clock
  cache: Cache
  ledger: Ledger
  guardedHttp: HttpClient
}

/** What this node tells a peer of itself. */
export interface AcceptingIdentity {
  tenantId: string
  staticIlpAddress: string
  ilpConnectorUrl: string
  name: string
}

/** The answer (connector.md §10). Each side presents the token that it chose itself, so this is what the other node has to accept. */
export interface PeeringAnswer {
  ilpConnectorUrl: string
  staticIlpAddress: string
  httpToken: string
  name: string
  tenantId: string
}

/** Where functions sleep between requests, somebody looks every minute: twice within this. */
export const PROOF_LIFE_MS = 150_000
const PROOFS_PER_PEER_MAX = 5

const badConfiguration = (message: string) => new PeerRefusal('peer_ilp_configuration', { message })

/**
 * Another node asks to be a peer of this node's operator. Nobody knows who asks, so:
 *
 * - It gets no credit but what the policy has, in total and each; an address that leads elsewhere is not taken from there.
 * - A peer that exists is changed at once by who presents its token. Otherwise the answer is the same, and the new tokens wait until
 *   the peer's own endpoint accepts what the answer said (`proveEndpoints`). Its endpoint changes only with its token.
 * - A peer that was made by hand stays as it is.
 *
 * Throws {@link PeerRefusal} `peering_refused`, `peer_ilp_configuration`, `peer_lacks_asset`, `peering_busy`.
 */
export async function acceptPeering(
  ctx: Context,
  own: AcceptingIdentity,
  policy: PeeringPolicy,
  asked: { body: unknown; presentedToken?: string },
): Promise<PeeringAnswer> {
  const request = parsePeeringRequest(asked.body)
  if (areRelated(own.staticIlpAddress, request.staticIlpAddress))
    throw badConfiguration('the ILP address is also ours')
  if (new URL(request.ilpConnectorUrl).origin === new URL(own.ilpConnectorUrl).origin)
    throw badConfiguration('the connector URL is ours')
  if (!mayBeReached(ctx.guardedHttp, request.ilpConnectorUrl))
    throw badConfiguration('the connector URL must be an https URL')
  const scope = { tenantId: own.tenantId }
  const asset = await findAssetByCodeAndScale(ctx, scope, request.asset)
  if (!asset) throw new PeerRefusal('peer_lacks_asset', { message: 'this node does not have the asset' })
  const httpToken = randomBytes(32).toString('base64url')
  const made = await ctx.db.tx(async (db) => {
    await lockAcceptance(db)
    const place = { assetId: asset.id, staticIlpAddress: request.staticIlpAddress }
    const known = await selectPeerAt({ ...ctx, db }, scope, place)
    if (known) return await changePeer({ ...ctx, db }, { known, request, httpToken, ...asked })
    return await makePeer({ ...ctx, db }, { asset, own, policy, request, httpToken })
  })
  if (made) {
    await ensureAssetAccounts(ctx, asset)
    await ensurePeerAccount(ctx, made.peer, made.credit)
  }
  const { ilpConnectorUrl, staticIlpAddress, name, tenantId } = own
  return { ilpConnectorUrl, staticIlpAddress, httpToken, name, tenantId }
}

interface Making {
  asset: Asset
  own: AcceptingIdentity
  policy: PeeringPolicy
  request: PeeringRequest
  httpToken: string
}

async function makePeer(
  ctx: Context,
  { asset, own, policy, request, httpToken }: Making,
): Promise<{ peer: Peer; credit: bigint | undefined }> {
  const rivals = await selectRivalEndpoints(ctx.db, { tenantId: own.tenantId }, request.staticIlpAddress)
  if (rivals.some((endpoint) => endpoint !== request.ilpConnectorUrl))
    throw badConfiguration('packets to this ILP address go to another peer')
  if ((await countUnapproved(ctx.db)) >= policy.unapprovedPeersMax)
    throw new PeerRefusal('peering_busy', { message: 'this node takes no more peers for now' })
  const credit = policy.needsApproval
    ? undefined
    : creditFor(policy, await selectGrantedCredit(ctx.db, asset.id))
  const { staticIlpAddress, ilpConnectorUrl: endpoint, name, maxPacketAmount } = request
  const peer = await insertNewPeer(ctx, asset, {
    assetId: asset.id,
    staticIlpAddress,
    outgoing: { endpoint, authToken: httpToken },
    incoming: { authTokens: [request.httpToken] },
    peeringUrl: endpoint,
    acceptedAt: ctx.clock.now(),
    ...(name !== undefined && { name }),
    ...(maxPacketAmount !== undefined && { maxPacketAmount }),
    ...(credit !== undefined && { initialLiquidity: credit }),
  }).catch(sayLess)
  return { peer, credit }
}

/** That a token is taken is nothing for strangers to know. */
function sayLess(error: unknown): never {
  if (error instanceof PeerRefusal && error.code === 'duplicate_incoming_token')
    throw new PeerRefusal('peering_refused', { message: 'choose another token', cause: error })
  throw error
}

interface Changing {
  known: Peer
  request: PeeringRequest
  httpToken: string
  presentedToken?: string
}

async function changePeer(
  ctx: Context,
  { known, request, httpToken, presentedToken }: Changing,
): Promise<undefined> {
  if (known.peeringUrl === undefined)
    throw new PeerRefusal('peering_refused', { message: 'the peer with this ILP address was made by hand' })
  const { ilpConnectorUrl: endpoint, name, maxPacketAmount } = request
  const fields = { ...(name !== undefined && { name }) }
  if (presentedToken !== undefined && (await findPeerByIncomingToken(ctx, presentedToken))?.id === known.id) {
    await updatePeer(
      ctx,
      { tenantId: known.tenantId },
      {
        id: known.id,
        outgoing: { endpoint, authToken: httpToken },
        incoming: { authTokens: [request.httpToken] },
        // The URL that this node was told by its operator stays; the endpoint is the peer's word either way.
        peeringUrl: known.peeringUrl,
        ...fields,
        ...loweredTo(known.maxPacketAmount, maxPacketAmount),
      },
    ).catch(sayLess)
    return undefined
  }
  if (endpoint !== known.outgoing.endpoint)
    throw new PeerRefusal('peering_refused', {
      message: 'the peer with this ILP address is elsewhere: present its token to move it',
    })
  const now = ctx.clock.now()
  if ((await countOpenProofs(ctx.db, known.id, now)) >= PROOFS_PER_PEER_MAX)
    throw new PeerRefusal('peering_busy', { message: 'too many requests for this peer' })
  await insertProof(ctx, {
    id: uuidv7(now.getTime()),
    peerId: known.id,
    incomingToken: request.httpToken,
    outgoingToken: httpToken,
    ...fields,
    ...(maxPacketAmount !== undefined && { maxPacketAmount }),
    now,
    expiresAt: new Date(now.getTime() + PROOF_LIFE_MS),
  })
  return undefined
}

/**
 * The operator's word for a peer that asked: from now on it may have the policy's credit, once, as far as the total reaches. Again:
 * nothing. Throws {@link PeerRefusal} `unknown_peer`, `not_accepted_peer`.
 */
export async function approvePeer(
  ctx: Omit<Context, 'guardedHttp'>,
  scope: { tenantId: string } | 'all',
  policy: PeeringPolicy,
  id: string,
): Promise<Peer> {
  const peer = await getPeer(ctx, scope, id)
  if (!peer.acceptedAt)
    throw new PeerRefusal('not_accepted_peer', {
      message: 'this peer did not ask: give it liquidity by hand',
    })
  const credit = await ctx.db.tx(async (db) => {
    await lockAcceptance(db)
    const credit = creditFor(policy, await selectGrantedCredit(db, peer.asset.id))
    return (await markApproved(db, { id, now: ctx.clock.now(), credit })) ? credit : undefined
  })
  const approved = await getPeer(ctx, scope, id)
  // What it got when it was accepted is its first liquidity already, under the same transfer.
  await ensurePeerAccount(ctx, approved, approved.initialLiquidity ?? credit)
  return approved
}
