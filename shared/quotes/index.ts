/**
 * Quotes are offers to pay a receiver, with all amounts fixed. Always true here: a quote is immutable, debits more than zero,
 * delivers more than zero, and its fee is part of the debit amount and never enters the network.
 */
export { QuoteRefusal, type QuoteRefusalCode } from './errors.ts'
export type { Quote } from './model.ts'

import type { Amount } from '../money/index.ts'
import type { PaymentMethods } from '../payment-methods/index.ts'
import type { Db } from '../platform/index.ts'
import type { ReceiverContext } from '../receivers/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import type { Quote } from './model.ts'

export type QuoteContext = ReceiverContext & {
  methods: PaymentMethods
  settings: { quoteLifespanMs: number }
}

/** At most one of the amounts; neither only if the receiver has an incoming amount. */
export interface CreateQuoteInput {
  tenantId: string
  walletAddressId: string
  /** Incoming payment URL. */
  receiver: string
  debitAmount?: Amount
  receiveAmount?: Amount
  client?: string
}
export declare function createQuote(ctx: QuoteContext, input: CreateQuoteInput): Promise<Quote>
export declare function getQuote(ctx: { db: Db }, scope: TenantScope, id: string): Promise<Quote>
export declare function findQuote(ctx: { db: Db }, scope: TenantScope, id: string): Promise<Quote | undefined>
export declare function listQuotes(
  ctx: { db: Db },
  scope: TenantScope,
  filter: { walletAddressId?: string[]; client?: string },
  page: Page,
): Promise<Paged<Quote>>
/** Receive units per debit unit, fee included, in whole units of the assets: for display only. */
export declare function estimatedExchangeRate(quote: Quote): number
