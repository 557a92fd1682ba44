import {
  awaitIncomingPaymentApproval,
  completeIncomingPayment,
  createIncomingPayment,
  findIncomingPayment,
  type IncomingPayment,
  listIncomingPayments,
  paymentMethodsOf,
} from '../../shared/incoming-payments/index.ts'
import { parseAmount, type WireAmount } from '../../shared/money/index.ts'
import { isUuid } from '../../shared/platform/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { RouteRefusal } from './errors.ts'
import { type PageQuery, readPage, toPage } from './pages.ts'
import {
  type CheckedRequest,
  created,
  ok,
  type ProvenRequest,
  resourceOfPath,
  route,
  walletAddressOfBody,
  walletAddressOfQuery,
} from './route.ts'
import { toIncomingPayment, toIncomingPaymentWithMethods, toPublicIncomingPayment } from './wire.ts'

/** As the specification admitted it. */
interface CreateBody {
  incomingAmount?: WireAmount
  expiresAt?: string
  metadata?: Record<string, unknown>
}

const incomingPaymentOfPath = (ctx: OpenPaymentsContext, request: CheckedRequest) =>
  resourceOfPath(request, async (id) =>
    isUuid(id) ? findIncomingPayment(ctx, { tenantId: request.tenantId }, id) : undefined,
  )

/** `read` sees what its own client created, and says of anything else that it does not exist. */
function visible(request: ProvenRequest<IncomingPayment>): IncomingPayment {
  const { resource, grant, client } = request
  if (!grant.seesAll && resource.client !== client) throw new RouteRefusal('incoming_payment_not_found')
  return resource
}

export const postIncomingPayment = route(
  'POST /incoming-payments',
  { access: ['incoming-payment', 'create'], subject: walletAddressOfBody },
  async (ctx, request) => {
    const { incomingAmount, expiresAt, metadata } = request.body as CreateBody
    const payment = await createIncomingPayment(ctx, {
      tenantId: request.tenantId,
      walletAddress: request.walletAddress,
      ...(incomingAmount && { incomingAmount: parseAmount(incomingAmount) }),
      ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
      ...(metadata && { metadata }),
      client: request.client,
      initiatedBy: 'OPEN_PAYMENTS',
    })
    await awaitIncomingPaymentApproval(ctx, payment)
    return created(toIncomingPaymentWithMethods(ctx.urls, payment, await paymentMethodsOf(ctx, payment)))
  },
)

export const getIncomingPayment = route(
  'GET /incoming-payments/{id}',
  {
    access: ['incoming-payment', 'read'],
    subject: incomingPaymentOfPath,
    anonymous: (ctx, { resource }) => ok(toPublicIncomingPayment(ctx.urls, resource)),
  },
  async (ctx, request) => {
    const payment = visible(request)
    return ok(toIncomingPaymentWithMethods(ctx.urls, payment, await paymentMethodsOf(ctx, payment)))
  },
)

export const postIncomingPaymentComplete = route(
  'POST /incoming-payments/{id}/complete',
  { access: ['incoming-payment', 'complete'], subject: incomingPaymentOfPath },
  async (ctx, request) => {
    // Everybody who may pay knows the id, so the id alone must not let a stranger close the payment.
    const { id, tenantId } = visible(request)
    return ok(toIncomingPayment(ctx.urls, await completeIncomingPayment(ctx, { tenantId }, id)))
  },
)

export const getIncomingPayments = route(
  'GET /incoming-payments',
  { access: ['incoming-payment', 'list'], subject: walletAddressOfQuery },
  async (ctx, request) => {
    const { tenantId, walletAddress, client, grant } = request
    const page = await readPage(request.query as PageQuery, (asked) =>
      listIncomingPayments(
        ctx,
        { tenantId },
        { walletAddressId: walletAddress.id, ...(!grant.seesAll && { client }) },
        asked,
      ),
    )
    return ok(toPage(page, (payment) => toIncomingPayment(ctx.urls, payment)))
  },
)
