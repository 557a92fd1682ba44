import { closeForGood, type Ledger } from '../ledger/index.ts'
import { AMOUNT_MAX, minimum } from '../money/index.ts'
import type { Clock, Db, Logger } from '../platform/index.ts'
import type { Job, JobOutcome } from '../queue/index.ts'
import { eventRecipients, serviceRecipients, type TenantDefaults } from '../tenants/index.ts'
import { findWithdrawals, type NewWebhookEvent, recordEvent } from '../webhooks/index.ts'
import {
  ANNOUNCE_GRACE_MS,
  type IncomingPayment,
  incomingPaymentAccount,
  isFinal,
  LATE_CREDIT_MS,
  mayBeCredited,
  nextStep,
  toWebhookData,
} from './model.ts'
import { receivedTotals, withReceived } from './received.ts'
import {
  closePayments,
  enqueueDue,
  type IncomingPaymentRow,
  markFinished,
  recordAnnouncement,
  selectOpenWithAmount,
  selectRowOf,
  showAgain,
} from './store.ts'

type Context = {
  db: Db
  clock: Clock
  ledger: Ledger
  log: Logger
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator' | 'posWebhookUrl'>
}

/**
 * The next step of one payment: close it when it expired or has its amount, and once it is closed and the grace is over, announce
 * the ledger's total with what the wallet may withdraw, exactly once. Safe to repeat and to run twice at the same time: every
 * step is a guarded update, so no lease needs to be held. The total can be read before the transaction because nothing is
 * credited any more when it is read (see `ANNOUNCE_GRACE_MS`); but it is read after the row, because a payment that was still open
 * when its total was read may have got its last money since.
 */
export async function processIncomingPayment(
  ctx: Context,
  job: Pick<Job, 'key' | 'loaded'>,
): Promise<JobOutcome> {
  const row = await selectRowOf(ctx.db, job)
  if (!row) return { status: 'done' }
  const now = ctx.clock.now()
  const received = await readTotal(ctx, row, now)
  const payment = withReceived(row, received)
  const step = nextStep(row, received, now)
  const afterEnd: JobOutcome =
    received > AMOUNT_MAX
      ? { status: 'retry', at: now }
      : mayBeCredited(row, received)
        ? { status: 'retry', at: new Date(now.getTime() + LATE_CREDIT_MS) }
        : { status: 'done' }
  switch (step.kind) {
    case 'look_again':
      return (await announceLate(ctx, payment, now)) === 'some'
        ? { status: 'retry', at: now }
        : { status: 'done' }
    case 'wait':
      return { status: 'retry', at: step.until }
    case 'close': {
      // No packet caused this close (or its record was lost), so packets may be in flight: announce after the grace.
      const processAt = new Date(now.getTime() + ANNOUNCE_GRACE_MS)
      const reason = step.state === 'COMPLETED' ? 'amount_received' : 'expired'
      await closePayments(ctx.db, 'all', { ids: [payment.id], state: step.state, reason, processAt, now })
      return { status: 'retry', at: processAt }
    }
    case 'finish':
      await markFinished(ctx.db, { id: payment.id, hide: step.hide, now })
      return afterEnd
    case 'announce':
      await recordAnnouncement(ctx.db, { id: payment.id, now, event: endEvent(ctx, payment, step.type) })
      return afterEnd
  }
}

/**
 * The ledger's total: the last one, when the end is about to be told. The account is closed before it is read then, so nothing
 * that was decided earlier, or by a clock that is wrong, can come behind it. Withdrawals go through the closed account. One that has
 * its amount has an account, so that needs no look; an account that is known to be missing must not cost the close its id.
 */
async function readTotal(ctx: Context, row: IncomingPaymentRow, now: Date): Promise<bigint> {
  const isEnding = isFinal(row.state) && !row.announcedAt && !row.deletedAt && row.processAt <= now
  const fresh = incomingPaymentAccount(row)
  if (!(isEnding && row.isFull)) {
    const [account] = await ctx.ledger.lookupAccounts([row.id])
    const received = account?.creditsPosted ?? 0n
    if (!isEnding || account?.closed || (received === 0n && !row.hasCreditors)) return received
    if (!account) await ctx.ledger.createAccounts([fresh])
  }
  await closeForGood(ctx, fresh)
  const [total = 0n] = await receivedTotals(ctx.ledger, [row.id])
  return total
}

const endTypes = ['incoming_payment.completed', 'incoming_payment.expired'] as const
type EndType = (typeof endTypes)[number]

/**
 * What `receivedAmount` says has arrived and can be withdrawn, as far as one event can say it and one transfer carry it: a payment that
 * asks for no amount may get more, and the next event tells of that.
 */
function endEvent(
  ctx: Pick<Context, 'settings' | 'log'>,
  payment: IncomingPayment,
  type: EndType,
): NewWebhookEvent {
  const amount = minimum(payment.receivedAmount.value, AMOUNT_MAX)
  return {
    tenantId: payment.tenantId,
    type,
    data: toWebhookData({ ...payment, receivedAmount: { ...payment.receivedAmount, value: amount } }),
    incomingPaymentId: payment.id,
    recipientTenantIds: eventRecipients(ctx.settings, payment.tenantId),
    services: serviceRecipients(ctx, 'pos', {
      type,
      paymentId: payment.id,
      initiatedBy: payment.initiatedBy,
    }),
    withdrawal: { accountId: payment.id, assetId: payment.asset.id, amount },
  }
}

/**
 * Money that no event has told of yet: wallets credit what an event says, so the event says this money only. `some`: there is more of it
 * than one event can tell.
 */
async function announceLate(ctx: Context, payment: IncomingPayment, now: Date): Promise<'all' | 'some'> {
  const lateAmount = async (db: Db) => {
    const withdrawals = await findWithdrawals(db, { incomingPaymentId: payment.id, types: endTypes })
    const announced = withdrawals.reduce((sum, { amount }) => sum + amount, 0n)
    return payment.receivedAmount.value - announced
  }
  if ((await lateAmount(ctx.db)) <= 0n) return 'all'
  return await ctx.db.tx(async (db) => {
    await showAgain(db, { id: payment.id, now })
    const value = await lateAmount(db)
    if (value <= 0n) return 'all'
    const { deletedAt: _deletedAt, ...shown } = payment
    const late = { ...shown, receivedAmount: { ...payment.receivedAmount, value } }
    const type = payment.state === 'COMPLETED' ? 'incoming_payment.completed' : 'incoming_payment.expired'
    await recordEvent(db, endEvent(ctx, late, type))
    if (payment.receivedAmount.value <= AMOUNT_MAX)
      ctx.log.error(
        { incomingPaymentId: payment.id, tenantId: payment.tenantId, amount: value.toString() },
        'money came behind the announcement of its payment: it is announced now',
      )
    return value > AMOUNT_MAX ? 'some' : 'all'
  })
}

/** A job that is later than this was lost. */
const OVERDUE_MS = 10_000

/** The sweep: finds payments whose next step is overdue and asks for it again. Returns their ids. Losing the whole queue loses nothing. */
export const findIncomingPaymentsToProcess = (
  ctx: { db: Db; clock: Clock },
  limit = 500,
): Promise<string[]> => enqueueDue(ctx.db, ctx.clock.fromNow(-OVERDUE_MS), limit)

const RECONCILE_BATCH = 500

/**
 * Compares open payments with the ledger: one whose amount has arrived, but whose record was lost in a crash, is completed now and not
 * taken for expired later. Walks over all open payments with an amount, a batch at a time. Returns the ids that it repaired.
 */
export async function reconcileIncomingPayments(ctx: {
  db: Db
  clock: Clock
  ledger: Ledger
}): Promise<string[]> {
  const repaired: string[] = []
  let after = '00000000-0000-0000-0000-000000000000'
  for (;;) {
    const open = await selectOpenWithAmount(ctx.db, after, RECONCILE_BATCH)
    const totals = await receivedTotals(
      ctx.ledger,
      open.map(({ id }) => id),
    )
    const reached = open.filter(({ incomingAmount }, index) => (totals[index] ?? 0n) >= incomingAmount)
    if (reached.length > 0) {
      const now = ctx.clock.now()
      repaired.push(
        ...(await closePayments(ctx.db, 'all', {
          ids: reached.map(({ id }) => id),
          state: 'COMPLETED',
          reason: 'amount_received',
          processAt: new Date(now.getTime() + ANNOUNCE_GRACE_MS),
          now,
        })),
      )
    }
    const last = open.at(-1)
    if (!last || open.length < RECONCILE_BATCH) return repaired
    after = last.id
  }
}
