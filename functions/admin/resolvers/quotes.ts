import { parseId } from '../../../shared/graphql-server/index.ts'
import { toWireAmount } from '../../../shared/money/index.ts'
import {
  createQuote,
  estimatedExchangeRate,
  findQuote,
  getQuote,
  type Quote,
} from '../../../shared/quotes/index.ts'
import { type AmountInput, parseAmountInput } from './input.ts'
import { mutation, own, type ResolverMap } from './resolver.ts'

export const toQuote = (quote: Quote) => ({
  id: quote.id,
  tenantId: quote.tenantId,
  walletAddressId: quote.walletAddressId,
  receiver: quote.receiver,
  debitAmount: toWireAmount(quote.debitAmount),
  receiveAmount: toWireAmount(quote.receiveAmount),
  estimatedExchangeRate: estimatedExchangeRate(quote),
  createdAt: quote.createdAt.toISOString(),
  expiresAt: quote.expiresAt.toISOString(),
})

interface CreateInput {
  walletAddressId: string
  receiver: string
  debitAmount?: AmountInput | null
  receiveAmount?: AmountInput | null
  idempotencyKey?: string | null
}

export const quoteResolvers: ResolverMap = {
  Query: {
    quote: async (_source, args: { id: string }, ctx) =>
      toQuote(await getQuote(ctx.node, own(ctx), parseId(args.id, 'id'))),
  },
  Mutation: {
    createQuote: mutation('createQuote', async (ctx, input: CreateInput, requestId, isRepeat) => {
      const known = isRepeat && requestId && (await findQuote(ctx.node, own(ctx), requestId))
      if (known) return { quote: toQuote(known) }
      const debitAmount = parseAmountInput(input.debitAmount)
      const receiveAmount = parseAmountInput(input.receiveAmount)
      const quote = await createQuote(ctx.node, {
        ...(requestId !== undefined && { id: requestId }),
        tenantId: ctx.caller.tenantId,
        walletAddressId: parseId(input.walletAddressId, 'walletAddressId'),
        receiver: input.receiver,
        ...(debitAmount && { debitAmount }),
        ...(receiveAmount && { receiveAmount }),
      })
      return { quote: toQuote(quote) }
    }),
  },
}
