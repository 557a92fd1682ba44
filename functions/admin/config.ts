import { nodeConfig, nodeConfigChecks } from '../../shared/node-context/index.ts'
import {
  type ConfigOf,
  configuration,
  type Environment,
  loadConfig,
  variable,
} from '../../shared/platform/index.ts'

/** Admin's variables: the node's, and its own. */
export const adminConfig = {
  ...nodeConfig,
  adminPort: variable('ADMIN_PORT', configuration.port, {
    default: 3001,
    about: 'port of the Admin GraphQL API',
  }),
  signatureVersion: variable('ADMIN_API_SIGNATURE_VERSION', configuration.integer({ min: 0, max: 9999 }), {
    default: 1,
    about: 'accepted version of request signatures',
  }),
  signatureTtlSeconds: variable(
    'ADMIN_API_SIGNATURE_TTL_SECONDS',
    configuration.integer({ min: 1, max: 86_400 }),
    {
      default: 30,
      about: 'greatest age of a signed request, in seconds',
    },
  ),
  idempotencyLockMs: variable(
    'GRAPHQL_IDEMPOTENCY_KEY_LOCK_MS',
    configuration.integer({ min: 0, max: 60_000 }),
    {
      default: 2_000,
      about: 'how long a repeat waits for the first request with its key, in milliseconds',
    },
  ),
  idempotencyTtlMs: variable('GRAPHQL_IDEMPOTENCY_KEY_TTL_MS', configuration.integer({ min: 1_000 }), {
    default: 86_400_000,
    about: 'how long the answer of a key is kept, in milliseconds',
  }),
  corsOrigins: variable('ADMIN_CORS_ORIGINS', configuration.list, {
    default: [],
    about: 'origins that may call the Admin API from a browser',
  }),
}

export type AdminConfig = ConfigOf<typeof adminConfig>

export const loadAdminConfig = (env: Environment): AdminConfig =>
  loadConfig(adminConfig, env, nodeConfigChecks)
