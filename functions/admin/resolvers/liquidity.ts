import { parseId } from '../../../shared/graphql-server/index.ts'
import { withdrawIncomingPayment } from '../../../shared/incoming-payments/index.ts'
import {
  depositEventLiquidity,
  fundOutgoingPayment,
  postWithdrawal,
  sealDataToTransmit,
  voidWithdrawal,
  withdrawEventLiquidity,
  withdrawOutgoingPayment,
} from '../../../shared/outgoing-payments/index.ts'
import { parseTimeout, succeeded } from './input.ts'
import { anyOrOwn, mutation, own, type ResolverMap } from './resolver.ts'

interface Keyed {
  idempotencyKey: string
}

/** Money of payments, in and out. An exact repeat under another key is success, so that wallets can retry without fear. */
export const liquidityResolvers: ResolverMap = {
  Mutation: {
    depositOutgoingPaymentLiquidity: mutation(
      'depositOutgoingPaymentLiquidity',
      async (ctx, input: Keyed & { outgoingPaymentId: string; dataToTransmit?: string | null }) => {
        const outgoingPaymentId = parseId(input.outgoingPaymentId, 'outgoingPaymentId')
        const { dataToTransmit: text } = input
        await fundOutgoingPayment(ctx.node, own(ctx), {
          outgoingPaymentId,
          ...(text != null && {
            sealedDataToTransmit: sealDataToTransmit(ctx.node, { outgoingPaymentId, text }),
          }),
        })
        return succeeded
      },
    ),
    depositEventLiquidity: mutation(
      'depositEventLiquidity',
      async (ctx, input: Keyed & { eventId: string }) => {
        await depositEventLiquidity(ctx.node, anyOrOwn(ctx), parseId(input.eventId, 'eventId'))
        return succeeded
      },
    ),
    withdrawEventLiquidity: mutation(
      'withdrawEventLiquidity',
      async (ctx, input: Keyed & { eventId: string }) => {
        await withdrawEventLiquidity(ctx.node, anyOrOwn(ctx), parseId(input.eventId, 'eventId'))
        return succeeded
      },
    ),
    createIncomingPaymentWithdrawal: mutation(
      'createIncomingPaymentWithdrawal',
      async (ctx, input: Keyed & { incomingPaymentId: string; timeoutSeconds: bigint }) => {
        await withdrawIncomingPayment(ctx.node, anyOrOwn(ctx), {
          incomingPaymentId: parseId(input.incomingPaymentId, 'incomingPaymentId'),
          timeoutSeconds: parseTimeout(input.timeoutSeconds),
        })
        return succeeded
      },
    ),
    createOutgoingPaymentWithdrawal: mutation(
      'createOutgoingPaymentWithdrawal',
      async (ctx, input: Keyed & { outgoingPaymentId: string; timeoutSeconds: bigint }) => {
        await withdrawOutgoingPayment(ctx.node, anyOrOwn(ctx), {
          outgoingPaymentId: parseId(input.outgoingPaymentId, 'outgoingPaymentId'),
          timeoutSeconds: parseTimeout(input.timeoutSeconds),
        })
        return succeeded
      },
    ),
    postLiquidityWithdrawal: mutation(
      'postLiquidityWithdrawal',
      async (ctx, input: Keyed & { withdrawalId: string }) => {
        await postWithdrawal(ctx.node, anyOrOwn(ctx), parseId(input.withdrawalId, 'withdrawalId'))
        return succeeded
      },
    ),
    voidLiquidityWithdrawal: mutation(
      'voidLiquidityWithdrawal',
      async (ctx, input: Keyed & { withdrawalId: string }) => {
        await voidWithdrawal(ctx.node, anyOrOwn(ctx), parseId(input.withdrawalId, 'withdrawalId'))
        return succeeded
      },
    ),
  },
}
