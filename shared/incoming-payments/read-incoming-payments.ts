import type { Ledger } from '../ledger/index.ts'
import { type Db, isUuid } from '../platform/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { type IncomingPayment, isFinal, type ReceivingPayment } from './model.ts'
import { receivedTotals, withReceived } from './received.ts'
import { type IncomingPaymentFilter, paymentById, selectPayments, selectReceivingPayment } from './store.ts'

type Context = { db: Db; ledger: Ledger }

export const unknownIncomingPayment = (): IncomingPaymentRefusal =>
  new IncomingPaymentRefusal('unknown_incoming_payment', { message: 'unknown incoming payment' })

/** With what it has received, from the ledger. `filter.client` hides other clients' payments. */
export async function findIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  id: string,
  filter: { client?: string } = {},
): Promise<IncomingPayment | undefined> {
  if (!isUuid(id)) return undefined
  // The account's id is the payment's, so both stores are asked at once.
  const [row, [account]] = await Promise.all([
    ctx.db.batched(paymentById, { id, scope }),
    ctx.ledger.lookupAccounts([id]),
  ])
  const isHidden = filter.client !== undefined && row?.client !== filter.client
  if (!row || isHidden) return undefined
  // One that ended meanwhile may have got its last money behind this look at the ledger. A closed account gets none.
  const mayHaveMore = isFinal(row.state) && !account?.closed
  const [received = 0n] = mayHaveMore ? await receivedTotals(ctx.ledger, [id]) : [account?.creditsPosted]
  return withReceived(row, received)
}

/** As {@link findIncomingPayment}; throws {@link IncomingPaymentRefusal} `unknown_incoming_payment`. */
export async function getIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  id: string,
  filter: { client?: string } = {},
): Promise<IncomingPayment> {
  const payment = await findIncomingPayment(ctx, scope, id, filter)
  if (!payment) throw unknownIncomingPayment()
  return payment
}

/** One page, with one ledger lookup for all of it. */
export async function listIncomingPayments(
  ctx: Context,
  scope: TenantScope,
  filter: IncomingPaymentFilter,
  page: Page,
): Promise<Paged<IncomingPayment>> {
  const rows = await selectPayments(ctx.db, scope, filter, page)
  const totals = await receivedTotals(
    ctx.ledger,
    rows.items.map(({ id }) => id),
  )
  return { ...rows, items: rows.items.map((row, index) => withReceived(row, totals[index] ?? 0n)) }
}

/** For the packet path: no joins beyond the asset, no ledger. See `canReceive` for how long the answer may be used. */
export const findReceivingPayment = async (
  ctx: { db: Db },
  id: string,
): Promise<ReceivingPayment | undefined> =>
  isUuid(id) ? await selectReceivingPayment(ctx.db, id) : undefined
