import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RequestInvalid } from '../../shared/openapi/index.ts'
import { createHttpApp } from '../../shared/platform/index.ts'
import type { AuthContext } from './context.ts'
import { answerError } from './error-answer.ts'
import { AuthRefusal, type AuthRefusalCode } from './errors.ts'
import { chooseInteraction, getInteractionDetails } from './interactions/index.ts'
import { listTenantsOfIdp } from './tenants/index.ts'

interface Key {
  id: string
  nonce: string
}

/** Before anything is looked up: who has no tenant's secret learns nothing. */
async function tenantsOf(
  ctx: AuthContext,
  request: FastifyRequest,
  refusal: AuthRefusalCode,
): Promise<string[]> {
  const secret = request.headers['x-idp-secret']
  const tenantIds = typeof secret === 'string' ? await listTenantsOfIdp(ctx, secret) : []
  if (tenantIds.length === 0) throw new AuthRefusal(refusal)
  return tenantIds
}

/** For the identity providers of tenants, each seeing the grants of its own (contracts/open-payments/gnap.md §5). */
export async function buildInteractionApp(ctx: AuthContext): Promise<FastifyInstance> {
  const app = await createHttpApp({
    log: ctx.log,
    cors: true,
    takesAnyMediaType: true,
    ready: () => ctx.ready(),
  })
  app.setErrorHandler((error, _request, reply) => answerError(ctx.log, error, reply))
  app.addHook('onRequest', async (_request: FastifyRequest, reply: FastifyReply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/grant/:id/:nonce', async (request) => {
    const tenantIds = await tenantsOf(ctx, request, 'details_secret_invalid')
    const details = await getInteractionDetails(ctx, request.params as Key, tenantIds)
    const { grantId, access, subject, state, client, finish } = details
    return {
      grantId,
      access,
      ...(subject && { subject }),
      state,
      // Ours: who asks, and where the person's browser goes from here. The client's nonce is between it and us.
      client,
      ...(finish && { finish: { uri: finish.uri } }),
    }
  })

  app.post('/grant/:id/:nonce/:choice', async (request, reply) => {
    const { choice, ...key } = request.params as Key & { choice: string }
    if (choice !== 'accept' && choice !== 'reject')
      throw new RequestInvalid(400, 'path.choice must be equal to one of the allowed values')
    const tenantIds = await tenantsOf(ctx, request, 'choice_secret_invalid')
    await chooseInteraction(ctx, key, tenantIds, choice)
    return reply.status(202).type('text/plain').send('Accepted')
  })
  return app
}
