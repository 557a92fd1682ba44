/**
 * Ways to move money to a receiver: `LOCAL` within this node's ledger, `ILP` through the connector. Always true here: rates
 * are exact, rounding favours the node, `pay` never pays twice for one payment, and never more than the quote allows.
 */
export { PaymentMethodRefusal, type PaymentMethodRefusalCode } from './errors.ts'
export type {
  MethodQuote,
  MethodQuoteInput,
  PayFailure,
  PayInput,
  PaymentMethod,
  PaymentMethodName,
  PaymentMethods,
  PayResult,
  RateLimits,
} from './port.ts'

import type { ConnectorClient } from '../connector-client/index.ts'
import type { IncomingPaymentContext } from '../incoming-payments/index.ts'
import type { Rate } from '../money/index.ts'
import type { PaymentMethods } from './port.ts'

/** `slippage`: share of the price that an ILP payment may lose, such as 1/100. Wired once per process. */
export declare function createPaymentMethods(
  ctx: IncomingPaymentContext & { connector: ConnectorClient; settings: { slippage: Rate } },
): PaymentMethods
