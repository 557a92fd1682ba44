import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serveApiDocument } from '../../shared/openapi/index.ts'
import { createHttpApp } from '../../shared/platform/index.ts'
import { authServerDocument } from './api-document.ts'
import type { AuthContext } from './context.ts'
import { answerError } from './error-answer.ts'
import { deleteGrant, postContinue, postGrant } from './grant-routes.ts'
import { registerInteractRoutes } from './interact-routes.ts'
import type { AuthRoute } from './route.ts'
import { deleteToken, postToken } from './token-routes.ts'

export const routes: readonly AuthRoute[] = [postGrant, postContinue, deleteGrant, postToken, deleteToken]

const DISCOVERY = {
  grant_request_endpoint: '/',
  interaction_start_modes_supported: ['redirect'],
  interaction_finish_modes_supported: ['redirect'],
}

/** The public listener: GNAP requests of clients, and browsers that come and go. */
export async function buildAuthApp(ctx: AuthContext): Promise<FastifyInstance> {
  const app = await createHttpApp({
    log: ctx.log,
    trustProxy: ctx.trustProxy,
    cors: true,
    takesAnyMediaType: true,
    ready: () => ctx.ready(),
  })
  app.setErrorHandler((error, _request, reply) => answerError(ctx.log, error, reply))

  // A grant request names its tenant; the router would take nothing for a name.
  app.post('/', async (_request, reply) => reply.callNotFound())
  app.get('/discovery', async () => DISCOVERY)
  serveApiDocument(app, () => authServerDocument(ctx))
  for (const route of routes) register(app, ctx, route)
  await registerInteractRoutes(app, ctx)
  return app
}

function register(app: FastifyInstance, ctx: AuthContext, route: AuthRoute): void {
  app.route({
    method: route.operation.method,
    url: route.url,
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      await ctx.validator.validateRequest(route.operation, request)
      const { status, body } = await route.answer(ctx, request)
      if (ctx.validatesResponses)
        await ctx.validator.validateResponse(route.operation, { status, ...(body && { body }) })
      // Answers carry tokens.
      const headers = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }
      return reply.status(status).headers(headers).send(body)
    },
  })
}
