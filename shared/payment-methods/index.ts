/**
 * Ways to move money to a receiver: `LOCAL` within this node's ledger, `ILP` through the connector. Always true here: rates
 * are exact, rounding favours the node, `pay` never pays twice for one payment, and never more than the quote allows.
 */

export { createPaymentMethods, type PaymentMethodsContext } from './create-payment-methods.ts'
export { PaymentMethodRefusal, type PaymentMethodRefusalCode } from './errors.ts'
export { observeMethods } from './observe-methods.ts'
export type {
  MethodQuote,
  MethodQuoteInput,
  PayFailure,
  PayInput,
  PaymentMethod,
  PaymentMethodName,
  PaymentMethods,
  PayResult,
  Progress,
  ProgressInput,
  RateLimits,
} from './port.ts'
export { leastDelivered } from './port.ts'
