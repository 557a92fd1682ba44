import type { FastifyRequest } from 'fastify'
import { isUuid } from '../../shared/platform/index.ts'
import { parseAccess } from './access/index.ts'
import { checkSignatureShape, parseClient, proveClient } from './clients/index.ts'
import { AuthRefusal } from './errors.ts'
import { cancelGrant, continueGrant, type GrantRequest, requestGrant } from './grants/index.ts'
import { presentedToken } from './presented-token.ts'
import type { AuthRoute } from './route.ts'
import { isTenant } from './tenants/index.ts'

/** What the specification's schema lets through. */
interface GrantBody {
  client: unknown
  access_token?: { access: Parameters<typeof parseAccess>[0] }
  subject?: NonNullable<GrantRequest['subject']>
  interact?: unknown
}

function parseGrantRequest(body: GrantBody): GrantRequest {
  return {
    client: parseClient(body.client),
    access: parseAccess(body.access_token?.access ?? []),
    ...(body.subject !== undefined && { subject: body.subject }),
    ...(body.interact !== undefined && { interact: body.interact }),
  }
}

/** What costs nothing comes before the look-up of the tenant, and that before keys are fetched from wherever the client says. */
export const postGrant: AuthRoute = {
  operation: { method: 'POST', path: '/' },
  url: '/:tenantId',
  async answer(ctx, request) {
    const { tenantId } = request.params as { tenantId: string }
    checkSignatureShape(request.headers)
    const body = parseGrantRequest(request.body as GrantBody)
    if (!isUuid(tenantId) || !(await isTenant(ctx, tenantId))) throw new AuthRefusal('tenant_unknown')
    await proveClient(ctx, request, body.client)
    return { status: 200, body: await requestGrant(ctx, tenantId.toLowerCase(), body) }
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
