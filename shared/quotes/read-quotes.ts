import { formatRate, rate } from '../money/index.ts'
import type { Db } from '../platform/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import { QuoteRefusal } from './errors.ts'
import type { Quote } from './model.ts'
import { selectQuote, selectQuotes } from './store.ts'

/** Throws {@link QuoteRefusal} `unknown_quote`. */
export async function getQuote(ctx: { db: Db }, scope: TenantScope, id: string): Promise<Quote> {
  const quote = await selectQuote(ctx.db, scope, id)
  if (!quote) throw new QuoteRefusal('unknown_quote', { message: 'unknown quote' })
  return quote
}

export const findQuote = (ctx: { db: Db }, scope: TenantScope, id: string): Promise<Quote | undefined> =>
  selectQuote(ctx.db, scope, id)

export const listQuotes = (
  ctx: { db: Db },
  scope: TenantScope,
  filter: { walletAddressId?: string[]; client?: string },
  page: Page,
): Promise<Paged<Quote>> => selectQuotes(ctx.db, scope, filter, page)

const DIGITS = 15

/** Smallest receive units per smallest source unit, for display only: what the probe saw, or what was promised. */
export function estimatedExchangeRate(quote: Quote): number {
  const estimate = quote.limits?.lowRate ?? rate(quote.receiveAmount.value, quote.sourceAmount)
  return Number(formatRate(estimate, DIGITS))
}
