import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import {
  buildGraphqlApp,
  buildServedSchema,
  observeGraphql,
  readSchema,
  type SignatureTerms,
} from '../../../shared/graphql-server/index.ts'
import type { AuthContext } from '../context.ts'
import { findApiSecrets } from '../tenants/index.ts'
import { createAdminErrors } from './errors.ts'
import { type RequestContext, resolvers } from './resolvers.ts'

/** The schema file with its behaviour; throws when a resolver has no field or a scalar no meaning. */
export const buildAdminSchema = (): GraphQLSchema =>
  buildServedSchema(readSchema(new URL('schema.graphql', import.meta.url)), [resolvers])

export interface AdminAppOptions {
  /** Whether callers may read the schema. */
  introspection: boolean
  signature: Pick<SignatureTerms, 'operator' | 'version' | 'ttlSeconds'>
}

/** The Admin GraphQL listener of the authorization server (contracts/admin/admin-api.md §8). No CORS: no browser calls it. */
export const buildAdminApp = (
  ctx: Pick<AuthContext, 'clock' | 'db' | 'log' | 'ready' | 'secretBox' | 'telemetry' | 'trustProxy'> & {
    signatures: Pick<AuthContext['signatures'], 'nonces'>
  },
  options: AdminAppOptions,
): Promise<FastifyInstance> =>
  buildGraphqlApp<RequestContext>({
    log: ctx.log,
    trustProxy: ctx.trustProxy,
    ready: () => ctx.ready(),
    schema: buildAdminSchema(),
    introspection: options.introspection,
    renderError: createAdminErrors(ctx.log),
    observeOperation: observeGraphql(ctx.telemetry),
    signature: {
      ...options.signature,
      clock: ctx.clock,
      findApiSecrets: (id) => findApiSecrets(ctx, id),
      claim: ({ digest, expiresAt }) =>
        ctx.signatures.nonces.claim(`admin-api:${digest.toString('hex')}`, expiresAt),
    },
    contextOf: (caller) => ({ db: ctx.db, clock: ctx.clock, caller }),
  })
