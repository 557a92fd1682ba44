import type { GrantsClient } from '../grants-client/index.ts'
import type { IncomingPaymentContext } from '../incoming-payments/index.ts'

export type ReceiverContext = IncomingPaymentContext & {
  grants: Pick<GrantsClient, 'getWalletAddress' | 'request'>
  /** Base of this node's resource URLs. */
  settings: { openPaymentsUrl: string }
}
