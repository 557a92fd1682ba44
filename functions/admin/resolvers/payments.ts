import { findLiquidity } from '../../../shared/assets/index.ts'
import { type PageArguments, parseId, toConnection, toPage } from '../../../shared/graphql-server/index.ts'
import { type AnyPayment, listAnyPayments } from '../../../shared/outgoing-payments/index.ts'
import { type FilterString, included } from './input.ts'
import { listScope, type ResolverMap } from './resolver.ts'

const toPayment = (payment: AnyPayment) => ({
  id: payment.id,
  type: payment.type,
  tenantId: payment.tenantId,
  walletAddressId: payment.walletAddressId,
  client: payment.client,
  state: payment.state,
  metadata: payment.metadata,
  createdAt: payment.createdAt.toISOString(),
})
type PaymentNode = ReturnType<typeof toPayment>

interface ListArguments extends PageArguments {
  tenantId?: string
  filter?: { type?: FilterString | null; walletAddressId?: FilterString | null } | null
}

/** Incoming and outgoing payments in one list. */
export const paymentResolvers: ResolverMap = {
  Query: {
    payments: async (_source, args: ListArguments, ctx) => {
      const type = included(args.filter?.type)
      const walletAddressId = included(args.filter?.walletAddressId)?.map((id) =>
        parseId(id, 'walletAddressId'),
      )
      const filter = { ...(type && { type }), ...(walletAddressId && { walletAddressId }) }
      return toConnection(
        await listAnyPayments(ctx.node, listScope(ctx, args.tenantId), filter, toPage(args)),
        toPayment,
      )
    },
  },
  Payment: {
    liquidity: async (payment: PaymentNode, _args, ctx) =>
      (await findLiquidity(ctx.node, payment.id))?.toString(),
  },
}
