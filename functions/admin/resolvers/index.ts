import { accountingTransferResolvers } from './accounting-transfers.ts'
import { assetResolvers } from './assets.ts'
import { incomingPaymentResolvers } from './incoming-payments.ts'
import { liquidityResolvers } from './liquidity.ts'
import { outgoingPaymentResolvers } from './outgoing-payments.ts'
import { partialPaymentResolvers } from './partial-payments.ts'
import { paymentResolvers } from './payments.ts'
import { peerResolvers } from './peers.ts'
import { quoteResolvers } from './quotes.ts'
import { receiverResolvers } from './receivers.ts'
import type { ResolverMap } from './resolver.ts'
import { tenantResolvers } from './tenants.ts'
import { walletAddressResolvers } from './wallet-addresses.ts'
import { webhookEventResolvers } from './webhook-events.ts'

const whoami: ResolverMap = {
  Query: {
    whoami: (_source, _args, ctx) => ({ id: ctx.caller.tenantId, isOperator: ctx.caller.isOperator }),
  },
}

export const adminResolvers: readonly ResolverMap[] = [
  whoami,
  tenantResolvers,
  assetResolvers,
  peerResolvers,
  walletAddressResolvers,
  incomingPaymentResolvers,
  partialPaymentResolvers,
  receiverResolvers,
  quoteResolvers,
  outgoingPaymentResolvers,
  paymentResolvers,
  accountingTransferResolvers,
  liquidityResolvers,
  webhookEventResolvers,
]
