import { type GraphQLSchema, isObjectType } from 'graphql'
import { assetResolvers } from './assets.ts'
import { incomingPaymentResolvers } from './incoming-payments.ts'
import { liquidityResolvers } from './liquidity.ts'
import { outgoingPaymentResolvers } from './outgoing-payments.ts'
import { peerResolvers } from './peers.ts'
import { quoteResolvers } from './quotes.ts'
import { receiverResolvers } from './receivers.ts'
import type { ResolverMap } from './resolver.ts'
import { walletAddressResolvers } from './wallet-addresses.ts'
import { webhookEventResolvers } from './webhook-events.ts'

const whoami: ResolverMap = {
  Query: {
    whoami: (_source, _args, ctx) => ({ id: ctx.caller.tenantId, isOperator: ctx.caller.isOperator }),
  },
}

const maps: readonly ResolverMap[] = [
  whoami,
  assetResolvers,
  peerResolvers,
  walletAddressResolvers,
  incomingPaymentResolvers,
  receiverResolvers,
  quoteResolvers,
  outgoingPaymentResolvers,
  liquidityResolvers,
  webhookEventResolvers,
]

/** Puts the resolvers on their fields. Throws on a resolver without a field and on a root field without a resolver. */
export function addResolvers(schema: GraphQLSchema): void {
  for (const map of maps) {
    for (const [typeName, fields] of Object.entries(map)) {
      const type = schema.getType(typeName)
      if (!isObjectType(type)) throw new Error(`resolvers for a type that the schema lacks: ${typeName}`)
      for (const [name, resolve] of Object.entries(fields)) {
        const field = type.getFields()[name]
        if (!field) throw new Error(`resolver for a field that the schema lacks: ${typeName}.${name}`)
        field.resolve = resolve as unknown as NonNullable<typeof field.resolve>
      }
    }
  }
  for (const root of [schema.getQueryType(), schema.getMutationType()])
    for (const field of Object.values(root?.getFields() ?? {}))
      if (!field.resolve) throw new Error(`root field without a resolver: ${root?.name}.${field.name}`)
}
