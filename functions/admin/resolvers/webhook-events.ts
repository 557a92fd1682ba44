import {
  InvalidInput,
  type PageArguments,
  parseId,
  toConnection,
  toPage,
} from '../../../shared/graphql-server/index.ts'
import { attemptsSeenBy, setWebhookSecret } from '../../../shared/tenants/index.ts'
import {
  type DeliveryReport,
  type DeliveryScope,
  findDeliveries,
  findEvent,
  listEvents,
  type Resent,
  resendDeadEvents,
  resendEvent,
  resendEvents,
  storedData,
  type WebhookAttempt,
  type WebhookEvent,
} from '../../../shared/webhooks/index.ts'
import { parseDate } from './input.ts'
import { anyOrOwn, listScope, type RequestContext, type ResolverMap, rowMutation } from './resolver.ts'
import { toTargetTenant } from './target-tenant.ts'

const toEvent = (event: WebhookEvent) => ({
  id: event.id,
  type: event.type,
  data: storedData(event),
  tenantId: event.tenantId,
  createdAt: event.createdAt.toISOString(),
})

const toAttempt = ({ at, ...attempt }: WebhookAttempt) => ({ ...attempt, at: at.toISOString() })

const toDelivery = (seen: (attempt: WebhookAttempt) => WebhookAttempt) => (delivery: DeliveryReport) => ({
  id: delivery.id,
  recipientTenantId: delivery.recipientTenantId,
  endpoint: delivery.endpoint.toUpperCase(),
  state: delivery.state.toUpperCase(),
  attempts: delivery.attempts.map((attempt) => toAttempt(seen(attempt))),
  nextAttemptAt: delivery.nextAttemptAt?.toISOString(),
})

const toResent = ({ deliveries, hasMore, lastEventAt }: Resent) => ({
  count: deliveries,
  hasMore,
  lastEventAt: lastEventAt?.toISOString(),
})

/** Whose deliveries: the caller's own; everybody's, or those of the tenant that it names, for the operator. */
const deliveryScope = (scope: ReturnType<typeof listScope>): DeliveryScope =>
  scope === 'all' ? {} : { tenantId: scope.tenantId }

interface ListArguments extends PageArguments {
  tenantId?: string
  filter?: {
    type?: { in?: string[] | null; notIn?: string[] | null } | null
    deliveryState?: 'PENDING' | 'DELIVERED' | 'DEAD' | null
  } | null
}

const deliveryStates = { PENDING: 'pending', DELIVERED: 'delivered', DEAD: 'dead' } as const

/** What the caller may see of where an event goes: a tenant does not see what the operator's endpoints say. */
const seenBy = (ctx: RequestContext) =>
  ctx.caller.isOperator ? {} : { recipientTenantId: ctx.caller.tenantId }

/** Hidden unless the caller says what to leave out: wallets written before these existed do not know them (admin-api.md §5). */
const HIDDEN_TYPES = ['outgoing_payment.funded', 'outgoing_payment.cancelled']

interface ResendEventInput {
  id: string
  idempotencyKey?: string | null
}

interface ResendEventsInput {
  from: string
  to: string
  type?: string | null
  tenantId?: string | null
  idempotencyKey?: string | null
}

interface ResendDeadEventsInput {
  tenantId?: string | null
  idempotencyKey?: string | null
}

interface SetSecretInput {
  secret: string
  overlapSeconds?: number | null
  tenantId?: string | null
  idempotencyKey?: string | null
}

const OVERLAP_SECONDS_DEFAULT = 86_400

function parseOverlap(value: number | null | undefined): number {
  if (value == null) return OVERLAP_SECONDS_DEFAULT
  if (value < 0) throw new InvalidInput('overlapSeconds must not be negative')
  return value
}

export const webhookEventResolvers: ResolverMap = {
  Query: {
    webhookEvents: async (_source, args: ListArguments, ctx) => {
      const scope = listScope(ctx, args.tenantId)
      const { in: included, notIn } = args.filter?.type ?? {}
      const state = args.filter?.deliveryState
      return toConnection(
        await listEvents(ctx.node.db, {
          ...(scope !== 'all' && { tenantId: scope.tenantId }),
          types: { ...(included?.length && { in: included }), notIn: notIn?.length ? notIn : HIDDEN_TYPES },
          ...(state && { delivery: { state: deliveryStates[state], ...seenBy(ctx) } }),
          page: toPage(args),
        }),
        toEvent,
      )
    },
  },
  WebhookEvent: {
    deliveries: async (event: { id: string }, _args, ctx) => {
      const scope = anyOrOwn(ctx)
      const [seen, deliveries] = await Promise.all([
        attemptsSeenBy(ctx.node, scope),
        findDeliveries(ctx.node.db, event.id, deliveryScope(scope)),
      ])
      return deliveries.map(toDelivery(seen))
    },
  },
  Mutation: {
    resendWebhookEvent: rowMutation<ResendEventInput, unknown>('resendWebhookEvent', async (ctx, input) => {
      const eventId = parseId(input.id, 'id')
      const scope = deliveryScope(anyOrOwn(ctx))
      await resendEvent(ctx.node.db, scope, { eventId, now: ctx.node.clock.now() })
      const event = await findEvent(ctx.node.db, { id: eventId })
      return { webhookEvent: event && toEvent(event) }
    }),
    resendWebhookEvents: rowMutation<ResendEventsInput, unknown>(
      'resendWebhookEvents',
      async (ctx, input) => {
        const from = parseDate(input.from, 'from')
        const to = parseDate(input.to, 'to')
        if (from > to) throw new InvalidInput('from must not be after to')
        const scope = deliveryScope(listScope(ctx, input.tenantId))
        const type = input.type == null ? {} : { type: input.type }
        return toResent(
          await resendEvents(ctx.node.db, scope, { from, to, ...type, now: ctx.node.clock.now() }),
        )
      },
    ),
    resendDeadWebhookEvents: rowMutation<ResendDeadEventsInput, unknown>(
      'resendDeadWebhookEvents',
      async (ctx, input) => {
        const scope = deliveryScope(listScope(ctx, input.tenantId))
        return toResent(await resendDeadEvents(ctx.node.db, scope, { now: ctx.node.clock.now() }))
      },
    ),
    // The answer is stored for repeats, so it does not say the secret: the caller brings it, and has it.
    setWebhookSecret: rowMutation<SetSecretInput, unknown>('setWebhookSecret', async (ctx, input) => {
      const { secret } = input
      const overlapSeconds = parseOverlap(input.overlapSeconds)
      const tenantId = await toTargetTenant(ctx, input.tenantId)
      const { previousUntil } = await setWebhookSecret(ctx.node, tenantId, { secret, overlapSeconds })
      return { previousValidUntil: previousUntil?.toISOString() }
    }),
  },
}
