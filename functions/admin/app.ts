import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { buildSchema, type GraphQLSchema } from 'graphql'
import { createHttpApp, type Logger, sql } from '../../shared/platform/index.ts'
import { findTenant } from '../../shared/tenants/index.ts'
import type { AdminContext } from './context.ts'
import { createGraphql } from './graphql.ts'
import { addResolvers } from './resolvers/index.ts'
import type { RequestContext } from './resolvers/resolver.ts'
import { defineScalars } from './scalars.ts'
import { authenticate, claimSignature } from './signature.ts'

/** The schema file with its behaviour; throws when a resolver has no field or a scalar no meaning. */
export function buildAdminSchema(): GraphQLSchema {
  const schema = buildSchema(readFileSync(new URL('schema.graphql', import.meta.url), 'utf8'), {
    noLocation: true,
  })
  defineScalars(schema)
  addResolvers(schema)
  return schema
}

export interface AdminAppOptions {
  log: Logger
  trustProxy: boolean
  introspection: boolean
  /** Allowed CORS origins; none by default: this listener is private. */
  corsOrigins: readonly string[]
  signature: { version: number; ttlSeconds: number }
}

const GRAPHQL_PATH = '/graphql'

/**
 * The Admin GraphQL listener. Order: body, path, signature, GraphQL (contracts/admin/admin-api.md §1). GraphQL over GET is
 * refused, because the signature covers a body only.
 */
export async function buildAdminApp(node: AdminContext, options: AdminAppOptions): Promise<FastifyInstance> {
  const app = await createHttpApp({
    log: options.log,
    trustProxy: options.trustProxy,
    ready: async () => {
      await node.db.execute(sql`select 1`)
    },
  })
  const graphql = createGraphql<RequestContext>({
    schema: buildAdminSchema(),
    introspection: options.introspection,
    log: options.log,
  })
  const signatureContext = {
    db: node.db,
    clock: node.clock,
    findTenant: (id: string) => findTenant(node, id),
    settings: {
      operatorTenantId: node.settings.operatorTenantId,
      adminApiSecret: node.settings.adminApiSecret,
      signatureVersion: options.signature.version,
      signatureTtlSeconds: options.signature.ttlSeconds,
    },
  }

  if (options.corsOrigins.length > 0) {
    const { default: cors } = await import('@fastify/cors')
    await app.register(cors, { origin: [...options.corsOrigins] })
  }

  app.post(GRAPHQL_PATH, async (request, reply) => {
    const caller = await authenticate(signatureContext, {
      tenantId: request.headers['tenant-id'],
      signature: request.headers.signature,
      body: request.body ?? {},
    })
    if (!caller) return reply.status(401).type('text/plain').send('Unauthorized')
    if (typeof request.body !== 'object' || request.body === null || Array.isArray(request.body))
      return reply.status(400).send({
        errors: [{ message: 'the body must be one GraphQL request', extensions: { code: 'BAD_REQUEST' } }],
      })
    const answer = await graphql(
      { headers: { ...request.headers, accept: 'application/json' }, body: request.body },
      { node, caller: { tenantId: caller.tenantId, isOperator: caller.isOperator } },
      () => claimSignature(signatureContext, caller),
    )
    return reply.status(answer.status).type(answer.contentType).send(answer.body)
  })

  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) options.log.error({ err: error }, 'admin request failed')
    const code = status >= 500 ? 'INTERNAL_SERVER_ERROR' : 'BAD_REQUEST'
    const message = status >= 500 ? 'internal server error' : error.message
    return reply.status(status).send({ errors: [{ message, extensions: { code } }] })
  })
  return app
}
