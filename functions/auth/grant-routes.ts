import type { FastifyRequest } from 'fastify'
import { isUuid } from '../../shared/platform/index.ts'
import { parseAccess } from './access/index.ts'
import { checkSignatureShape, getClientName, parseClient, proveClient } from './clients/index.ts'
import type { AuthContext } from './context.ts'
import { AuthRefusal } from './errors.ts'
import { cancelGrant, continueGrant, decideGrant, type GrantRequest, giveGrant } from './grants/index.ts'
import { requestConsent } from './interactions/index.ts'
import { presentedToken } from './presented-token.ts'
import type { AuthRoute } from './route.ts'
import { findTenant } from './tenants/index.ts'

/** What the specification's schema lets through. */
interface GrantBody {
  client: unknown
  access_token?: { access: Parameters<typeof parseAccess>[0] }
  subject?: NonNullable<GrantRequest['subject']>
  interact?: NonNullable<GrantRequest['interact']>
}

function parseGrantRequest(body: GrantBody): GrantRequest {
  return {
    client: parseClient(body.client),
    access: parseAccess(body.access_token?.access ?? []),
    ...(body.subject !== undefined && { subject: body.subject }),
    ...(body.interact !== undefined && { interact: body.interact }),
  }
}

/** At once, or an invitation to ask somebody. */
async function answerGrant(ctx: AuthContext, tenant: { id: string; hasIdp: boolean }, request: GrantRequest) {
  const decision = decideGrant(request, ctx.policy, tenant.hasIdp)
  if (decision.kind === 'approved') return giveGrant(ctx, tenant.id, request)
  const { walletAddress: uri, finish } = decision
  const name = await getClientName(ctx.http, uri)
  return requestConsent(ctx, tenant.id, request, { name, uri, finish })
}

/** What costs nothing comes before the look-up of the tenant, and that before anything is fetched from wherever the client says. */
export const postGrant: AuthRoute = {
  operation: { method: 'POST', path: '/' },
  url: '/:tenantId',
  async answer(ctx, request) {
    const { tenantId } = request.params as { tenantId: string }
    checkSignatureShape(request.headers)
    const body = parseGrantRequest(request.body as GrantBody)
    const tenant = isUuid(tenantId) ? await findTenant(ctx, tenantId) : undefined
    if (!tenant) throw new AuthRefusal('tenant_unknown')
    await proveClient(ctx, request, body.client)
    return { status: 200, body: await answerGrant(ctx, tenant, body) }
  },
}

function continuationOf(request: FastifyRequest): { continueId: string; continueToken: string } {
  const { id } = request.params as { id: string }
  checkSignatureShape(request.headers)
  return { continueId: id, continueToken: presentedToken(request) }
}

export const postContinue: AuthRoute = {
  operation: { method: 'POST', path: '/continue/{id}' },
  url: '/continue/:id',
  async answer(ctx, request) {
    const key = continuationOf(request)
    const body = (request.body ?? {}) as Record<string, unknown>
    const answer = await continueGrant(ctx, key, body, (client) => proveClient(ctx, request, client))
    return { status: 200, body: answer }
  },
}

export const deleteGrant: AuthRoute = {
  operation: { method: 'DELETE', path: '/continue/{id}' },
  url: '/continue/:id',
  async answer(ctx, request) {
    const key = continuationOf(request)
    await cancelGrant(ctx, key, (client) => proveClient(ctx, request, client))
    return { status: 204 }
  },
}
