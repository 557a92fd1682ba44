import { type PageArguments, parseId, toConnection, toPage } from '../../../shared/graphql-server/index.ts'
import {
  type AmountLimit,
  approvePeer,
  createOrUpdatePeerByUrl,
  createPeer,
  deletePeer,
  depositPeerLiquidity,
  findPeerByAddress,
  getPeer,
  getPeerLiquidity,
  listPeers,
  type Peer,
  updatePeer,
  withdrawPeerLiquidity,
} from '../../../shared/peers/index.ts'
import { deriveId } from '../../../shared/platform/index.ts'
import { getTenantSettings } from '../../../shared/tenants/index.ts'
import { assetOf } from './assets.ts'
import { parseTimeout, parseTransferId, succeeded } from './input.ts'
import { anyOrOwn, given, listScope, mutation, own, type ResolverMap, rowMutation } from './resolver.ts'

const toPeer = (peer: Peer) => ({
  id: peer.id,
  tenantId: peer.tenantId,
  assetId: peer.asset.id,
  staticIlpAddress: peer.staticIlpAddress,
  name: peer.name,
  maxPacketAmount: peer.maxPacketAmount?.toString(),
  packetsPerMinute: peer.packetsPerMinute,
  ...(peer.acceptedAt && { isApproved: peer.approvedAt !== undefined }),
  ...(peer.amountLimit && {
    amountLimit: { amount: peer.amountLimit.amount.toString(), seconds: peer.amountLimit.seconds },
  }),
  liquidityThreshold: peer.liquidityThreshold?.toString(),
  routes: peer.routes,
  endpoint: peer.outgoing.endpoint,
  createdAt: peer.createdAt.toISOString(),
})
type PeerNode = ReturnType<typeof toPeer>

interface HttpInput {
  outgoing: { endpoint: string; authToken: string }
  incoming?: { authTokens: string[] } | null
}

interface PeerInput {
  name?: string | null
  maxPacketAmount?: bigint | null
  packetsPerMinute?: number | null
  amountLimit?: AmountLimit | null
  liquidityThreshold?: bigint | null
  routes?: string[] | null
  idempotencyKey?: string | null
}

const toFields = (input: PeerInput) => ({
  ...(input.name != null && { name: input.name }),
  ...(input.maxPacketAmount != null && { maxPacketAmount: input.maxPacketAmount }),
  ...(input.packetsPerMinute != null && { packetsPerMinute: input.packetsPerMinute }),
  ...(input.amountLimit && { amountLimit: input.amountLimit }),
  ...(input.liquidityThreshold != null && { liquidityThreshold: input.liquidityThreshold }),
  ...(input.routes != null && { routes: input.routes }),
})

/** A patch: what is absent stays, and null clears what may be absent. */
const toPatch = (input: PeerInput) => ({
  ...(input.name !== undefined && { name: input.name }),
  ...(input.maxPacketAmount !== undefined && { maxPacketAmount: input.maxPacketAmount }),
  ...(input.packetsPerMinute !== undefined && { packetsPerMinute: input.packetsPerMinute }),
  ...(input.amountLimit !== undefined && { amountLimit: input.amountLimit }),
  ...(input.liquidityThreshold !== undefined && { liquidityThreshold: input.liquidityThreshold }),
  ...(input.routes != null && { routes: input.routes }),
})

const toHttp = (http: HttpInput) => ({
  outgoing: http.outgoing,
  ...(http.incoming && { incoming: http.incoming }),
})

interface PeerByUrlInput {
  assetId: string
  peerUrl: string
  name?: string | null
  maxPacketAmount?: bigint | null
  liquidityThreshold?: bigint | null
  liquidityToDeposit?: bigint | null
  idempotencyKey?: string | null
}

interface LiquidityInput {
  peerId: string
  id: string
  amount: bigint
  timeoutSeconds?: bigint
  idempotencyKey?: string | null
}

export const peerResolvers: ResolverMap = {
  Query: {
    peer: async (_source, args: { id: string }, ctx) =>
      toPeer(await getPeer(ctx.node, anyOrOwn(ctx), parseId(args.id, 'id'))),
    peerByAddressAndAsset: async (_source, args: { staticIlpAddress: string; assetId: string }, ctx) => {
      const route = { address: args.staticIlpAddress, assetId: parseId(args.assetId, 'assetId') }
      const peer = await findPeerByAddress(ctx.node, own(ctx), route)
      return peer && toPeer(peer)
    },
    peers: async (_source, args: PageArguments & { tenantId?: string }, ctx) =>
      toConnection(await listPeers(ctx.node, listScope(ctx, args.tenantId), toPage(args)), toPeer),
  },
  Peer: {
    asset: (peer: PeerNode, _args, ctx) => assetOf(peer, ctx),
    liquidity: async (peer: PeerNode, _args, ctx) => (await getPeerLiquidity(ctx.node, peer)).toString(),
    // Read afresh: the token must not be kept with the answers of idempotent mutations.
    http: async (peer: PeerNode, _args, ctx) => ({
      outgoing: (await getPeer(ctx.node, anyOrOwn(ctx), peer.id)).outgoing,
    }),
  },
  Mutation: {
    createPeer: mutation(
      'createPeer',
      async (
        ctx,
        input: PeerInput & {
          assetId: string
          staticIlpAddress: string
          http: HttpInput
          initialLiquidity?: bigint | null
        },
        requestId,
      ) => {
        const peer = await createPeer(ctx.node, {
          ...(requestId !== undefined && { id: requestId }),
          ...(!ctx.caller.isOperator && { tenantId: ctx.caller.tenantId }),
          assetId: parseId(input.assetId, 'assetId'),
          staticIlpAddress: input.staticIlpAddress,
          ...(input.initialLiquidity != null && { initialLiquidity: input.initialLiquidity }),
          ...toFields(input),
          ...toHttp(input.http),
        })
        return { peer: toPeer(peer) }
      },
    ),
    createOrUpdatePeerByUrl: mutation(
      'createOrUpdatePeerByUrl',
      async (ctx, input: PeerByUrlInput, requestId) => {
        const { tenantId } = ctx.caller
        const { ilpAddress } = await getTenantSettings(ctx.node, tenantId)
        const own = { ...ctx.node.peering, ...(ilpAddress !== undefined && { staticIlpAddress: ilpAddress }) }
        const { name, maxPacketAmount, liquidityThreshold, liquidityToDeposit } = input
        const peer = await createOrUpdatePeerByUrl(ctx.node, own, {
          tenantId,
          assetId: parseId(input.assetId, 'assetId'),
          peerUrl: input.peerUrl,
          ...(name != null && { name }),
          ...(maxPacketAmount != null && { maxPacketAmount }),
          ...(liquidityThreshold != null && { liquidityThreshold }),
          ...(liquidityToDeposit != null && { liquidityToDeposit }),
          // Carried out again after a crash it deposits once.
          ...(requestId !== undefined && { transferId: deriveId('peering-liquidity', requestId) }),
        })
        return { peer: toPeer(peer) }
      },
    ),
    updatePeer: rowMutation(
      'updatePeer',
      async (
        ctx,
        input: PeerInput & { id: string; staticIlpAddress?: string | null; http?: HttpInput | null },
      ) => {
        const peer = await updatePeer(ctx.node, anyOrOwn(ctx), {
          id: parseId(input.id, 'id'),
          ...(input.staticIlpAddress != null && { staticIlpAddress: input.staticIlpAddress }),
          ...toPatch(input),
          ...(input.http && toHttp(input.http)),
        })
        return { peer: toPeer(peer) }
      },
    ),
    approvePeer: mutation(
      'approvePeer',
      async (ctx, input: { id: string; idempotencyKey?: string | null }) => ({
        peer: toPeer(await approvePeer(ctx.node, own(ctx), ctx.node.peeringPolicy, parseId(input.id, 'id'))),
      }),
    ),
    deletePeer: rowMutation(
      'deletePeer',
      async (ctx, input: { id: string; idempotencyKey?: string | null }) => {
        await deletePeer(ctx.node, own(ctx), parseId(input.id, 'id'))
        return succeeded
      },
    ),
    depositPeerLiquidity: mutation(
      'depositPeerLiquidity',
      async (ctx, input: LiquidityInput, _requestId, acceptRepeat) => {
        await depositPeerLiquidity(ctx.node, anyOrOwn(ctx), {
          peerId: parseId(input.peerId, 'peerId'),
          transferId: parseTransferId(input.id),
          amount: input.amount,
          acceptRepeat,
        })
        return succeeded
      },
    ),
    createPeerLiquidityWithdrawal: mutation(
      'createPeerLiquidityWithdrawal',
      async (ctx, input: LiquidityInput, _requestId, acceptRepeat) => {
        await withdrawPeerLiquidity(ctx.node, anyOrOwn(ctx), {
          peerId: parseId(input.peerId, 'peerId'),
          transferId: parseTransferId(input.id),
          amount: input.amount,
          timeoutSeconds: parseTimeout(given(input.timeoutSeconds)),
          acceptRepeat,
        })
        return succeeded
      },
    ),
  },
}
