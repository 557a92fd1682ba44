import type { Account } from '../ledger/index.ts'
import { maximum, minimum } from '../money/index.ts'
import { leastDelivered, type Progress } from '../payment-methods/index.ts'
import { assert } from '../platform/index.ts'
import {
  getReceiver,
  getReceiverToPay,
  type Receiver,
  receiverClosed,
  wantedAmount,
} from '../receivers/index.ts'
import type { SendingContext } from './context.ts'
import { openDataToTransmit } from './data-to-transmit.ts'
import { type Failure, failureOf, failureOfError, reportedFailure, SLICE_MS } from './failures.ts'
import { hasKeptPackets } from './kept-packets.ts'
import type { OutgoingPaymentRow } from './store.ts'

/** What one attempt brought. `sentAmount`: what the decision knew of; more in the ledger means that it must be taken again. */
export type Attempt = { sentAmount: bigint; deliveredAmount: bigint } & (
  | { kind: 'completed' }
  | { kind: 'progress' }
  | { kind: 'failed'; failure: Failure }
)

const closedMessage = {
  receiver_completed: 'the receiver was completed before anything was sent',
  receiver_expired: 'the receiver expired before anything was sent',
  receiver_unpayable: 'the receiver offers no method of payment',
}

/**
 * Sends what is left of a payment, as far as one slice goes. `account` is the payment's in the ledger, `ahead` what
 * {@link readReceiverAhead} began. Throws only what is no matter of the payment: faults of the database and the ledger.
 */
export async function attemptPayment(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
  account: Pick<Account, 'debitsPosted' | 'debitsPending'>,
  ahead?: ReceiverRead,
): Promise<Attempt> {
  const { quote } = payment
  const progress = await readProgress(ctx, payment, account)
  if ('class' in progress)
    return {
      kind: 'failed',
      failure: exhausted(ctx, payment) ?? progress,
      ...provenTotals(payment, account),
    }
  const { sentAmount, deliveredAmount } = progress
  const totals = { sentAmount, deliveredAmount }
  if (progress.pending) return { kind: 'progress', ...totals }
  const completed: Attempt = { kind: 'completed', ...totals }
  const failed = (failure: Failure): Attempt => ({ kind: 'failed', failure, ...totals })

  const isAllSent = sentAmount >= quote.sourceAmount || deliveredAmount >= quote.receiveAmount.value
  if (progress.paid || isAllSent) return completed
  const last = exhausted(ctx, payment)
  if (last) return failed(last)
  if (sentAmount === 0n && quote.expiresAt <= ctx.clock.now())
    return failed(failureOf('quote_expired', 'the quote expired before anything was sent'))

  // Once something was sent the receiver must have been read after it, or what that brought would count as still wanted.
  const early = progress === nothingYet ? ahead : undefined
  const receiver = await (early ?? readReceiver(ctx, payment, getReceiver))
  if ('class' in receiver)
    return receiver.code === 'unknown_receiver' && sentAmount > 0n ? completed : failed(receiver)
  const closed = failureOfClosed(ctx, receiver)
  if (closed) return sentAmount > 0n ? completed : failed(closed)
  const { assetCode, assetScale } = quote.receiveAmount
  if (receiver.asset.assetCode !== assetCode || receiver.asset.assetScale !== assetScale)
    return failed(failureOf('destination_asset_conflict', "the receiver's asset is not the quote's"))
  const attempt = await pay(ctx, payment, receiver, totals)
  if (!early || attempt.kind !== 'failed' || attempt.sentAmount > 0n || attempt.failure.class === 'wait')
    return attempt
  // What was known of the receiver may have been a moment old, and its end since then the true reason.
  const after = await readReceiver(ctx, payment, getReceiver)
  const reason = 'class' in after ? after : failureOfClosed(ctx, after)
  return reason?.class === 'fatal' ? { ...attempt, failure: reason } : attempt
}

function failureOfClosed(ctx: SendingContext, receiver: Receiver): Failure | undefined {
  const closed = receiverClosed(receiver, ctx.clock.now())
  return closed && failureOf(closed, closedMessage[closed])
}

const nothingYet: Progress = { sentAmount: 0n, deliveredAmount: 0n, pending: false, paid: false }

/**
 * Where the payment stands. A packet on its way counts: a receiver that is completed by it must not pass for one that was completed
 * before anything was sent.
 */
async function readProgress(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
  account: Pick<Account, 'debitsPosted' | 'debitsPending'>,
): Promise<Progress | Failure> {
  const { quote } = payment
  if (account.debitsPosted === 0n && account.debitsPending === 0n) return nothingYet
  try {
    return await ctx.methods[quote.method].progress({
      outgoingPaymentId: payment.id,
      sentAmount: account.debitsPosted,
      deliveredAmount: payment.deliveredAmount.value,
      transferAttempt: payment.transferAttempts,
      ...(quote.limits && { limits: quote.limits }),
      budgetMs: SLICE_MS,
    })
  } catch (error) {
    return failureOfError(error, ctx.log, payment.id)
  }
}

/**
 * Asked before a payment fails. The books do not show everything: a connector that holds a fulfilment, and could not post it before
 * the hold ended, still posts it; and a slice whose worker is gone may be about to send. A connector that is away may have left packets
 * for the next one to ask about (`kept-packets`). A local payment is one step in the ledger.
 */
export async function isUnderWay(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
  known: { sentAmount: bigint; deliveredAmount: bigint },
): Promise<boolean> {
  const { limits } = payment.quote
  if (!limits) return false
  try {
    const { pending } = await ctx.methods[payment.quote.method].progress({
      ...known,
      outgoingPaymentId: payment.id,
      transferAttempt: payment.transferAttempts,
      limits,
      budgetMs: SLICE_MS,
    })
    return pending
  } catch (error) {
    failureOfError(error, ctx.log, payment.id)
    return await hasKeptPackets(ctx.db, payment.id)
  }
}

/** What the books alone say, when nobody can be asked. */
function provenTotals(payment: OutgoingPaymentRow, { debitsPosted }: Pick<Account, 'debitsPosted'>) {
  const { limits } = payment.quote
  const least = limits ? leastDelivered(debitsPosted, limits) : 0n
  return { sentAmount: debitsPosted, deliveredAmount: maximum(payment.deliveredAmount.value, least) }
}

/** All attempts were used up by waits for a dependency: the last of them could not end the payment itself. */
function exhausted(ctx: SendingContext, payment: OutgoingPaymentRow): Failure | undefined {
  if (payment.stateAttempts < ctx.settings.outgoingPaymentAttemptsMax) return undefined
  const { errorCode = 'internal_error', error = 'all attempts failed' } = payment
  return { code: errorCode, message: error, class: 'fatal' }
}

type ReceiverRead = Promise<Receiver | Failure>

/**
 * Begins to read the receiver while the ledger is asked for the payment's account, where most likely nothing was sent and the receiver
 * will be needed.
 */
export function readReceiverAhead(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
): ReceiverRead | undefined {
  if (payment.deliveredAmount.value > 0n || exhausted(ctx, payment)) return undefined
  const reading = readReceiver(ctx, payment, getReceiverToPay)
  // Whether anybody waits for it is not known yet.
  reading.catch(() => undefined)
  return reading
}

async function readReceiver(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
  read: typeof getReceiver,
): Promise<Receiver | Failure> {
  try {
    return await read(ctx, { tenantId: payment.tenantId, url: payment.receiver })
  } catch (error) {
    return failureOfError(error, ctx.log, payment.id)
  }
}

async function pay(
  ctx: SendingContext,
  payment: OutgoingPaymentRow,
  receiver: Receiver,
  totals: { sentAmount: bigint; deliveredAmount: bigint },
): Promise<Attempt> {
  const { quote, walletAddress } = payment
  const wanted = wantedAmount(receiver)
  const quoted = quote.receiveAmount.value
  const { code: assetCode, scale: assetScale, id, ledger } = walletAddress.asset
  try {
    const data = openDataToTransmit(ctx, payment)
    const result = await ctx.methods[quote.method].pay({
      outgoingPaymentId: payment.id,
      tenantId: payment.tenantId,
      sourceAsset: { id, ledger, assetCode, assetScale },
      receiver,
      sourceAmount: quote.sourceAmount,
      quotedReceiveAmount: quoted,
      receiveAmount: wanted === undefined ? quoted : minimum(quoted, totals.deliveredAmount + wanted),
      ...totals,
      ...(quote.limits && { limits: quote.limits }),
      ...(data !== undefined && { data }),
      transferAttempt: payment.transferAttempts,
      budgetMs: SLICE_MS,
    })
    const { sentAmount, deliveredAmount } = result
    const after = { sentAmount, deliveredAmount }
    if (result.status === 'progress') return { kind: 'progress', ...after }
    if (result.status === 'failed')
      return { kind: 'failed', failure: reportedFailure(result.failure), ...after }
    assert(sentAmount > 0n, 'a payment that is done has sent something', payment.id)
    return { kind: 'completed', ...after }
  } catch (error) {
    return { kind: 'failed', failure: failureOfError(error, ctx.log, payment.id), ...totals }
  }
}
