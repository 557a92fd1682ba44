import { type Amount, parseAmount, type WireAmount } from '../../shared/money/index.ts'
import {
  createGrantedPayment,
  findOutgoingPayment,
  type GrantedPayment,
  type GrantSpent,
  listOutgoingPayments,
  type Grant as SpendableGrant,
} from '../../shared/outgoing-payments/index.ts'
import { isUuid } from '../../shared/platform/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { RouteRefusal } from './errors.ts'
import { spendableGrant } from './grant.ts'
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

/** Throws GrantLimitsRefusal and OutgoingPaymentRefusal `outside_grant` where the grant's limits do not allow it. */
function createPayment(
  ctx: OpenPaymentsContext,
  request: ProvenRequest<undefined>,
  grant: SpendableGrant,
): Promise<GrantedPayment> {
  const body = request.body as CreateBody
  const source =
    body.incomingPayment === undefined
      ? { quoteId: quoteIdOf(body.quoteId) }
      : { incomingPayment: body.incomingPayment, debitAmount: parseAmount(body.debitAmount) }
  return createGrantedPayment(ctx, {
    ...source,
    grant,
    tenantId: request.tenantId,
    walletAddressId: request.walletAddress.id,
    ...(body.metadata && { metadata: body.metadata }),
    client: request.client,
    initiatedBy: 'OPEN_PAYMENTS',
  })
}

const nothing = (amount: Amount): Amount => ({ ...amount, value: 0n })

/** Of a grant whose amounts have no limit the contract says zero (contracts/open-payments/routes.md §1). */
const spentBefore = ({ payment, spent }: GrantedPayment, { limits }: SpendableGrant): GrantSpent =>
  limits?.debitAmount || limits?.receiveAmount
    ? spent
    : { debitAmount: nothing(payment.debitAmount), receiveAmount: nothing(payment.receiveAmount) }

export const postOutgoingPayment = route(
  'POST /outgoing-payments',
  { access: ['outgoing-payment', 'create'], subject: walletAddressOfBody },
  async (ctx, request) => {
    const grant = spendableGrant(request.grant)
    const granted = await createPayment(ctx, request, grant)
    return created(toCreatedOutgoingPayment(ctx.urls, granted.payment, spentBefore(granted, grant)))
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
