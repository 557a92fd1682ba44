import { findLatestFee, toMoneyAsset } from '../assets/index.ts'
import { ConnectorRefusal } from '../connector-client/index.ts'
import { AMOUNT_MAX, type Amount, type Asset, isSameAsset } from '../money/index.ts'
import { type MethodQuote, type MethodQuoteInput, PaymentMethodRefusal } from '../payment-methods/index.ts'
import { assert, Fault, isUuid, uuidv7 } from '../platform/index.ts'
import {
  getReceiverToQuote,
  type Receiver,
  ReceiverRefusal,
  receiverClosed,
  wantedAmount,
} from '../receivers/index.ts'
import { findWalletAddress, isActive, type WalletAddress } from '../wallet-addresses/index.ts'
import type { QuoteContext } from './context.ts'
import { QuoteRefusal } from './errors.ts'
import type { Quote } from './model.ts'
import { feeOn, minDebit, type SendingFee, sourceOfDebit } from './price-quote.ts'
import { insertQuote } from './store.ts'

/** At most one of the amounts; neither only if the receiver has an incoming amount. */
export interface CreateQuoteInput {
  tenantId: string
  walletAddressId: string
  /** Incoming payment URL. */
  receiver: string
  debitAmount?: Amount
  receiveAmount?: Amount
  client?: string
  /** For callers that must be able to repeat: the same id cannot make a second quote. */
  id?: string
}

/** Asks what a payment would cost and keeps the answer (contracts/ilp/payments.md §2). Throws {@link QuoteRefusal}. */
export async function createQuote(ctx: QuoteContext, input: CreateQuoteInput): Promise<Quote> {
  if (input.debitAmount && input.receiveAmount)
    throw invalidAmount('only one of debitAmount and receiveAmount can be given')
  const reading = payableReceiver(ctx, input)
  // What is wrong with the payer's side is said first, and then nobody waits for the receiver.
  reading.catch(() => undefined)
  const walletAddress = await payingWalletAddress(ctx, input)
  const sourceAsset = toMoneyAsset(walletAddress.asset)
  if (input.debitAmount) checkAmount('debitAmount', input.debitAmount, sourceAsset)
  const [receiver, fee] = await Promise.all([reading, findLatestFee(ctx, walletAddress.assetId, 'SENDING')])
  const method = receiver.local ? 'LOCAL' : 'ILP'
  const priced = await price(fee, sourceAsset, async () =>
    ctx.methods[method].quote({
      tenantId: input.tenantId,
      sourceAsset: { id: walletAddress.assetId, ledger: walletAddress.asset.ledger, ...sourceAsset },
      receiver,
      amount: askedAmount(input, receiver, fee),
    }),
  )
  const wanted = wantedAmount(receiver)
  if (wanted !== undefined && priced.receiveAmount > wanted)
    throw invalidAmount('more would arrive than the receiver still wants')
  const createdAt = ctx.clock.now()
  const latest = ctx.clock.fromNow(ctx.settings.quoteLifespanMs)
  const quote: Quote = {
    id: input.id ?? uuidv7(ctx.clock.nowMs()),
    tenantId: input.tenantId,
    walletAddressId: walletAddress.id,
    walletAddress,
    receiver: receiver.url,
    method,
    debitAmount: { value: debitOf(priced, input, fee), ...sourceAsset },
    sourceAmount: priced.sourceAmount,
    receiveAmount: { value: priced.receiveAmount, ...receiver.asset },
    ...(input.client !== undefined && { client: input.client }),
    ...(fee && { feeId: fee.id }),
    ...(priced.limits && { limits: priced.limits }),
    createdAt,
    expiresAt: receiver.expiresAt && receiver.expiresAt < latest ? receiver.expiresAt : latest,
  }
  assert(quote.sourceAmount > 0n && quote.receiveAmount.value > 0n, 'a quote moves something', quote)
  assert(quote.sourceAmount <= quote.debitAmount.value, 'the fee is part of the debit', quote)
  await insertQuote(ctx.db, quote)
  return quote
}

const invalidAmount = (message: string) => new QuoteRefusal('invalid_amount', { message })

function checkAmount(name: string, amount: Amount, asset: Asset): void {
  if (!isSameAsset(amount, asset))
    throw invalidAmount(`${name} must be in ${asset.assetCode} with scale ${asset.assetScale}`)
  if (amount.value <= 0n || amount.value > AMOUNT_MAX)
    throw invalidAmount(`${name} must be greater than zero`)
}

async function payingWalletAddress(ctx: QuoteContext, input: CreateQuoteInput): Promise<WalletAddress> {
  const { tenantId, walletAddressId } = input
  const walletAddress = isUuid(walletAddressId)
    ? await findWalletAddress(ctx, { tenantId }, walletAddressId)
    : undefined
  if (!walletAddress) throw new QuoteRefusal('unknown_wallet_address', { message: 'unknown wallet address' })
  if (!isActive(walletAddress))
    throw new QuoteRefusal('inactive_wallet_address', { message: 'the wallet address is not active' })
  return walletAddress
}

/** Whatever keeps the receiver from being paid makes it invalid, in words that say which; of one that does not answer nothing is known. */
async function payableReceiver(ctx: QuoteContext, input: CreateQuoteInput): Promise<Receiver> {
  const invalid = (message: string, cause?: unknown) =>
    new QuoteRefusal('invalid_receiver', { message, ...(cause !== undefined && { cause }) })
  let receiver: Receiver
  try {
    receiver = await getReceiverToQuote(ctx, { tenantId: input.tenantId, url: input.receiver })
  } catch (error) {
    if (error instanceof ReceiverRefusal) throw invalid(error.message, error)
    if (error instanceof Fault && error.code === 'receiver_unreachable')
      throw new QuoteRefusal(error.code, { message: error.message, cause: error })
    throw error
  }
  switch (receiverClosed(receiver, ctx.clock.now())) {
    case 'receiver_completed':
      throw invalid('the receiver is completed')
    case 'receiver_expired':
      throw invalid('the receiver is expired')
    case 'receiver_unpayable':
      throw invalid('the receiver offers no method of payment')
    case undefined:
      return receiver
  }
}

function askedAmount(
  input: CreateQuoteInput,
  receiver: Receiver,
  fee: SendingFee | undefined,
): MethodQuoteInput['amount'] {
  if (input.debitAmount) return { side: 'debit', value: sourceOfDebit(input.debitAmount.value, fee) }
  const wanted = wantedAmount(receiver)
  if (input.receiveAmount) {
    checkAmount('receiveAmount', input.receiveAmount, receiver.asset)
    if (wanted !== undefined && input.receiveAmount.value > wanted)
      throw invalidAmount('receiveAmount is more than the receiver still wants')
    return { side: 'receive', value: input.receiveAmount.value }
  }
  if (wanted === undefined)
    throw invalidAmount('debitAmount or receiveAmount is needed: the receiver asks for no amount')
  return { side: 'receive', value: wanted }
}

function debitOf(priced: MethodQuote, input: CreateQuoteInput, fee: SendingFee | undefined): bigint {
  if (input.debitAmount) return input.debitAmount.value
  const debit = priced.sourceAmount + feeOn(priced.sourceAmount, fee)
  if (debit > AMOUNT_MAX) throw invalidAmount('the amount is too large to be carried')
  return debit
}

/** Runs the method's quote and says its refusals in the words of this room, the fee included. */
async function price(
  fee: SendingFee | undefined,
  sourceAsset: Asset,
  quote: () => Promise<MethodQuote>,
): Promise<MethodQuote> {
  try {
    return await quote()
  } catch (error) {
    if (error instanceof ConnectorRefusal && error.code !== 'invalid_request')
      throw new QuoteRefusal(error.code, { message: error.message, cause: error })
    if (!(error instanceof PaymentMethodRefusal)) throw error
    switch (error.code) {
      case 'amount_too_large':
        throw new QuoteRefusal('invalid_amount', { message: error.message, cause: error })
      case 'insufficient_exchange_rate':
        throw new QuoteRefusal('insufficient_exchange_rate', { message: error.message, cause: error })
      case 'non_positive_receive_amount': {
        const least = error.minSourceAmount === undefined ? undefined : minDebit(error.minSourceAmount, fee)
        throw new QuoteRefusal('non_positive_receive_amount', {
          message: error.message,
          cause: error,
          ...(least !== undefined &&
            least <= AMOUNT_MAX && { minSendAmount: { value: least, ...sourceAsset } }),
        })
      }
    }
  }
}
