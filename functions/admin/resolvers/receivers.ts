import { toWireAmount } from '../../../shared/money/index.ts'
import {
  completeReceiver,
  createReceiver,
  getReceiver,
  type Receiver,
} from '../../../shared/receivers/index.ts'
import { type AmountInput, parseAmountInput, parseDate } from './input.ts'
import { mutation, type ResolverMap } from './resolver.ts'

const toReceiver = (receiver: Receiver) => ({
  id: receiver.url,
  walletAddressUrl: receiver.walletAddressUrl,
  completed: receiver.completed,
  ...(receiver.incomingAmount && { incomingAmount: toWireAmount(receiver.incomingAmount) }),
  receivedAmount: toWireAmount(receiver.receivedAmount),
  ...(receiver.expiresAt && { expiresAt: receiver.expiresAt.toISOString() }),
  ...(receiver.metadata && { metadata: receiver.metadata }),
  createdAt: receiver.createdAt.toISOString(),
})

interface CreateInput {
  walletAddressUrl: string
  incomingAmount?: AmountInput | null
  expiresAt?: string | null
  metadata?: Record<string, unknown> | null
  idempotencyKey?: string | null
}

export const receiverResolvers: ResolverMap = {
  Query: {
    receiver: async (_source, args: { id: string }, ctx) =>
      toReceiver(await getReceiver(ctx.node, { tenantId: ctx.caller.tenantId, url: args.id })),
  },
  Mutation: {
    createReceiver: mutation('createReceiver', async (ctx, input: CreateInput, id, isRepeat) => {
      const incomingAmount = parseAmountInput(input.incomingAmount)
      const receiver = await createReceiver(ctx.node, {
        tenantId: ctx.caller.tenantId,
        walletAddressUrl: input.walletAddressUrl,
        ...(id !== undefined && { request: { id, isRepeat } }),
        ...(incomingAmount && { incomingAmount }),
        ...(input.expiresAt != null && { expiresAt: parseDate(input.expiresAt, 'expiresAt') }),
        ...(input.metadata != null && { metadata: input.metadata }),
      })
      return { receiver: toReceiver(receiver) }
    }),
    completeReceiver: mutation(
      'completeReceiver',
      async (ctx, input: { incomingPaymentUrl: string; idempotencyKey?: string | null }) => ({
        receiver: toReceiver(
          await completeReceiver(ctx.node, { tenantId: ctx.caller.tenantId, url: input.incomingPaymentUrl }),
        ),
      }),
    ),
  },
}
