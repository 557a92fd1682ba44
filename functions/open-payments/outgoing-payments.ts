import { type Amount, parseAmount, type WireAmount } from '../../shared/money/index.ts'
import {
  createOutgoingPayment,
  createOutgoingPaymentFromIncomingPayment,
  findOutgoingPayment,
  listOutgoingPayments,
  type OutgoingPayment,
} from '../../shared/outgoing-payments/index.ts'
import { isUuid } from '../../shared/platform/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { AccessRefusal, RouteRefusal } from './errors.ts'
import { type PageQuery, readPage, toPage } from './pages.ts'
import {
  created,
  ok,
  type ProvenRequest,
  resourceOfPath,
  route,
  walletAddressOfBody,
  walletAddressOfQuery,
} from './route.ts'
import { toCreatedOutgoingPayment, toOutgoingPayment } from './wire.ts'

/** As the specification admitted it: one of the two. */
type CreateBody = { metadata?: Record<string, unknown> } & (
  | { quoteId: string; incomingPayment?: never }
  | { incomingPayment: string; debitAmount: WireAmount }
)

/** The last segment of the quote's URL; the host is not looked at, the tenant and the wallet address are. */
function quoteIdOf(url: string): string {
  const id = url.split(/[?#]/, 1)[0]?.split('/').at(-1)?.toLowerCase()
  if (!isUuid(id)) throw new RouteRefusal('quote_not_found')
  return id
}

/**
 * A grant with limits needs its spending counted, and nothing here counts: such a grant is refused, whatever the limits say.
 * One without limits has none to keep.
 */
function refuseLimits(request: ProvenRequest<undefined>): void {
  if (request.grant.limits !== undefined) throw new AccessRefusal('insufficient_grant')
}

async function createPayment(
  ctx: OpenPaymentsContext,
  request: ProvenRequest<undefined>,
): Promise<OutgoingPayment> {
  const body = request.body as CreateBody
  const common = {
    tenantId: request.tenantId,
    walletAddressId: request.walletAddress.id,
    ...(body.metadata && { metadata: body.metadata }),
    client: request.client,
    grantId: request.grant.id,
    initiatedBy: 'OPEN_PAYMENTS' as const,
  }
  if (body.incomingPayment === undefined)
    return createOutgoingPayment(ctx, { ...common, quoteId: quoteIdOf(body.quoteId) })
  return createOutgoingPaymentFromIncomingPayment(ctx, {
    ...common,
    incomingPayment: body.incomingPayment,
    debitAmount: parseAmount(body.debitAmount),
  })
}

export const postOutgoingPayment = route(
  'POST /outgoing-payments',
  { access: ['outgoing-payment', 'create'], subject: walletAddressOfBody },
  async (ctx, request) => {
    refuseLimits(request)
    const payment = await createPayment(ctx, request)
    const none = (amount: Amount): Amount => ({ ...amount, value: 0n })
    // Without limits there is no account of what was spent, and the contract says zero.
    const spent = { debitAmount: none(payment.debitAmount), receiveAmount: none(payment.receiveAmount) }
    return created(toCreatedOutgoingPayment(ctx.urls, payment, spent))
  },
)

export const getOutgoingPayment = route(
  'GET /outgoing-payments/{id}',
  {
    access: ['outgoing-payment', 'read'],
    subject: (ctx, request) =>
      resourceOfPath(request, async (id) =>
        isUuid(id) ? findOutgoingPayment(ctx, { tenantId: request.tenantId }, id) : undefined,
      ),
  },
  async (ctx, request) => {
    const { resource, grant, client } = request
    if (!grant.seesAll && resource.client !== client) throw new RouteRefusal('outgoing_payment_not_found')
    return ok(toOutgoingPayment(ctx.urls, resource))
  },
)

export const getOutgoingPayments = route(
  'GET /outgoing-payments',
  { access: ['outgoing-payment', 'list'], subject: walletAddressOfQuery },
  async (ctx, request) => {
    const { tenantId, walletAddress, client, grant } = request
    const page = await readPage(request.query as PageQuery, (asked) =>
      listOutgoingPayments(
        ctx,
        { tenantId },
        { walletAddressId: [walletAddress.id], ...(!grant.seesAll && { client }) },
        asked,
      ),
    )
    return ok(toPage(page, (payment) => toOutgoingPayment(ctx.urls, payment)))
  },
)
