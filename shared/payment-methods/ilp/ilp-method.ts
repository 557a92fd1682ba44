import type { ConnectorClient, StreamDestination } from '../../connector-client/index.ts'
import { maximum, type Rate, scaleRate } from '../../money/index.ts'
import { assert } from '../../platform/index.ts'
import type { Receiver } from '../../receivers/index.ts'
import {
  leastDelivered,
  type MethodQuote,
  type MethodQuoteInput,
  type PayInput,
  type PaymentMethod,
  type PayResult,
  type Progress,
  type ProgressInput,
} from '../port.ts'
import { priceBetween } from '../price-between.ts'
import { leastRate, priceIlp } from './price-ilp.ts'

export interface IlpMethodContext {
  connector: ConnectorClient
  /** Share of the price that may be lost, such as 1/100. */
  settings: { slippage: Rate }
}

/** Pays any receiver over STREAM: the connector probes and sends, this room prices. */
export const createIlpMethod = (ctx: IlpMethodContext): PaymentMethod => ({
  quote: (input) => quoteIlp(ctx, input),
  pay: (input) => payIlp(ctx, input),
  progress: (input) => ilpProgress(ctx, input),
})

function streamDestination(receiver: Receiver): StreamDestination {
  const method = receiver.methods[0]
  assert(method, 'a receiver that can be paid has a method', receiver.url)
  return { ilpAddress: method.ilpAddress, sharedSecret: method.sharedSecret, ...receiver.asset }
}

async function quoteIlp(ctx: IlpMethodContext, input: MethodQuoteInput): Promise<MethodQuote> {
  const { tenantId, sourceAsset, receiver } = input
  const assets = { source: sourceAsset, destination: receiver.asset }
  const [price, probe] = await Promise.all([
    priceBetween(ctx.connector, { tenantId, ...assets }),
    ctx.connector.probe({ tenantId, sourceAsset, destination: streamDestination(receiver) }),
  ])
  const minRate = leastRate(scaleRate(price, assets), ctx.settings.slippage)
  return priceIlp(input.amount, { probe, minRate })
}

async function payIlp(ctx: IlpMethodContext, input: PayInput): Promise<PayResult> {
  const { outgoingPaymentId, tenantId, sourceAsset, receiver, limits, budgetMs } = input
  assert(limits, 'an ILP payment has the limits of its quote', outgoingPaymentId)
  return await ctx.connector.send({
    outgoingPaymentId,
    tenantId,
    sourceAsset,
    destination: streamDestination(receiver),
    // Without the fee, which never enters the network.
    debitAmount: input.sourceAmount,
    receiveAmount: input.receiveAmount,
    sentAmount: input.sentAmount,
    deliveredAmount: input.deliveredAmount,
    ...limits,
    ...(input.data !== undefined && { data: input.data }),
    budgetMs,
  })
}

/**
 * The connector that sends a payment knows exactly what arrived. When it is another one by now, every packet got at least the least
 * rate, so what left is proof of what arrived even where a crash lost the count.
 */
async function ilpProgress(ctx: IlpMethodContext, input: ProgressInput): Promise<Progress> {
  const { outgoingPaymentId, budgetMs } = input
  assert(input.limits, 'an ILP payment has the limits of its quote', outgoingPaymentId)
  const known = await ctx.connector.settle({ outgoingPaymentId, budgetMs })
  if (known.status !== 'unknown') {
    const { sentAmount, deliveredAmount } = known
    return { sentAmount, deliveredAmount, pending: known.status === 'pending', paid: false }
  }
  return {
    sentAmount: input.sentAmount,
    deliveredAmount: maximum(input.deliveredAmount, leastDelivered(input.sentAmount, input.limits)),
    pending: false,
    paid: false,
  }
}
