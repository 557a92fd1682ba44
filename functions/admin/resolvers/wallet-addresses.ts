import {
  InvalidInput,
  type PageArguments,
  parseId,
  toConnection,
  toPage,
} from '../../../shared/graphql-server/index.ts'
import { listIncomingPayments, updateWalletAddress } from '../../../shared/incoming-payments/index.ts'
import { listOutgoingPayments } from '../../../shared/outgoing-payments/index.ts'
import { listQuotes } from '../../../shared/quotes/index.ts'
import {
  type AdditionalProperty,
  createWalletAddress,
  createWalletAddressKey,
  findWalletAddressByUrl,
  findWalletAddressLiquidity,
  getWalletAddress,
  isActive,
  type Jwk,
  listWalletAddresses,
  pageWalletAddressKeys,
  revokeWalletAddressKey,
  triggerWalletAddressEvents,
  type WalletAddress,
  type WalletAddressKey,
  withdrawWalletAddress,
} from '../../../shared/wallet-addresses/index.ts'
import { assetOf } from './assets.ts'
import { type IncomingPaymentFilter, toFilter, toPayment as toIncomingPayment } from './incoming-payments.ts'
import { parseTimeout, parseTransferId } from './input.ts'
import { toPayment as toOutgoingPayment } from './outgoing-payments.ts'
import { toQuote } from './quotes.ts'
import { anyOrOwn, listScope, mutation, own, type ResolverMap, rowMutation } from './resolver.ts'
import { toTargetTenant } from './target-tenant.ts'

const toWalletAddress = (walletAddress: WalletAddress) => ({
  id: walletAddress.id,
  tenantId: walletAddress.tenantId,
  assetId: walletAddress.assetId,
  address: walletAddress.address,
  publicName: walletAddress.publicName,
  status: isActive(walletAddress) ? 'ACTIVE' : 'INACTIVE',
  additionalProperties: walletAddress.additionalProperties,
  createdAt: walletAddress.createdAt.toISOString(),
})
type WalletAddressNode = ReturnType<typeof toWalletAddress>

const toKey = (key: WalletAddressKey) => ({
  id: key.id,
  walletAddressId: key.walletAddressId,
  jwk: key.jwk,
  revoked: key.revokedAt !== undefined,
  createdAt: key.createdAt.toISOString(),
})

interface CreateInput {
  assetId: string
  address: string
  publicName?: string | null
  additionalProperties?: AdditionalProperty[] | null
  tenantId?: string | null
  idempotencyKey?: string | null
}

interface UpdateInput {
  id: string
  publicName?: string | null
  status?: 'ACTIVE' | 'INACTIVE' | null
  additionalProperties?: AdditionalProperty[] | null
  idempotencyKey?: string | null
}

interface WithdrawalInput {
  id: string
  walletAddressId: string
  timeoutSeconds: bigint
  idempotencyKey: string
}

/** Of one call: whoever wants more calls again. */
const TRIGGER_MAX = 1_000

export const walletAddressResolvers: ResolverMap = {
  Query: {
    walletAddress: async (_source, args: { id: string }, ctx) =>
      toWalletAddress(await getWalletAddress(ctx.node, anyOrOwn(ctx), parseId(args.id, 'id'))),
    walletAddressByUrl: async (_source, args: { url: string }, ctx) => {
      const walletAddress = await findWalletAddressByUrl(ctx.node, anyOrOwn(ctx), args.url)
      return walletAddress && toWalletAddress(walletAddress)
    },
    walletAddresses: async (_source, args: PageArguments & { tenantId?: string }, ctx) =>
      toConnection(
        await listWalletAddresses(ctx.node, listScope(ctx, args.tenantId), toPage(args)),
        toWalletAddress,
      ),
  },
  WalletAddress: {
    asset: (walletAddress: WalletAddressNode, _args, ctx) => assetOf(walletAddress, ctx),
    liquidity: async (walletAddress: WalletAddressNode, _args, ctx) =>
      (await findWalletAddressLiquidity(ctx.node, walletAddress.id))?.toString(),
    // What hangs on an address belongs to its tenant, whoever looks: the operator's pages end where the tenant's do.
    incomingPayments: async (
      { id, tenantId }: WalletAddressNode,
      args: PageArguments & { filter?: IncomingPaymentFilter | null },
      ctx,
    ) => {
      const filter = { ...toFilter(args.filter), walletAddressId: id }
      return toConnection(
        await listIncomingPayments(ctx.node, { tenantId }, filter, toPage(args)),
        toIncomingPayment(ctx),
      )
    },
    outgoingPayments: async ({ id, tenantId }: WalletAddressNode, args: PageArguments, ctx) =>
      toConnection(
        await listOutgoingPayments(ctx.node, { tenantId }, { walletAddressId: [id] }, toPage(args)),
        toOutgoingPayment,
      ),
    quotes: async ({ id, tenantId }: WalletAddressNode, args: PageArguments, ctx) =>
      toConnection(
        await listQuotes(ctx.node, { tenantId }, { walletAddressId: [id] }, toPage(args)),
        toQuote,
      ),
    walletAddressKeys: async (walletAddress: WalletAddressNode, args: PageArguments, ctx) =>
      toConnection(await pageWalletAddressKeys(ctx.node, walletAddress.id, toPage(args)), toKey),
  },
  Mutation: {
    createWalletAddress: rowMutation('createWalletAddress', async (ctx, input: CreateInput) => {
      const walletAddress = await createWalletAddress(ctx.node, {
        tenantId: await toTargetTenant(ctx, input.tenantId),
        assetId: parseId(input.assetId, 'assetId'),
        address: input.address,
        ...(input.publicName != null && { publicName: input.publicName }),
        ...(input.additionalProperties != null && { additionalProperties: input.additionalProperties }),
      })
      return { walletAddress: toWalletAddress(walletAddress) }
    }),
    updateWalletAddress: rowMutation('updateWalletAddress', async (ctx, input: UpdateInput) => {
      const walletAddress = await updateWalletAddress(ctx.node, own(ctx), {
        id: parseId(input.id, 'id'),
        ...(input.publicName !== undefined && { publicName: input.publicName }),
        ...(input.status != null && { status: input.status }),
        ...(input.additionalProperties != null && { additionalProperties: input.additionalProperties }),
      })
      return { walletAddress: toWalletAddress(walletAddress) }
    }),
    createWalletAddressWithdrawal: mutation(
      'createWalletAddressWithdrawal',
      async (ctx, input: WithdrawalInput, _requestId, acceptRepeat) => {
        const { transferId, amount, walletAddress } = await withdrawWalletAddress(ctx.node, anyOrOwn(ctx), {
          walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
          transferId: parseTransferId(input.id),
          timeoutSeconds: parseTimeout(input.timeoutSeconds),
          acceptRepeat,
        })
        return {
          withdrawal: {
            id: transferId,
            amount: amount.toString(),
            walletAddress: toWalletAddress(walletAddress),
          },
        }
      },
    ),
    // The operator's reaches every tenant, as in the contract; a tenant's its own.
    triggerWalletAddressEvents: mutation(
      'triggerWalletAddressEvents',
      async (ctx, input: { limit: number; idempotencyKey?: string | null }) => {
        if (input.limit < 0) throw new InvalidInput('limit must not be negative')
        const limit = Math.min(input.limit, TRIGGER_MAX)
        return { count: await triggerWalletAddressEvents(ctx.node, anyOrOwn(ctx), limit) }
      },
    ),
    createWalletAddressKey: rowMutation(
      'createWalletAddressKey',
      async (ctx, input: { walletAddressId: string; jwk: Jwk; idempotencyKey?: string | null }) => {
        const key = await createWalletAddressKey(ctx.node, anyOrOwn(ctx), {
          walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
          jwk: { ...input.jwk },
        })
        return { walletAddressKey: toKey(key) }
      },
    ),
    revokeWalletAddressKey: rowMutation(
      'revokeWalletAddressKey',
      async (ctx, input: { id: string; idempotencyKey?: string | null }) => ({
        walletAddressKey: toKey(
          await revokeWalletAddressKey(ctx.node, anyOrOwn(ctx), parseId(input.id, 'id')),
        ),
      }),
    ),
  },
}
