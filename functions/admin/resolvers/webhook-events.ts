import { type PageArguments, toConnection, toPage } from '../../../shared/graphql-server/index.ts'
import { listEvents, type WebhookEvent } from '../../../shared/webhooks/index.ts'
import { listScope, type ResolverMap } from './resolver.ts'

const toEvent = (event: WebhookEvent) => ({
  id: event.id,
  type: event.type,
  data: event.data,
  tenantId: event.tenantId,
  createdAt: event.createdAt.toISOString(),
})

interface ListArguments extends PageArguments {
  tenantId?: string
  filter?: { type?: { in?: string[] | null; notIn?: string[] | null } | null } | null
}

/** Hidden unless the caller says what to leave out: wallets written before these existed do not know them (admin-api.md §5). */
const HIDDEN_TYPES = ['outgoing_payment.funded', 'outgoing_payment.cancelled']

export const webhookEventResolvers: ResolverMap = {
  Query: {
    webhookEvents: async (_source, args: ListArguments, ctx) => {
      const scope = listScope(ctx, args.tenantId)
      const { in: included, notIn } = args.filter?.type ?? {}
      return toConnection(
        await listEvents(ctx.node.db, {
          ...(scope !== 'all' && { tenantId: scope.tenantId }),
          types: { ...(included && { in: included }), notIn: notIn?.length ? notIn : HIDDEN_TYPES },
          page: toPage(args),
        }),
        toEvent,
      )
    },
  },
}
