import type { IncomingPayment } from '../../shared/incoming-payments/index.ts'
import { toWireAmount } from '../../shared/money/index.ts'
import type { GrantSpent, OutgoingPayment } from '../../shared/outgoing-payments/index.ts'
import type { Quote } from '../../shared/quotes/index.ts'
import type { WalletAddress } from '../../shared/wallet-addresses/index.ts'

/**
 * Our resources in the words of Open Payments (contracts/open-payments/routes.md §1). What is absent is omitted: clients
 * refuse `null` nearly everywhere.
 */
export interface Urls {
  /** Public base of resource ids, no trailing slash. */
  openPayments: string
  /** Public base of the authorization server, no trailing slash. */
  authServer: string
  /** Of the card service, where there is one. */
  cardService?: string
}

type Collection = 'incoming-payments' | 'quotes' | 'outgoing-payments'

const urlOf = (urls: Urls, collection: Collection, item: { id: string; tenantId: string }): string =>
  `${urls.openPayments}/${item.tenantId}/${collection}/${item.id}`

const authServerOf = (urls: Urls, tenantId: string): string => `${urls.authServer}/${tenantId}`

export interface WireMethod {
  type: 'ilp'
  ilpAddress: string
  sharedSecret: string
}

/** Without `methods`: list items and completed payments have none. */
export const toIncomingPayment = (urls: Urls, payment: IncomingPayment) => ({
  id: urlOf(urls, 'incoming-payments', payment),
  walletAddress: payment.walletAddress.address,
  ...(payment.incomingAmount && { incomingAmount: toWireAmount(payment.incomingAmount) }),
  receivedAmount: toWireAmount(payment.receivedAmount),
  completed: payment.state === 'COMPLETED',
  ...(payment.metadata && { metadata: payment.metadata }),
  createdAt: payment.createdAt.toISOString(),
  expiresAt: payment.expiresAt.toISOString(),
})

export const toIncomingPaymentWithMethods = (
  urls: Urls,
  payment: IncomingPayment,
  methods: readonly WireMethod[],
) => ({ ...toIncomingPayment(urls, payment), methods })

/** What anybody may know: how far it is, and where to ask for more. */
export const toPublicIncomingPayment = (urls: Urls, payment: IncomingPayment) => ({
  receivedAmount: toWireAmount(payment.receivedAmount),
  authServer: authServerOf(urls, payment.tenantId),
})

export const toQuote = (urls: Urls, quote: Quote) => ({
  id: urlOf(urls, 'quotes', quote),
  walletAddress: quote.walletAddress.address,
  receiver: quote.receiver,
  receiveAmount: toWireAmount(quote.receiveAmount),
  debitAmount: toWireAmount(quote.debitAmount),
  method: 'ilp',
  createdAt: quote.createdAt.toISOString(),
  expiresAt: quote.expiresAt.toISOString(),
})

export const toOutgoingPayment = (urls: Urls, payment: OutgoingPayment) => ({
  id: urlOf(urls, 'outgoing-payments', payment),
  walletAddress: payment.walletAddress.address,
  quoteId: urlOf(urls, 'quotes', payment.quote),
  receiver: payment.receiver,
  receiveAmount: toWireAmount(payment.receiveAmount),
  debitAmount: toWireAmount(payment.debitAmount),
  sentAmount: toWireAmount(payment.sentAmount),
  // Cancelled included: the member says whether the full amount will not be sent.
  failed: payment.state === 'FAILED' || payment.state === 'CANCELLED',
  ...(payment.metadata && { metadata: payment.metadata }),
  createdAt: payment.createdAt.toISOString(),
})

/** Only the answer to a creation tells what the grant had spent before it. */
export const toCreatedOutgoingPayment = (urls: Urls, payment: OutgoingPayment, spent: GrantSpent) => ({
  ...toOutgoingPayment(urls, payment),
  grantSpentDebitAmount: toWireAmount(spent.debitAmount),
  grantSpentReceiveAmount: toWireAmount(spent.receiveAmount),
})

/** Both are there or null: the only nulls that clients expect. */
export const toSpentAmounts = (spent: GrantSpent | undefined) => ({
  spentDebitAmount: spent ? toWireAmount(spent.debitAmount) : null,
  spentReceiveAmount: spent ? toWireAmount(spent.receiveAmount) : null,
})

export function toWalletAddress(urls: Urls, wallet: WalletAddress) {
  const visible = wallet.additionalProperties.filter(({ visibleInOpenPayments }) => visibleInOpenPayments)
  return {
    id: wallet.address,
    ...(wallet.publicName !== undefined && { publicName: wallet.publicName }),
    assetCode: wallet.asset.code,
    assetScale: wallet.asset.scale,
    authServer: authServerOf(urls, wallet.tenantId),
    resourceServer: `${urls.openPayments}/${wallet.tenantId}`,
    ...(urls.cardService !== undefined && { cardService: `${urls.cardService}/` }),
    ...(visible.length > 0 && {
      additionalProperties: Object.fromEntries(visible.map(({ key, value }) => [key, value])),
    }),
  }
}
