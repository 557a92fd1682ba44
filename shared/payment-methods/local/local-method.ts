import type { ConnectorClient } from '../../connector-client/index.ts'
import {
  beginLocalCredit,
  endLocalCredit,
  type IncomingPayment,
  type IncomingPaymentContext,
  incomingPaymentAccount,
} from '../../incoming-payments/index.ts'
import { type CreateTransferStatus, type PostedTransfer, withoutNeeds } from '../../ledger/index.ts'
import { convertCeil, minimum, rate, scaleRate } from '../../money/index.ts'
import { assert, Fault, type Logger } from '../../platform/index.ts'
import type {
  MethodQuote,
  MethodQuoteInput,
  PayFailure,
  PayInput,
  PaymentMethod,
  PayResult,
  Progress,
  ProgressInput,
} from '../port.ts'
import { priceBetween } from '../price-between.ts'
import { priceLocal } from './price-local.ts'
import { deliveryIds, localTransfers, refusalOf, wasAppliedBefore } from './transfers.ts'

export type LocalMethodContext = Pick<IncomingPaymentContext, 'db' | 'ledger' | 'clock'> & {
  log: Logger
  connector: Pick<ConnectorClient, 'getPrice'>
}

/** Pays incoming payments of this node: in the ledger alone, in one step, without packets or slippage. */
export const createLocalMethod = (ctx: LocalMethodContext): PaymentMethod => ({
  quote: (input) => quoteLocal(ctx, input),
  pay: (input) => payLocal(ctx, input),
  progress: (input) => localProgress(ctx, input),
})

/** At the price of the receiver's tenant (tenancy.md §7): the payer's own says what it likes, and that one's liquidity pays. */
async function quoteLocal(ctx: LocalMethodContext, input: MethodQuoteInput): Promise<MethodQuote> {
  const { local } = input.receiver
  assert(local, 'a local payment has a local receiver', input.receiver.url)
  const assets = { source: input.sourceAsset, destination: input.receiver.asset }
  const price = await priceBetween(ctx.connector, { tenantId: local.tenantId, ...assets })
  return priceLocal(input.amount, scaleRate(price, assets))
}

const destinationOf = (incoming: IncomingPayment) => ({
  incomingPaymentId: incoming.id,
  tenantId: incoming.tenantId,
  assetId: incoming.walletAddress.assetId,
  ledger: incoming.walletAddress.asset.ledger,
  ...(incoming.receivedAmount.value === 0n && { newAccount: incomingPaymentAccount(incoming) }),
})

async function payLocal(ctx: LocalMethodContext, input: PayInput): Promise<PayResult> {
  const incoming = input.receiver.local
  assert(incoming, 'a local payment has a local receiver', input.receiver.url)
  assert(input.sentAmount === 0n, 'a local payment is sent at once or not at all', input)
  // The quote's own rate: when less is wanted than was quoted, proportionally less is taken.
  const wantedSource = convertCeil(input.receiveAmount, rate(input.sourceAmount, input.quotedReceiveAmount))
  const amounts = {
    sourceAmount: minimum(wantedSource, input.sourceAmount),
    deliverAmount: input.receiveAmount,
  }
  if (!(await beginLocalCredit(ctx, incoming.id)))
    return { status: 'failed', failure: closedMeanwhile, sentAmount: 0n, ...delivered(0n) }
  const transfers = localTransfers(input, destinationOf(incoming), amounts)
  const statuses = await applyTransfers(ctx, transfers)
  if (statuses.every((status) => status === 'created')) {
    await tellReceiver(ctx, incoming.id)
    return { status: 'done', sentAmount: sentBy(transfers), ...delivered(amounts.deliverAmount) }
  }
  if (!wasAppliedBefore(statuses)) {
    await endLocalCredit(ctx, { incomingPaymentId: incoming.id })
    const failure = refusalOf(transfers, statuses, input.outgoingPaymentId)
    return { status: 'failed', failure, sentAmount: 0n, ...delivered(0n) }
  }
  const [account] = await ctx.ledger.lookupAccounts([input.outgoingPaymentId])
  const sentAmount = account?.debitsPosted ?? 0n
  const { deliveredAmount } = await localProgress(ctx, { ...input, sentAmount })
  return { status: 'done', sentAmount, ...delivered(deliveredAmount) }
}

async function applyTransfers(
  ctx: LocalMethodContext,
  transfers: readonly PostedTransfer[],
): Promise<CreateTransferStatus[]> {
  const statuses = await ctx.ledger.createTransfers(transfers)
  // The receiver's account exists with other fields, which is as good: the id is the receiver's.
  return statuses.includes('needed_account_refused')
    ? await ctx.ledger.createTransfers(withoutNeeds(transfers))
    : statuses
}

const closedMeanwhile: PayFailure = {
  code: 'receiver_completed',
  message: 'the receiver was closed before anything was sent',
  retryable: false,
}

const delivered = (deliveredAmount: bigint) => ({
  deliveredAmount,
  packets: { sent: 0, fulfilled: 0, rejected: 0 },
})

/** What left the payer: the first transfer's amount, which within one ledger is also the delivery's. */
const sentBy = (transfers: readonly PostedTransfer[]): bigint => transfers[0]?.amount ?? 0n

/** A local payment that has sent anything has sent all: some attempt's delivery is in the ledger and says how much. */
async function localProgress(ctx: LocalMethodContext, input: ProgressInput): Promise<Progress> {
  const { outgoingPaymentId } = input
  const attempts = Array.from({ length: input.transferAttempt + 1 }, (_, attempt) => attempt)
  const ids = attempts.flatMap((attempt) => deliveryIds(outgoingPaymentId, attempt))
  const delivery = (await ctx.ledger.lookupTransfers(ids)).find(
    (transfer) => transfer?.userData128 === outgoingPaymentId,
  )
  assert(delivery, 'money that left a local payment was delivered', outgoingPaymentId)
  await tellReceiver(ctx, delivery.creditAccountId)
  return { sentAmount: input.sentAmount, deliveredAmount: delivery.amount, pending: false, paid: true }
}

/** Closes the incoming payment if it has all. What is posted stays posted: only a fault, which is tried again, may pass. */
async function tellReceiver(ctx: LocalMethodContext, incomingPaymentId: string): Promise<void> {
  try {
    const [account] = await ctx.ledger.lookupAccounts([incomingPaymentId])
    const receivedAmount = account?.creditsPosted ?? 0n
    await endLocalCredit(ctx, { incomingPaymentId, receivedAmount })
  } catch (error) {
    if (error instanceof Fault && error.retryable) throw error
    ctx.log.error({ err: error, incomingPaymentId }, 'a local payment arrived and its receiver was not told')
  }
}
