import {
  type Asset,
  createAsset,
  deleteAsset,
  depositAssetLiquidity,
  ensureAssetAccounts,
  type Fee,
  findAssetByCodeAndScale,
  findLatestFee,
  getAsset,
  getAssetLiquidity,
  listAssets,
  listFees,
  setFee,
  updateAsset,
  withdrawAssetLiquidity,
} from '../../../shared/assets/index.ts'
import { type PageArguments, parseId, toConnection, toPage } from '../../../shared/graphql-server/index.ts'
import { parseTimeout, parseTransferId, succeeded } from './input.ts'
import {
  anyOrOwn,
  given,
  listScope,
  mutation,
  own,
  type RequestContext,
  type ResolverMap,
  rowMutation,
} from './resolver.ts'
import { toTargetTenant } from './target-tenant.ts'

export const toAsset = (asset: Asset) => ({
  id: asset.id,
  tenantId: asset.tenantId,
  code: asset.code,
  scale: asset.scale,
  liquidityThreshold: asset.liquidityThreshold?.toString(),
  withdrawalThreshold: asset.withdrawalThreshold?.toString(),
  createdAt: asset.createdAt.toISOString(),
})
type AssetNode = ReturnType<typeof toAsset>

const toFee = (fee: Fee) => ({
  id: fee.id,
  assetId: fee.assetId,
  type: fee.type,
  fixed: fee.fixed.toString(),
  basisPoints: fee.basisPoints,
  createdAt: fee.createdAt.toISOString(),
})

/** The asset of a parent that the caller may see: its own tenant's. */
export const assetOf = async (parent: { assetId: string }, ctx: RequestContext) =>
  toAsset(await getAsset(ctx.node, anyOrOwn(ctx), parent.assetId))

const fee =
  (type: 'SENDING' | 'RECEIVING') => async (asset: AssetNode, _args: unknown, ctx: RequestContext) => {
    const found = await findLatestFee(ctx.node, asset.id, type)
    return found && toFee(found)
  }

interface CreateAssetInput {
  code: string
  scale: number
  liquidityThreshold?: bigint | null
  withdrawalThreshold?: bigint | null
  tenantId?: string | null
  idempotencyKey?: string | null
}

interface UpdateAssetInput {
  id: string
  liquidityThreshold?: bigint | null
  withdrawalThreshold?: bigint | null
  idempotencyKey?: string | null
}

/** Absent and null are the same: no threshold. */
const toThresholds = ({
  liquidityThreshold,
  withdrawalThreshold,
}: Pick<UpdateAssetInput, 'liquidityThreshold' | 'withdrawalThreshold'>) => ({
  ...(liquidityThreshold != null && { liquidityThreshold }),
  ...(withdrawalThreshold != null && { withdrawalThreshold }),
})

interface LiquidityInput {
  assetId: string
  id: string
  amount: bigint
  timeoutSeconds?: bigint
  idempotencyKey?: string | null
}

export const assetResolvers: ResolverMap = {
  Query: {
    asset: async (_source, args: { id: string }, ctx) =>
      toAsset(await getAsset(ctx.node, anyOrOwn(ctx), parseId(args.id, 'id'))),
    assetByCodeAndScale: async (_source, args: { code: string; scale: number }, ctx) => {
      const asset = await findAssetByCodeAndScale(ctx.node, own(ctx), args)
      return asset && toAsset(asset)
    },
    assets: async (_source, args: PageArguments & { tenantId?: string }, ctx) =>
      toConnection(await listAssets(ctx.node, listScope(ctx, args.tenantId), toPage(args)), toAsset),
  },
  Asset: {
    liquidity: async (asset: AssetNode, _args, ctx) => (await getAssetLiquidity(ctx.node, asset)).toString(),
    sendingFee: fee('SENDING'),
    receivingFee: fee('RECEIVING'),
    fees: async (asset: AssetNode, args: PageArguments, ctx) =>
      toConnection(await listFees(ctx.node, asset.id, toPage(args)), toFee),
  },
  Mutation: {
    createAsset: mutation('createAsset', async (ctx, input: CreateAssetInput, _requestId, isRepeat) => {
      const { code, scale } = input
      const tenantId = await toTargetTenant(ctx, input.tenantId)
      const known = isRepeat && (await findAssetByCodeAndScale(ctx.node, { tenantId }, { code, scale }))
      if (known && !known.deletedAt) await ensureAssetAccounts(ctx.node, known)
      else
        return {
          asset: toAsset(await createAsset(ctx.node, { tenantId, code, scale, ...toThresholds(input) })),
        }
      return { asset: toAsset(known) }
    }),
    updateAsset: rowMutation('updateAsset', async (ctx, input: UpdateAssetInput) => ({
      asset: toAsset(
        await updateAsset(ctx.node, own(ctx), { id: parseId(input.id, 'id'), ...toThresholds(input) }),
      ),
    })),
    deleteAsset: rowMutation(
      'deleteAsset',
      async (ctx, input: { id: string; idempotencyKey?: string | null }) => ({
        asset: toAsset(await deleteAsset(ctx.node, own(ctx), parseId(input.id, 'id'))),
      }),
    ),
    setFee: rowMutation(
      'setFee',
      async (
        ctx,
        input: {
          assetId: string
          type: Fee['type']
          fee: { fixed: bigint; basisPoints: number }
          idempotencyKey?: string | null
        },
      ) => {
        const assetId = parseId(input.assetId, 'assetId')
        return {
          fee: toFee(await setFee(ctx.node, anyOrOwn(ctx), { assetId, type: input.type, ...input.fee })),
        }
      },
    ),
    depositAssetLiquidity: mutation(
      'depositAssetLiquidity',
      async (ctx, input: LiquidityInput, _requestId, acceptRepeat) => {
        await depositAssetLiquidity(ctx.node, anyOrOwn(ctx), {
          assetId: parseId(input.assetId, 'assetId'),
          transferId: parseTransferId(input.id),
          amount: input.amount,
          acceptRepeat,
        })
        return succeeded
      },
    ),
    createAssetLiquidityWithdrawal: mutation(
      'createAssetLiquidityWithdrawal',
      async (ctx, input: LiquidityInput, _requestId, acceptRepeat) => {
        await withdrawAssetLiquidity(ctx.node, anyOrOwn(ctx), {
          assetId: parseId(input.assetId, 'assetId'),
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
