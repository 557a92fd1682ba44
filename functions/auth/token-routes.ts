import type { FastifyRequest } from 'fastify'
import { checkSignatureShape, proveClient } from './clients/index.ts'
import { presentedToken } from './presented-token.ts'
import type { AuthRoute } from './route.ts'
import { revokeToken, rotateToken, toWireToken } from './tokens/index.ts'

function managedToken(request: FastifyRequest): { id: string; value: string } {
  const { id } = request.params as { id: string }
  checkSignatureShape(request.headers)
  return { id, value: presentedToken(request) }
}

export const postToken: AuthRoute = {
  operation: { method: 'POST', path: '/token/{id}' },
  url: '/token/:id',
  async answer(ctx, request) {
    const key = managedToken(request)
    const { token, access } = await rotateToken(ctx, key, (client) => proveClient(ctx, request, client))
    return { status: 200, body: { access_token: toWireToken(ctx, token, access) } }
  },
}

export const deleteToken: AuthRoute = {
  operation: { method: 'DELETE', path: '/token/{id}' },
  url: '/token/:id',
  async answer(ctx, request) {
    const key = managedToken(request)
    await revokeToken(ctx, key, (client) => proveClient(ctx, request, client))
    return { status: 204 }
  },
}
