import { type Account, availableCredit } from '../ledger/index.ts'
import { maximum } from '../money/index.ts'
import { assert, Fault } from '../platform/index.ts'
import { holdLease, type Job, type JobOutcome } from '../queue/index.ts'
import { eventRecipients } from '../tenants/index.ts'
import { type Attempt, attemptPayment, isUnderWay, readReceiverAhead } from './attempt-payment.ts'
import type { SendingContext } from './context.ts'
import { endPayment } from './ending-store.ts'
import { type Failure, retryAfter } from './failures.ts'
import { fundAndStart } from './fund-outgoing-payment.ts'
import { spentByFailed } from './grant-spending.ts'
import type { OutgoingPayment } from './model.ts'
import { raiseProgress } from './progress-store.ts'
import { noteWait, type OutgoingPaymentRow, recordAttempt, selectPaymentOf, withSent } from './store.ts'
import { toWebhookData } from './webhook-data.ts'

/**
 * One run of the payments worker on one payment: as it was read with the claim of its job, or anew. Acts with no transaction open, and records only while the lease is
 * still held. Safe to repeat at any point and to run twice at the same time.
 */
export async function processOutgoingPayment(ctx: SendingContext, job: Job): Promise<JobOutcome> {
  const payment = await selectPaymentOf(ctx.db, job)
  if (payment?.state === 'SENDING') return await sendPayment(ctx, job, payment)
  // A crash or a lost answer in the middle of funding. Finished here, it asks for the job again.
  if (payment?.state === 'FUNDING' && payment.fundingStartedAt)
    await fundAndStart(ctx, { id: payment.id, scope: 'all' })
  return { status: 'done' }
}

async function sendPayment(ctx: SendingContext, job: Job, payment: OutgoingPaymentRow): Promise<JobOutcome> {
  const receiver = readReceiverAhead(ctx, payment)
  const before = await accountOf(ctx, payment)
  const attempt = await attemptPayment(ctx, payment, before, receiver)
  switch (attempt.kind) {
    case 'completed':
      return await end(ctx, job, payment, attempt)
    case 'progress':
      await raiseProgress(ctx.db, {
        id: payment.id,
        // Only the sender itself knows what its count covers.
        sentAmount: 0n,
        deliveredAmount: attempt.deliveredAmount,
        packets: payment.packets,
        rejects: [],
      })
      return now(ctx)
    case 'failed':
      return await afterFailure(ctx, job, payment, {
        ...attempt,
        sentAmount: maximum(attempt.sentAmount, before.debitsPosted),
      })
  }
}

const now = (ctx: SendingContext): JobOutcome => ({ status: 'retry', at: ctx.clock.now() })

/** A payment that is SENDING had its account before its job. */
async function accountOf(ctx: SendingContext, payment: OutgoingPaymentRow): Promise<Account> {
  const [account] = await ctx.ledger.lookupAccounts([payment.id])
  if (!account)
    throw new Fault('ledger_account_missing', {
      retryable: true,
      message: 'the ledger has no account for a payment that was funded',
      details: { outgoingPaymentId: payment.id },
    })
  return account
}

type Failed = Extract<Attempt, { kind: 'failed' }>

async function afterFailure(
  ctx: SendingContext,
  job: Job,
  payment: OutgoingPaymentRow,
  attempt: Failed,
): Promise<JobOutcome> {
  const { failure } = attempt
  const retry = retryAfter(failure, {
    stateAttempts: payment.stateAttempts,
    attemptsMax: ctx.settings.outgoingPaymentAttemptsMax,
    quoteExpiresAt: payment.quote.expiresAt,
    now: ctx.clock.now(),
    random: Math.random(),
  })
  const { id, tenantId } = payment
  ctx.log.info(
    { outgoingPaymentId: id, tenantId, code: failure.code, reason: failure.message, retryAt: retry?.at },
    'sending a payment failed',
  )
  if (!retry) return await end(ctx, job, payment, attempt)
  if (retry.counted)
    await ctx.db.tx(async (db) => {
      await holdLease(db, job)
      const transferRefused = failure.transferRefused ?? false
      await recordAttempt(db, { id, failure, transferRefused, retryAt: retry.at, now: ctx.clock.now() })
    })
  else await noteWait(ctx.db, { id, failure, now: ctx.clock.now() })
  return { status: 'retry', at: retry.at }
}

/** Holds of packets in flight end within their expiry; until then nobody knows what was sent. */
const HOLD_WAIT_MS = 1_000

/** Records the end: state, final figures and the event with what may be withdrawn, in one statement. */
async function end(
  ctx: SendingContext,
  job: Job,
  payment: OutgoingPaymentRow,
  attempt: Exclude<Attempt, { kind: 'progress' }>,
): Promise<JobOutcome> {
  if (attempt.kind === 'failed' && (await isUnderWay(ctx, payment, attempt)))
    return { status: 'retry', at: ctx.clock.fromNow(HOLD_WAIT_MS) }
  const account = await accountOf(ctx, payment)
  if (account.debitsPending > 0n) return { status: 'retry', at: ctx.clock.fromNow(HOLD_WAIT_MS) }
  const sentAmount = account.debitsPosted
  // Somebody sent while this run decided that nothing more can be: decide anew.
  if (attempt.kind === 'failed' && sentAmount > attempt.sentAmount) return now(ctx)
  const balance = availableCredit(account)
  assert(payment.debitAmount.value === sentAmount + balance, 'debit = sent + balance', {
    outgoingPaymentId: payment.id,
    sentAmount,
    balance,
  })
  const failure = attempt.kind === 'failed' ? attempt.failure : undefined
  assert(failure || sentAmount > 0n, 'a completed payment has sent something', payment.id)
  return await recordEnd(ctx, job, payment, {
    sentAmount,
    balance,
    deliveredAmount: attempt.deliveredAmount,
    failure,
  })
}

interface End {
  sentAmount: bigint
  balance: bigint
  deliveredAmount: bigint
  failure: Failure | undefined
}

async function recordEnd(
  ctx: SendingContext,
  job: Job,
  payment: OutgoingPaymentRow,
  end: End,
): Promise<JobOutcome> {
  const { sentAmount, balance, failure } = end
  const state = failure ? 'FAILED' : 'COMPLETED'
  const stateAttempts = failure ? payment.stateAttempts + 1 : payment.stateAttempts
  const recordedAt = ctx.clock.now()
  const { error: _error, errorCode: _errorCode, ...rest } = withSent(payment, sentAmount)
  const ended: OutgoingPayment = {
    ...rest,
    state,
    stateAttempts,
    updatedAt: recordedAt,
    ...(failure && { error: failure.message, errorCode: failure.code }),
  }
  const outcome = await endPayment(
    ctx.db,
    job,
    {
      state,
      sentAmount,
      deliveredAmount: end.deliveredAmount,
      stateAttempts,
      now: recordedAt,
      ...(failure && { failure }),
      ...(failure && payment.isCounted && { spent: spentByFailed(payment.quote, { sentAmount }) }),
    },
    {
      tenantId: payment.tenantId,
      type: failure ? 'outgoing_payment.failed' : 'outgoing_payment.completed',
      data: toWebhookData(ended, balance),
      outgoingPaymentId: payment.id,
      recipientTenantIds: eventRecipients(ctx.settings, payment.tenantId),
      ...(balance > 0n && {
        withdrawal: { accountId: payment.id, assetId: payment.walletAddress.assetId, amount: balance },
      }),
    },
  )
  ctx.onPaymentEnded?.({
    ...ended,
    deliveredAmount: { ...ended.deliveredAmount, value: end.deliveredAmount },
  })
  return outcome
}
