import { findLiquidity } from '../../../shared/assets/index.ts'
import {
  InvalidInput,
  type PageArguments,
  parseId,
  toConnection,
  toPage,
} from '../../../shared/graphql-server/index.ts'
import {
  approveIncomingPayment,
  cancelIncomingPayment,
  createIncomingPayment,
  findIncomingPayment,
  getIncomingPayment,
  getIncomingPaymentTimeline,
  type IncomingPayment,
  type Initiator,
  incomingPaymentUrl,
  initiators,
  listIncomingPayments,
  updateIncomingPayment,
} from '../../../shared/incoming-payments/index.ts'
import { toWireAmount } from '../../../shared/money/index.ts'
import { type AmountInput, parseAmountInput, parseDate } from './input.ts'
import {
  anyOrOwn,
  listScope,
  mutation,
  own,
  type RequestContext,
  type ResolverMap,
  rowMutation,
} from './resolver.ts'
import { toTimelineEntry } from './timeline.ts'

export const toPayment = (ctx: RequestContext) => (payment: IncomingPayment) => ({
  id: payment.id,
  url: incomingPaymentUrl(ctx.node.settings.openPaymentsUrl, payment),
  tenantId: payment.tenantId,
  walletAddressId: payment.walletAddressId,
  client: payment.client,
  state: payment.state,
  incomingAmount: payment.incomingAmount && toWireAmount(payment.incomingAmount),
  receivedAmount: toWireAmount(payment.receivedAmount),
  metadata: payment.metadata,
  senderWalletAddress: payment.senderWalletAddress,
  cancelledAt: payment.cancelledAt?.toISOString(),
  cancellationReason: payment.cancellationReason,
  expiresAt: payment.expiresAt.toISOString(),
  createdAt: payment.createdAt.toISOString(),
})
type PaymentNode = ReturnType<ReturnType<typeof toPayment>>

export interface IncomingPaymentFilter {
  initiatedBy?: { in?: string[] | null; notIn?: string[] | null } | null
}

interface ListArguments extends PageArguments {
  tenantId?: string
  filter?: IncomingPaymentFilter | null
}

interface CreateInput {
  walletAddressId: string
  incomingAmount?: AmountInput | null
  expiresAt?: string | null
  isCardPayment?: boolean | null
  metadata?: Record<string, unknown> | null
  senderWalletAddress?: string | null
  idempotencyKey?: string | null
}

function parseInitiator(value: string): Initiator {
  const initiator = initiators.find((known) => known === value)
  if (!initiator) throw new InvalidInput(`initiatedBy must be one of ${initiators.join(', ')}`)
  return initiator
}

/** Card payments come from the operator's point of sale; of anybody else they are payments like any other. */
function initiatorOf(ctx: RequestContext, input: CreateInput): Initiator {
  if (!input.isCardPayment) return 'ADMIN'
  if (ctx.caller.isOperator) return 'CARD'
  ctx.node.log.warn({ tenantId: ctx.caller.tenantId }, 'isCardPayment is honoured for the operator only')
  return 'ADMIN'
}

/** Throws InvalidInput. */
export function toFilter(filter: IncomingPaymentFilter | null | undefined) {
  const { in: included, notIn } = filter?.initiatedBy ?? {}
  return {
    initiatedBy: {
      ...(included && { in: included.map(parseInitiator) }),
      ...(notIn && { notIn: notIn.map(parseInitiator) }),
    },
  }
}

export const incomingPaymentResolvers: ResolverMap = {
  Query: {
    incomingPayment: async (_source, args: { id: string }, ctx) =>
      toPayment(ctx)(await getIncomingPayment(ctx.node, anyOrOwn(ctx), parseId(args.id, 'id'))),
    incomingPayments: async (_source, args: ListArguments, ctx) =>
      toConnection(
        await listIncomingPayments(
          ctx.node,
          listScope(ctx, args.tenantId),
          toFilter(args.filter),
          toPage(args),
        ),
        toPayment(ctx),
      ),
  },
  IncomingPayment: {
    timeline: async (payment: PaymentNode, _args, ctx) =>
      (await getIncomingPaymentTimeline(ctx.node, anyOrOwn(ctx), payment.id)).map(toTimelineEntry),
    liquidity: async (payment: PaymentNode, _args, ctx) => {
      const liquidity = await findLiquidity(ctx.node, payment.id)
      return liquidity?.toString()
    },
  },
  Mutation: {
    // Rows only, and yet no transaction: what a repeat must not do twice is told by its id, and those of many go together.
    createIncomingPayment: mutation(
      'createIncomingPayment',
      async (ctx, input: CreateInput, requestId, isRepeat) => {
        const known = isRepeat && requestId && (await findIncomingPayment(ctx.node, own(ctx), requestId))
        if (known) return { payment: toPayment(ctx)(known) }
        const incomingAmount = parseAmountInput(input.incomingAmount)
        const payment = await createIncomingPayment(ctx.node, {
          ...(requestId !== undefined && { id: requestId }),
          tenantId: ctx.caller.tenantId,
          walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
          ...(incomingAmount && { incomingAmount }),
          ...(input.expiresAt != null && { expiresAt: parseDate(input.expiresAt, 'expiresAt') }),
          ...(input.metadata != null && { metadata: input.metadata }),
          ...(input.senderWalletAddress != null && { senderWalletAddress: input.senderWalletAddress }),
          initiatedBy: initiatorOf(ctx, input),
        })
        return { payment: toPayment(ctx)(payment) }
      },
    ),
    updateIncomingPayment: rowMutation(
      'updateIncomingPayment',
      async (
        ctx,
        input: { id: string; metadata: Record<string, unknown>; idempotencyKey?: string | null },
      ) => ({
        payment: toPayment(ctx)(
          await updateIncomingPayment(ctx.node, anyOrOwn(ctx), {
            id: parseId(input.id, 'id'),
            metadata: input.metadata,
          }),
        ),
      }),
    ),
    approveIncomingPayment: rowMutation(
      'approveIncomingPayment',
      async (ctx, input: { id: string; idempotencyKey?: string | null }) => ({
        payment: toPayment(ctx)(await approveIncomingPayment(ctx.node, own(ctx), parseId(input.id, 'id'))),
      }),
    ),
    cancelIncomingPayment: rowMutation(
      'cancelIncomingPayment',
      async (
        ctx,
        input: { id: string; cancellationReason?: string | null; idempotencyKey?: string | null },
      ) => ({
        payment: toPayment(ctx)(
          await cancelIncomingPayment(ctx.node, own(ctx), {
            id: parseId(input.id, 'id'),
            ...(input.cancellationReason != null && { reason: input.cancellationReason }),
          }),
        ),
      }),
    ),
  },
}
