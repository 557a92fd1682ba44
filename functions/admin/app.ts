import type { FastifyInstance } from 'fastify'
import type { GraphQLSchema } from 'graphql'
import {
  buildGraphqlApp,
  buildServedSchema,
  observeGraphql,
  readSchema,
  type SignatureTerms,
} from '../../shared/graphql-server/index.ts'
import { type Logger, present } from '../../shared/platform/index.ts'
import { apiSecretsOf, findTenant, findTenantByApiKey } from '../../shared/tenants/index.ts'
import type { AdminContext } from './context.ts'
import { createAdminErrors } from './errors.ts'
import { adminResolvers } from './resolvers/index.ts'
import type { RequestContext } from './resolvers/resolver.ts'
import { createSignatureClaims } from './used-signatures.ts'

/** The schema file with its behaviour; throws when a resolver has no field or a scalar no meaning. */
export const buildAdminSchema = (): GraphQLSchema =>
  buildServedSchema(readSchema(new URL('schema.graphql', import.meta.url)), adminResolvers)

export interface AdminAppOptions {
  log: Logger
  trustProxy: boolean
  introspection: boolean
  /** Allowed CORS origins; none by default: this listener is private. */
  corsOrigins: readonly string[]
  /** ADMIN_API_KEYS_ENABLED. */
  apiKeysEnabled: boolean
  signature: Pick<SignatureTerms, 'version' | 'ttlSeconds'>
}

/** The Admin GraphQL listener. */
export const buildAdminApp = (node: AdminContext, options: AdminAppOptions): Promise<FastifyInstance> =>
  buildGraphqlApp<RequestContext>({
    ...options,
    ready: node.ready,
    observeOperation: observeGraphql(node.telemetry, {
      'mutation depositOutgoingPaymentLiquidity': 'deposit_outgoing_payment_liquidity_ms',
    }),
    schema: buildAdminSchema(),
    renderError: createAdminErrors(options.log),
    signature: {
      ...options.signature,
      clock: node.clock,
      operator: {
        tenantId: node.settings.operatorTenantId,
        apiSecret: node.settings.adminApiSecret,
        ...present({ previousApiSecret: node.settings.adminApiPreviousSecret }),
      },
      findApiSecrets: async (id) => {
        const tenant = await findTenant(node, id)
        return tenant ? apiSecretsOf(tenant, node.clock.now()) : []
      },
      claim: createSignatureClaims(node),
    },
    ...(options.apiKeysEnabled && { findTenantByApiKey: (key: string) => findTenantByApiKey(node, key) }),
    contextOf: (caller, signature) => ({ node, caller, ...(signature && { signature }) }),
  })
