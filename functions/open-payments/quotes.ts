import { parseAmount, type WireAmount } from '../../shared/money/index.ts'
import { isUuid } from '../../shared/platform/index.ts'
import { createQuote, findQuote } from '../../shared/quotes/index.ts'
import { RouteRefusal } from './errors.ts'
import { created, ok, resourceOfPath, route, walletAddressOfBody } from './route.ts'
import { toQuote } from './wire.ts'

/** As the specification admitted it: at most one of the amounts. */
interface CreateBody {
  receiver: string
  debitAmount?: WireAmount
  receiveAmount?: WireAmount
}

export const postQuote = route(
  'POST /quotes',
  { access: ['quote', 'create'], subject: walletAddressOfBody },
  async (ctx, request) => {
    const { receiver, debitAmount, receiveAmount } = request.body as CreateBody
    const quote = await createQuote(ctx, {
      tenantId: request.tenantId,
      walletAddressId: request.walletAddress.id,
      receiver,
      ...(debitAmount && { debitAmount: parseAmount(debitAmount) }),
      ...(receiveAmount && { receiveAmount: parseAmount(receiveAmount) }),
      client: request.client,
    })
    return created(toQuote(ctx.urls, quote))
  },
)

export const getQuote = route(
  'GET /quotes/{id}',
  {
    access: ['quote', 'read'],
    subject: (ctx, request) =>
      resourceOfPath(request, async (id) =>
        isUuid(id) ? findQuote(ctx, { tenantId: request.tenantId }, id) : undefined,
      ),
  },
  async (ctx, request) => {
    const { resource, grant, client } = request
    if (!grant.seesAll && resource.client !== client) throw new RouteRefusal('quote_not_found')
    return ok(toQuote(ctx.urls, resource))
  },
)
