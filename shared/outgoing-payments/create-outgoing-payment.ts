import { toMoneyAsset } from '../assets/index.ts'
import type { Amount } from '../money/index.ts'
import { assert, Fault } from '../platform/index.ts'
import { createQuote, findQuote, type Quote, type QuoteContext } from '../quotes/index.ts'
import {
  getRecentReceiver,
  incomingPaymentIdOf,
  ReceiverRefusal,
  receiverClosed,
} from '../receivers/index.ts'
import { eventRecipients } from '../tenants/index.ts'
import { findWalletAddress, isActive } from '../wallet-addresses/index.ts'
import { insertPayment } from './creation-store.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import {
  checkLimits,
  type Grant,
  type GrantSpent,
  type SpendingInterval,
  spendingIntervalAt,
} from './grant-spending.ts'
import type { CardDetails, InitiatedBy, OutgoingPayment } from './model.ts'
import { getOutgoingPayment } from './read-outgoing-payments.ts'
import { findRequestedId } from './store.ts'
import { toWebhookData } from './webhook-data.ts'

interface CreateInput {
  tenantId: string
  walletAddressId: string
  metadata?: Record<string, unknown>
  client?: string
  initiatedBy: InitiatedBy
}
interface Repeatable {
  /** The same for every run of one request (a UUID): a run after the first, whatever became of that, finds the payment it made. */
  requestId?: string
}
interface FromQuote {
  quoteId: string
}
interface FromIncomingPayment {
  /** The receiver's URL. */
  incomingPayment: string
  /** Makes it a payment by card. */
  cardDetails?: CardDetails
  /** Send this much. Absent: what the incoming payment asks for arrives. */
  debitAmount?: Amount
}

export type CreateOutgoingPaymentInput = CreateInput & Repeatable & FromQuote
export type CreateFromIncomingPaymentInput = CreateInput & Repeatable & FromIncomingPayment
export type CreateGrantedPaymentInput = CreateInput & { grant: Grant } & (FromQuote | FromIncomingPayment)

export interface GrantedPayment {
  payment: OutgoingPayment
  /** What its grant had spent before it, in the payment's assets and in the same interval. */
  spent: GrantSpent
}

/**
 * Spends a quote: the payment in FUNDING and its `outgoing_payment.created` event, in one statement. Throws
 * {@link OutgoingPaymentRefusal}.
 */
export async function createOutgoingPayment(
  ctx: QuoteContext,
  input: CreateOutgoingPaymentInput,
): Promise<OutgoingPayment> {
  const known = await findRequested(ctx, input)
  if (known) return known
  return (await insert(ctx, input, await usableQuote(ctx, input))).payment
}

/** Quotes first. Throws QuoteRefusal and {@link OutgoingPaymentRefusal}. */
export async function createOutgoingPaymentFromIncomingPayment(
  ctx: QuoteContext,
  input: CreateFromIncomingPaymentInput,
): Promise<OutgoingPayment> {
  const known = await findRequested(ctx, input)
  if (known) return known
  return (await insert(ctx, input, await newQuote(ctx, input))).payment
}

/**
 * The same under a grant: the statement that creates the payment also counts it, and creates nothing when the grant's limit would be
 * passed. Throws QuoteRefusal and {@link OutgoingPaymentRefusal}; after `outside_grant` a given quote is unspent.
 */
export async function createGrantedPayment(
  ctx: QuoteContext,
  input: CreateGrantedPaymentInput,
): Promise<GrantedPayment> {
  const { grant } = input
  spendingIntervalAt(grant.limits, ctx.clock.now())
  const quote = await grantedQuote(ctx, input)
  checkLimits(grant.limits, quote)
  // Of the moment of creation: quoting may have taken until the next.
  const interval = spendingIntervalAt(grant.limits, ctx.clock.now())
  const { payment, spent } = await insert(ctx, input, quote, { grant, interval })
  assert(spent, 'a payment of a grant is counted', payment.id)
  return { payment, spent }
}

/** Nobody is asked for a quote that the limits do not allow anyway. */
async function grantedQuote(ctx: QuoteContext, input: CreateGrantedPaymentInput): Promise<Quote> {
  if ('quoteId' in input) return await usableQuote(ctx, input)
  const { incomingPayment: receiver, debitAmount } = input
  checkLimits(input.grant.limits, { receiver, debitAmount })
  return await newQuote(ctx, input)
}

async function usableQuote(ctx: QuoteContext, input: CreateInput & FromQuote): Promise<Quote> {
  const quote = await findQuote(ctx, { tenantId: input.tenantId }, input.quoteId)
  if (!quote) throw new OutgoingPaymentRefusal('unknown_quote', { message: 'unknown quote' })
  await checkWalletAddress(ctx, input, quote)
  if (quote.expiresAt <= ctx.clock.now()) throw invalidQuote('the quote is expired')
  await checkReceiver(ctx, quote)
  return quote
}

const newQuote = (ctx: QuoteContext, input: CreateInput & FromIncomingPayment): Promise<Quote> =>
  createQuote(ctx, {
    tenantId: input.tenantId,
    walletAddressId: input.walletAddressId,
    receiver: input.incomingPayment,
    ...(input.debitAmount && { debitAmount: input.debitAmount }),
    ...(input.client !== undefined && { client: input.client }),
  })

async function findRequested(
  ctx: QuoteContext,
  input: CreateInput & Repeatable,
): Promise<OutgoingPayment | undefined> {
  if (input.requestId === undefined) return undefined
  const scope = { tenantId: input.tenantId }
  const id = await findRequestedId(ctx.db, scope, input.requestId)
  return id === undefined ? undefined : await getOutgoingPayment(ctx, scope, id)
}

const invalidQuote = (message: string) => new OutgoingPaymentRefusal('invalid_quote', { message })

async function checkWalletAddress(ctx: QuoteContext, input: CreateInput, quote: Quote): Promise<void> {
  if (quote.walletAddressId !== input.walletAddressId) {
    const other = await findWalletAddress(ctx, { tenantId: input.tenantId }, input.walletAddressId)
    if (!other)
      throw new OutgoingPaymentRefusal('unknown_wallet_address', { message: 'unknown wallet address' })
    throw invalidQuote('the quote is of another wallet address')
  }
  if (!isActive(quote.walletAddress))
    throw new OutgoingPaymentRefusal('inactive_wallet_address', {
      message: 'the wallet address is not active',
    })
}

/** A receiver that was seen open a moment ago, most likely by the quote, is believed; sending looks again. */
async function checkReceiver(ctx: QuoteContext, quote: Quote): Promise<void> {
  const invalid = (message: string, cause?: unknown) =>
    new OutgoingPaymentRefusal('invalid_receiver', { message, ...(cause !== undefined && { cause }) })
  try {
    const receiver = await getRecentReceiver(ctx, { tenantId: quote.tenantId, url: quote.receiver })
    const closed = receiverClosed(receiver, ctx.clock.now())
    if (closed) throw invalid(closedMessage[closed])
  } catch (error) {
    if (error instanceof ReceiverRefusal) throw invalid(error.message, error)
    if (error instanceof Fault && error.code === 'receiver_unreachable')
      throw new OutgoingPaymentRefusal(error.code, { message: error.message, cause: error })
    throw error
  }
}

const closedMessage = {
  receiver_completed: 'the receiver is completed',
  receiver_expired: 'the receiver is expired',
  receiver_unpayable: 'the receiver offers no method of payment',
}

interface Insertion {
  payment: OutgoingPayment
  spent?: GrantSpent
}

async function insert(
  ctx: QuoteContext,
  input: CreateInput & Repeatable & Pick<FromIncomingPayment, 'cardDetails'>,
  quote: Quote,
  grant?: { grant: Grant; interval: SpendingInterval },
): Promise<Insertion> {
  const now = ctx.clock.now()
  const given = {
    initiatedBy: input.cardDetails ? ('CARD' as const) : input.initiatedBy,
    ...(input.cardDetails && { cardDetails: input.cardDetails }),
    ...(input.client !== undefined && { client: input.client }),
    ...(input.metadata && { metadata: input.metadata }),
  }
  const payment = newPayment(quote, now, { ...given, ...(grant && { grantId: grant.grant.id }) })
  const { requestId } = input
  const row = {
    ...given,
    quote,
    now,
    ...(grant && { grant }),
    ...(requestId !== undefined && { requestId }),
    ...(quote.method === 'LOCAL' && { localReceiverId: incomingPaymentIdOf(quote.receiver) }),
  }
  const inserted = await insertPayment(ctx.db, row, {
    tenantId: payment.tenantId,
    type: 'outgoing_payment.created',
    data: toWebhookData(payment, 0n),
    outgoingPaymentId: payment.id,
    recipientTenantIds: eventRecipients(ctx.settings, payment.tenantId),
  })
  if (inserted) return { payment, ...inserted }
  // Another run of the same request may have come first.
  const known = await findRequested(ctx, input)
  if (!known) throw invalidQuote('the quote was used before')
  return { payment: known }
}

const newPayment = (
  quote: Quote,
  now: Date,
  given: Pick<OutgoingPayment, 'initiatedBy' | 'client' | 'grantId' | 'metadata' | 'cardDetails'>,
): OutgoingPayment => ({
  ...given,
  id: quote.id,
  tenantId: quote.tenantId,
  walletAddressId: quote.walletAddressId,
  walletAddress: quote.walletAddress,
  quote,
  state: 'FUNDING',
  receiver: quote.receiver,
  debitAmount: quote.debitAmount,
  receiveAmount: quote.receiveAmount,
  sentAmount: { value: 0n, ...toMoneyAsset(quote.walletAddress.asset) },
  deliveredAmount: { ...quote.receiveAmount, value: 0n },
  stateAttempts: 0,
  packets: { sent: 0, fulfilled: 0, rejected: 0 },
  createdAt: now,
  updatedAt: now,
})
