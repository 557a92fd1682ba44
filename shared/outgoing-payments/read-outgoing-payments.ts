import { intervalAt } from '../grant-limits/index.ts'
import { type Account, availableCredit } from '../ledger/index.ts'
import type { Clock, Db } from '../platform/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import type { ReadContext } from './context.ts'
import { findFinalSentAmount } from './ending-store.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import type { Grant, GrantSpent } from './grant-spending.ts'
import { selectSpent } from './grant-spending-store.ts'
import type { OutgoingPayment, OutgoingPaymentFilter, OutgoingPaymentState } from './model.ts'
import {
  type AnsweredPacket,
  addAnswers,
  raiseProgress,
  type SendProgress,
  selectProgress,
} from './progress-store.ts'
import { type OutgoingPaymentRow, selectPayment, selectPayments, withSent } from './store.ts'

export const unknownPayment = (): OutgoingPaymentRefusal =>
  new OutgoingPaymentRefusal('unknown_payment', { message: 'unknown outgoing payment' })

/** What was sent: of payments on their way the ledger knows, of those that ended the row, before funding nobody. */
async function withSentAmounts(
  ctx: ReadContext,
  rows: readonly OutgoingPaymentRow[],
): Promise<OutgoingPayment[]> {
  const sending = rows.filter(({ state }) => state === 'SENDING').map(({ id }) => id)
  const accounts = sending.length === 0 ? [] : await ctx.ledger.lookupAccounts(sending)
  const amounts = await Promise.all(sending.map((id, index) => sentFrom(ctx, id, accounts[index])))
  const sentById = new Map(sending.map((id, index) => [id, amounts[index]]))
  return rows.map((row) => withSent(row, row.sentAmount ?? sentById.get(row.id) ?? 0n))
}

/**
 * The ledger's total of a payment whose row was read as SENDING. It may have ended since, and its rest, which was not sent, been withdrawn:
 * that takes all there is, so an account with anything left needs no second look. The row knows by now, and is asked together with
 * those of the same page.
 */
async function sentFrom(ctx: ReadContext, id: string, account: Account | undefined): Promise<bigint> {
  if (!account) return 0n
  const { debitsPosted, creditsPosted } = account
  const final = debitsPosted === creditsPosted ? await findFinalSentAmount(ctx.db, id) : undefined
  return final ?? debitsPosted
}

export async function findOutgoingPayment(
  ctx: ReadContext,
  scope: TenantScope,
  id: string,
): Promise<OutgoingPayment | undefined> {
  const row = await selectPayment(ctx.db, scope, id)
  if (!row) return undefined
  const [payment] = await withSentAmounts(ctx, [row])
  return payment
}

/** Throws {@link OutgoingPaymentRefusal} `unknown_payment`. */
export async function getOutgoingPayment(
  ctx: ReadContext,
  scope: TenantScope,
  id: string,
): Promise<OutgoingPayment> {
  const payment = await findOutgoingPayment(ctx, scope, id)
  if (!payment) throw unknownPayment()
  return payment
}

/** One page, with one ledger lookup for all of it. */
export async function listOutgoingPayments(
  ctx: ReadContext,
  scope: TenantScope,
  filter: OutgoingPaymentFilter,
  page: Page,
): Promise<Paged<OutgoingPayment>> {
  const rows = await selectPayments(ctx.db, scope, filter, page)
  return { ...rows, items: await withSentAmounts(ctx, rows.items) }
}

/** What the payments' ledger accounts hold, in the order of `ids`; `undefined` before funding. */
export async function getOutgoingPaymentLiquidity(
  ctx: Pick<ReadContext, 'ledger'>,
  ids: readonly string[],
): Promise<(bigint | undefined)[]> {
  const accounts = ids.length === 0 ? [] : await ctx.ledger.lookupAccounts(ids)
  return accounts.map((account) => account && availableCredit(account))
}

/** Running totals while a payment is sent. They only grow: an older report changes nothing. Kept packets that they count are forgotten. */
export async function recordSendProgress(
  ctx: { db: Db },
  input: SendProgress & { outgoingPaymentId: string; answered?: readonly string[] },
): Promise<void> {
  await raiseProgress(ctx.db, { ...input, id: input.outgoingPaymentId })
}

/** What packets brought that another sender left: see `progress-store`. */
export async function recordAnswers(
  ctx: { db: Db },
  input: {
    outgoingPaymentId: string
    debitsPosted: bigint
    answered: readonly AnsweredPacket[]
    over: readonly string[]
  },
): Promise<void> {
  await addAnswers(ctx.db, { ...input, id: input.outgoingPaymentId })
}

/** Where a sender that starts anew goes on, and whether it may: only in SENDING. Throws `unknown_payment`. */
export async function getSendProgress(
  ctx: { db: Db },
  outgoingPaymentId: string,
): Promise<SendProgress & { state: OutgoingPaymentState }> {
  const progress = await selectProgress(ctx.db, outgoingPaymentId)
  if (!progress) throw unknownPayment()
  return progress
}

/**
 * What a grant has spent: in the interval of now where its limits have one, else in its whole life; its failed payments with what they
 * sent. `undefined` outside of all intervals, and for a grant that never paid.
 */
export async function findGrantSpent(
  ctx: { db: Db; clock: Clock },
  input: { tenantId: string; grant: Grant },
): Promise<GrantSpent | undefined> {
  const { id: grantId, limits } = input.grant
  const found = limits?.interval && intervalAt(limits.interval, ctx.clock.now())
  if (limits?.interval && !found) return undefined
  return await selectSpent(ctx.db, { tenantId: input.tenantId, grantId, interval: found?.start })
}
