import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { createHttpApp, isObject, type Logger } from '../platform/index.ts'
import type { Caller } from './caller.ts'
import { createGraphql } from './graphql.ts'
import type { ObserveOperation } from './observe-graphql.ts'
import type { RenderError } from './render-error.ts'
import { authenticate, type SignatureTerms, type UsedSignature } from './signature.ts'

export interface GraphqlAppOptions<Context> {
  log: Logger
  trustProxy: boolean
  /** Throws when a dependency is away. */
  ready: () => Promise<void>
  schema: GraphQLSchema
  /** Whether callers may read the schema. */
  introspection: boolean
  /** Allowed CORS origins; none by default: these listeners are private. */
  corsOrigins?: readonly string[]
  signature: SignatureTerms
  /** Takes bearer keys from those who do not sign. Absent: signatures only. */
  findTenantByApiKey?: (key: string) => Promise<string | undefined>
  renderError: RenderError
  observeOperation?: ObserveOperation
  /** What resolvers get, made anew for each request. `signature`: for resolvers that use it themselves, where it is unused yet. */
  contextOf: (caller: Caller, signature?: UsedSignature) => Context
}

const GRAPHQL_PATH = '/graphql'

const badRequest = (message: string) => ({ errors: [{ message, extensions: { code: 'BAD_REQUEST' } }] })

/** 413 says what to do about it; every other unreadable request is 400 (admin-api.md §1). */
const statusOf = (error: { statusCode?: number }): number => {
  const status = error.statusCode ?? 500
  return status >= 400 && status < 500 && status !== 413 ? 400 : status
}

const callerOf = ({ tenantId, isOperator }: Caller & UsedSignature): Caller => ({ tenantId, isOperator })

const BEARER = /^Bearer +([A-Za-z0-9_~+./=-]{1,200})$/i

/** The caller of a request that bears a key, and no signature. A `tenant-id` that is there must be the key's. */
async function callerByApiKey<Context>(
  options: GraphqlAppOptions<Context>,
  headers: FastifyRequest['headers'],
): Promise<Caller | undefined> {
  const [, key] = BEARER.exec(headers.authorization ?? '') ?? []
  if (key === undefined || headers.signature !== undefined) return undefined
  const tenantId = await options.findTenantByApiKey?.(key)
  const named = headers['tenant-id']
  if (tenantId === undefined || (named !== undefined && String(named).toLowerCase() !== tenantId))
    return undefined
  return { tenantId, isOperator: tenantId === options.signature.operator.tenantId, hasApiKey: true }
}

/**
 * A listener for signed GraphQL, or with bearer keys. Order: body, path, signature or key, GraphQL
 * (contracts/admin/admin-api.md §1). GraphQL over GET does not exist, because the signature covers a body only; nor do batches.
 */
export async function buildGraphqlApp<Context>(
  options: GraphqlAppOptions<Context>,
): Promise<FastifyInstance> {
  const { log, trustProxy, ready, signature, corsOrigins = [] } = options
  const app = await createHttpApp({ log, trustProxy, believesCallers: true, ready })
  const graphql = createGraphql<Context>(options)

  if (corsOrigins.length > 0) {
    const { default: cors } = await import('@fastify/cors')
    await app.register(cors, { origin: [...corsOrigins] })
  }

  app.post(GRAPHQL_PATH, async (request, reply) => {
    const signed = await authenticate(signature, {
      tenantId: request.headers['tenant-id'],
      signature: request.headers.signature,
      body: request.body ?? {},
    })
    const caller = signed ? callerOf(signed) : await callerByApiKey(options, request.headers)
    if (!caller) return reply.status(401).type('text/plain').send('Unauthorized')
    if (!isObject(request.body))
      return reply.status(400).send(badRequest('the body must be one GraphQL request'))
    const answer = await graphql(request.body, {
      contextOf: (unused) => options.contextOf(caller, unused),
      // Only proven signatures are noted, so nobody fills the table, and only of mutations: repeating a query is harmless. A key
      // may be used again: who could repeat its request could as well make another.
      ...(signed && { signature: { digest: signed.digest, expiresAt: signed.expiresAt } }),
      claim: signature.claim,
    })
    return reply.status(answer.status).type(answer.contentType).send(answer.body)
  })

  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = statusOf(error)
    if (status < 500) return reply.status(status).send(badRequest(error.message))
    log.error({ err: error }, 'request failed')
    return reply.status(status).send({
      errors: [{ message: 'internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
    })
  })
  return app
}
