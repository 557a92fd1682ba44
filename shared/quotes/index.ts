/**
 * Quotes are offers to pay a receiver, with all amounts fixed. Always true here: a quote is immutable, debits more than zero,
 * delivers more than zero, and its fee is part of the debit amount and never enters the network.
 */
import { traced } from '../telemetry/index.ts'
import { createQuote as create } from './create-quote.ts'

export type { QuoteContext } from './context.ts'
export type { CreateQuoteInput } from './create-quote.ts'
export { QuoteRefusal, type QuoteRefusalCode } from './errors.ts'
export type { Quote } from './model.ts'
export { estimatedExchangeRate, findQuote, getQuote, listQuotes } from './read-quotes.ts'
export { quoteColumns, toQuote } from './store.ts'

export const createQuote = traced('quote.create', create, { timer: 'quote_service_create_time_ms' })
