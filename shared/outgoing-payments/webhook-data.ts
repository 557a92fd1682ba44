import { toWireAmount } from '../money/index.ts'
import { present } from '../platform/index.ts'
import type { OutgoingPayment } from './model.ts'

/** `data` of the `outgoing_payment.*` events (webhooks.md §3). `balance`: what the payment's account still holds. */
export const toWebhookData = (payment: OutgoingPayment, balance: bigint): Record<string, unknown> => ({
  id: payment.id,
  walletAddressId: payment.walletAddressId,
  state: payment.state,
  receiver: payment.receiver,
  debitAmount: toWireAmount(payment.debitAmount),
  receiveAmount: toWireAmount(payment.receiveAmount),
  sentAmount: toWireAmount(payment.sentAmount),
  stateAttempts: payment.stateAttempts,
  createdAt: payment.createdAt.toISOString(),
  balance: balance.toString(),
  ...present({
    client: payment.client,
    metadata: payment.metadata,
    error: payment.error,
    grantId: payment.grantId,
    cardDetails: payment.cardDetails,
  }),
})
