import {
  InvalidInput,
  type PageArguments,
  parseId,
  toConnection,
  toPage,
} from '../../../shared/graphql-server/index.ts'
import { toWireAmount } from '../../../shared/money/index.ts'
import {
  type CardDetails,
  cancelOutgoingPayment,
  createOutgoingPayment,
  createOutgoingPaymentFromIncomingPayment,
  getOutgoingPayment,
  getOutgoingPaymentLiquidity,
  getOutgoingPaymentTimeline,
  listOutgoingPayments,
  type OutgoingPayment,
} from '../../../shared/outgoing-payments/index.ts'
import { receiverUrlForms } from '../../../shared/receivers/index.ts'
import { type AmountInput, type FilterString, included, parseAmountInput, parseDate } from './input.ts'
import { toQuote } from './quotes.ts'
import { anyOrOwn, listScope, mutation, own, type RequestContext, type ResolverMap } from './resolver.ts'
import { toTimelineEntry } from './timeline.ts'

export const toPayment = (payment: OutgoingPayment) => ({
  id: payment.id,
  tenantId: payment.tenantId,
  walletAddressId: payment.walletAddressId,
  client: payment.client,
  state: payment.state,
  error: payment.error,
  stateAttempts: payment.stateAttempts,
  receiver: payment.receiver,
  debitAmount: toWireAmount(payment.debitAmount),
  receiveAmount: toWireAmount(payment.receiveAmount),
  sentAmount: toWireAmount(payment.sentAmount),
  metadata: payment.metadata,
  grantId: payment.grantId,
  cardDetails: payment.cardDetails,
  quote: toQuote(payment.quote),
  createdAt: payment.createdAt.toISOString(),
})
type PaymentNode = ReturnType<typeof toPayment>

interface ListArguments extends PageArguments {
  tenantId?: string
  filter?: {
    receiver?: FilterString | null
    walletAddressId?: FilterString | null
    state?: FilterString | null
  } | null
}

async function toFilter(filter: ListArguments['filter'], ctx: RequestContext) {
  const receiver = included(filter?.receiver)
  const walletAddressId = included(filter?.walletAddressId)
  const state = included(filter?.state)
  return {
    ...(receiver && {
      receiver: (await Promise.all(receiver.map((url) => receiverUrlForms(ctx.node, url)))).flat(),
    }),
    ...(walletAddressId && { walletAddressId: walletAddressId.map((id) => parseId(id, 'walletAddressId')) }),
    ...(state && { state }),
  }
}

interface CreateInput {
  walletAddressId: string
  metadata?: Record<string, unknown> | null
  idempotencyKey?: string | null
}

function parseCardDetails({ requestId, data, initiatedAt }: CardDetails): CardDetails {
  if (requestId === '') throw new InvalidInput('cardDetails.requestId must not be empty')
  return { requestId, data, initiatedAt: parseDate(initiatedAt, 'cardDetails.initiatedAt').toISOString() }
}

interface CancelInput {
  id: string
  reason?: string | null
  cardPaymentFailureReason?: 'invalid_request' | 'invalid_signature' | null
  idempotencyKey?: string | null
}

export const outgoingPaymentResolvers: ResolverMap = {
  Query: {
    outgoingPayment: async (_source, args: { id: string }, ctx) =>
      toPayment(await getOutgoingPayment(ctx.node, anyOrOwn(ctx), parseId(args.id, 'id'))),
    outgoingPayments: async (_source, args: ListArguments, ctx) =>
      toConnection(
        await listOutgoingPayments(
          ctx.node,
          listScope(ctx, args.tenantId),
          await toFilter(args.filter, ctx),
          toPage(args),
        ),
        toPayment,
      ),
  },
  OutgoingPayment: {
    timeline: async (payment: PaymentNode, _args, ctx) =>
      (await getOutgoingPaymentTimeline(ctx.node, anyOrOwn(ctx), payment.id)).map(toTimelineEntry),
    liquidity: async (payment: PaymentNode, _args, ctx) => {
      const [liquidity] = await getOutgoingPaymentLiquidity(ctx.node, [payment.id])
      return liquidity?.toString()
    },
  },
  Mutation: {
    createOutgoingPayment: mutation(
      'createOutgoingPayment',
      async (ctx, input: CreateInput & { quoteId: string }, requestId) => {
        const payment = await createOutgoingPayment(ctx.node, {
          tenantId: ctx.caller.tenantId,
          walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
          quoteId: parseId(input.quoteId, 'quoteId'),
          ...(requestId !== undefined && { requestId }),
          ...(input.metadata != null && { metadata: input.metadata }),
          initiatedBy: 'ADMIN',
        })
        return { payment: toPayment(payment) }
      },
    ),
    createOutgoingPaymentFromIncomingPayment: mutation(
      'createOutgoingPaymentFromIncomingPayment',
      async (
        ctx,
        input: CreateInput & {
          incomingPayment: string
          debitAmount?: AmountInput | null
          cardDetails?: CardDetails | null
        },
        requestId,
      ) => {
        const debitAmount = parseAmountInput(input.debitAmount)
        const payment = await createOutgoingPaymentFromIncomingPayment(ctx.node, {
          tenantId: ctx.caller.tenantId,
          walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
          incomingPayment: input.incomingPayment,
          ...(input.cardDetails != null && { cardDetails: parseCardDetails(input.cardDetails) }),
          ...(debitAmount && { debitAmount }),
          ...(requestId !== undefined && { requestId }),
          ...(input.metadata != null && { metadata: input.metadata }),
          initiatedBy: 'ADMIN',
        })
        return { payment: toPayment(payment) }
      },
    ),
    cancelOutgoingPayment: mutation('cancelOutgoingPayment', async (ctx, input: CancelInput) => ({
      payment: toPayment(
        await cancelOutgoingPayment(ctx.node, own(ctx), {
          id: parseId(input.id, 'id'),
          ...(input.reason != null && { reason: input.reason }),
          ...(input.cardPaymentFailureReason != null && {
            cardPaymentFailureReason: input.cardPaymentFailureReason,
          }),
        }),
      ),
    })),
  },
}
