import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serveApiDocument } from '../../shared/openapi/index.ts'
import { createHttpApp, isUuid } from '../../shared/platform/index.ts'
import { openPaymentsDocument } from './api-documents.ts'
import type { OpenPaymentsContext } from './context.ts'
import { renderError } from './error-answer.ts'
import {
  getIncomingPayment,
  getIncomingPayments,
  postIncomingPayment,
  postIncomingPaymentComplete,
} from './incoming-payments.ts'
import { getOutgoingPaymentGrant } from './outgoing-payment-grant.ts'
import { getOutgoingPayment, getOutgoingPayments, postOutgoingPayment } from './outgoing-payments.ts'
import { getQuote, postQuote } from './quotes.ts'
import type { Route } from './route.ts'
import { answerWalletAddress } from './wallet-addresses.ts'

/** Everything below a tenant. */
export const routes: readonly Route[] = [
  postIncomingPayment,
  getIncomingPayments,
  getIncomingPayment,
  postIncomingPaymentComplete,
  postQuote,
  getQuote,
  postOutgoingPayment,
  getOutgoingPayments,
  getOutgoingPayment,
  getOutgoingPaymentGrant,
]

/**
 * The public listener: resource server and wallet addresses. Paths without a tenant stand for the operator's, as clients and URLs from
 * before tenants expect; ids that are given out always name the tenant.
 */
export async function buildOpenPaymentsApp(ctx: OpenPaymentsContext): Promise<FastifyInstance> {
  const app = await createHttpApp({
    log: ctx.log,
    trustProxy: ctx.trustProxy,
    cors: true,
    takesAnyMediaType: true,
    ready: () => ctx.ready(),
  })
  app.setErrorHandler((error, request, reply) => renderError(ctx, error, request, reply))

  for (const route of routes) register(app, ctx, route)
  serveApiDocument(app, () => openPaymentsDocument(ctx))
  app.get('/', async (_request, reply) => reply.callNotFound())
  app.get('/*', (request, reply) => answerWalletAddress(ctx, request, reply))
  return app
}

function register(app: FastifyInstance, ctx: OpenPaymentsContext, route: Route): void {
  const { method, path } = route.operation
  const template = path.replace(/\{(\w+)\}/g, ':$1')

  const answerFor = async (request: FastifyRequest, reply: FastifyReply, tenantId: string) => {
    const { status, body } = await route.answer(ctx, request, tenantId)
    if (ctx.validatesResponses)
      await ctx.validators.resource.validateResponse(route.operation, { status, body })
    return reply.status(status).send(body)
  }

  app.route({
    method,
    url: `/:tenantId${template}`,
    handler: async (request, reply) => {
      const { tenantId } = request.params as { tenantId: string }
      return isUuid(tenantId) ? answerFor(request, reply, tenantId.toLowerCase()) : reply.callNotFound()
    },
  })
  app.route({
    method,
    url: template,
    handler: (request, reply) => answerFor(request, reply, ctx.settings.operatorTenantId),
  })
}
