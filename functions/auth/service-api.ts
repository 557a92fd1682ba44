import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  AUTH_SERVICE_SIGNATURE_VERSION,
  AUTH_SERVICE_WINDOW_MS,
} from '../../shared/auth-service-client/index.ts'
import {
  createHttpApp,
  isObject,
  isUuid,
  parseHmacSignature,
  verifyHmacDigest,
} from '../../shared/platform/index.ts'
import type { AuthContext } from './context.ts'
import { answerErrorAsText } from './error-answer.ts'
import {
  createTenant,
  deleteTenant,
  forgetTenant,
  type PreviousApiSecret,
  type TenantChange,
  updateTenant,
} from './tenants/index.ts'

/** HMAC over method, path and body, each good once: no call can be sent again, or somewhere else. */
async function isFromNode(ctx: AuthContext, request: FastifyRequest): Promise<boolean> {
  const signature = parseHmacSignature(request.headers.signature)
  if (signature?.version !== AUTH_SERVICE_SIGNATURE_VERSION) return false
  if (Math.abs(ctx.clock.nowMs() - signature.timestampMs) > AUTH_SERVICE_WINDOW_MS) return false
  const body = { method: request.method, path: request.raw.url ?? '', body: request.body ?? null }
  if (!ctx.serviceApiSecrets.some((secret) => verifyHmacDigest(signature, { secret, body }))) return false
  const expiresAt = new Date(signature.timestampMs + AUTH_SERVICE_WINDOW_MS + 1)
  return await ctx.signatures.nonces.claim(`service-api:${hash('sha256', signature.digest)}`, expiresAt)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isTextOrNothing = (value: unknown) => value === undefined || value === null || isText(value)

/** Where a browser can be sent. */
const isPage = (url: string) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

/** Null: there is none. */
function parsePrevious(value: unknown): PreviousApiSecret | null | undefined {
  if (value === null) return null
  if (!isObject(value) || !isText(value.secret) || !isText(value.until)) return undefined
  const until = new Date(value.until)
  return Number.isNaN(until.getTime()) ? undefined : { secret: value.secret, until }
}

/** Members of a tenant that the node may send; `undefined` when one is not what it should be. */
function parseTenantChange(body: unknown): TenantChange | undefined {
  if (!isObject(body)) return undefined
  const { apiSecret, previousApiSecret, idpConsentUrl, idpSecret } = body
  if (apiSecret !== undefined && !isText(apiSecret)) return undefined
  const previous = parsePrevious(previousApiSecret)
  if (previous === undefined && previousApiSecret !== undefined) return undefined
  if (!isTextOrNothing(idpConsentUrl) || !isTextOrNothing(idpSecret)) return undefined
  if (isText(idpConsentUrl) && !isPage(idpConsentUrl)) return undefined
  return {
    ...(apiSecret !== undefined && { apiSecret }),
    ...(previous !== undefined && { previousApiSecret: previous }),
    ...(idpConsentUrl !== undefined && { idpConsentUrl: idpConsentUrl as string | null }),
    ...(idpSecret !== undefined && { idpSecret: idpSecret as string | null }),
  }
}

const done = (reply: FastifyReply) => reply.status(204).send()
const badRequest = (reply: FastifyReply) => reply.status(400).type('text/plain').send('Bad Request')

/** Tenants as the node mirrors them here (contracts/open-payments/routes.md §6). */
export async function buildServiceApiApp(ctx: AuthContext): Promise<FastifyInstance> {
  const app = await createHttpApp({ log: ctx.log, believesCallers: true, ready: () => ctx.ready() })
  app.setErrorHandler((error, _request, reply) => answerErrorAsText(ctx.log, error, reply))
  // On each route, not by path: paths have many spellings.
  const signed = {
    preHandler: async (request: FastifyRequest, reply: FastifyReply) => {
      if (!(await isFromNode(ctx, request))) return reply.status(401).type('text/plain').send('Unauthorized')
    },
  }

  app.post('/tenant', signed, async (request, reply) => {
    const { id } = (request.body ?? {}) as { id?: unknown }
    const change = parseTenantChange(request.body)
    if (!isUuid(id) || change?.apiSecret === undefined) return badRequest(reply)
    const isCreated = await createTenant(ctx, {
      ...change,
      id: id.toLowerCase(),
      apiSecret: change.apiSecret,
    })
    return isCreated ? done(reply) : reply.callNotFound()
  })
  app.patch('/tenant/:id', signed, async (request, reply) => {
    const { id } = request.params as { id: string }
    const change = parseTenantChange(request.body)
    if (!change) return badRequest(reply)
    const isUpdated = isUuid(id) && (await updateTenant(ctx, id.toLowerCase(), change))
    return isUpdated ? done(reply) : reply.callNotFound()
  })
  app.delete('/tenant/:id', signed, async (request, reply) => {
    const { id } = request.params as { id: string }
    const { deletedAt, forget } = (request.body ?? {}) as { deletedAt?: unknown; forget?: unknown }
    const at = new Date(isText(deletedAt) ? deletedAt : Number.NaN)
    if (Number.isNaN(at.getTime())) return badRequest(reply)
    const remove = forget === true ? forgetTenant : deleteTenant
    const isDeleted = isUuid(id) && (await remove(ctx, id.toLowerCase(), at))
    return isDeleted ? done(reply) : reply.callNotFound()
  })
  return app
}
