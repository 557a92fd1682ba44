import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import { createHttpApp, isObject, type Logger } from '../platform/index.ts'
import type { Caller } from './caller.ts'
import { createGraphql } from './graphql.ts'
import type { RenderError } from './render-error.ts'
import { authenticate, type SignatureTerms } from './signature.ts'

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
  renderError: RenderError
  /** What resolvers get, made anew for each request. */
  contextOf: (caller: Caller) => Context
}

const GRAPHQL_PATH = '/graphql'

const badRequest = (message: string) => ({ errors: [{ message, extensions: { code: 'BAD_REQUEST' } }] })

/** 413 says what to do about it; every other unreadable request is 400 (admin-api.md §1). */
const statusOf = (error: { statusCode?: number }): number => {
  const status = error.statusCode ?? 500
  return status >= 400 && status < 500 && status !== 413 ? 400 : status
}

/**
 * A listener for signed GraphQL. Order: body, path, signature, GraphQL (contracts/admin/admin-api.md §1). GraphQL over GET does
 * not exist, because the signature covers a body only; nor do batches.
 */
export async function buildGraphqlApp<Context>(
  options: GraphqlAppOptions<Context>,
): Promise<FastifyInstance> {
  const { log, trustProxy, ready, signature, corsOrigins = [] } = options
  const app = await createHttpApp({ log, trustProxy, ready })
  const graphql = createGraphql<Context>(options)

  if (corsOrigins.length > 0) {
    const { default: cors } = await import('@fastify/cors')
    await app.register(cors, { origin: [...corsOrigins] })
  }

  app.post(GRAPHQL_PATH, async (request, reply) => {
    const proven = await authenticate(signature, {
      tenantId: request.headers['tenant-id'],
      signature: request.headers.signature,
      body: request.body ?? {},
    })
    if (!proven) return reply.status(401).type('text/plain').send('Unauthorized')
    if (!isObject(request.body))
      return reply.status(400).send(badRequest('the body must be one GraphQL request'))
    const answer = await graphql(
      request.body,
      options.contextOf({ tenantId: proven.tenantId, isOperator: proven.isOperator }),
      // Only proven signatures are noted, so nobody fills the table, and only of mutations: repeating a query is harmless.
      () => signature.claim({ digest: proven.digest, expiresAt: proven.expiresAt }),
    )
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
