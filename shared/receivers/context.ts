import type { GrantsClient } from '../grants-client/index.ts'
import type { awaitIncomingPaymentApproval, IncomingPaymentContext } from '../incoming-payments/index.ts'
import type { HttpClient } from '../platform/index.ts'

export type ReceiverContext = IncomingPaymentContext & {
  grants: Pick<GrantsClient, 'getWalletAddress' | 'request'>
  /** Receivers' URLs come from clients. */
  guardedHttp: Pick<HttpClient, 'request'>
}

/** A new incoming payment may have to wait for its wallet. */
export type CreateReceiverContext = ReceiverContext & Parameters<typeof awaitIncomingPaymentApproval>[0]
