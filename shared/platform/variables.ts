import {
  base64Bytes,
  boolean,
  type Completion,
  integer,
  list,
  listOf,
  oneOf,
  optionalVariable,
  redisUrl,
  secretText,
  text,
  uuid,
  variable,
} from './config.ts'
import { withDatabasePassword } from './database-url.ts'
import type { LogLevel } from './log.ts'

/** What every deployable reads, whichever database it stands on: one name, one meaning, one default. */
export const deployableVariables = {
  logLevel: variable<LogLevel>(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    { about: 'log verbosity', default: 'info' },
  ),
  nodeEnv: variable<'development' | 'test' | 'production'>(
    'NODE_ENV',
    oneOf('development', 'test', 'production'),
    {
      about:
        'production hides the GraphQL schema and does not hold its own answers against the specification',
      default: 'development',
    },
  ),
  trustProxy: variable('TRUST_PROXY', boolean, {
    about: 'believe X-Forwarded-* of the proxy that connects about scheme, host and client',
    default: false,
  }),
  databasePoolSizeMax: variable('DATABASE_POOL_SIZE', integer({ min: 1, max: 1000 }), {
    about: 'connections per process to its database',
    default: 10,
  }),
  databasePooler: variable('DATABASE_POOLER', boolean, {
    about:
      'the database is behind a proxy that shares sessions between clients (RDS Proxy, PgBouncer): no named statements, no start-up options, no LISTEN; changes of tenants and keys are seen within a second',
    default: false,
  }),
  manualMigrations: variable('ENABLE_MANUAL_MIGRATIONS', boolean, {
    about: 'refuse to start while migrations are pending instead of applying them',
    default: false,
  }),
  operatorTenantId: variable('OPERATOR_TENANT_ID', uuid, { about: 'id of the tenant that runs this node' }),
  adminApiSecret: variable('ADMIN_API_SECRET', secretText, {
    about: "the operator's key for the Admin API",
    secret: true,
  }),
  adminApiPreviousSecret: optionalVariable('ADMIN_API_SECRET_PREVIOUS', secretText, {
    about: 'what ADMIN_API_SECRET was, or will be: accepted besides, and opens what was sealed with it',
    secret: true,
  }),
  dbEncryptionSecret: optionalVariable('DB_ENCRYPTION_SECRET', base64Bytes(32), {
    about: 'encrypts secrets at rest, 32 bytes in base64; default derived from ADMIN_API_SECRET',
    secret: true,
  }),
  dbEncryptionPreviousSecrets: variable<Buffer[]>('DB_ENCRYPTION_SECRET_PREVIOUS', listOf(base64Bytes(32)), {
    about: 'what DB_ENCRYPTION_SECRET was, or will be; several with commas: they only decrypt',
    default: [],
    secret: true,
  }),
  egressAllow: variable('EGRESS_ALLOW', list, {
    about: 'hosts and networks that URLs of others may name although they are not public',
    default: [],
  }),
  egressAllowHttp: variable('EGRESS_ALLOW_HTTP', boolean, {
    about: 'fetch https URLs of hosts in EGRESS_ALLOW over http (development)',
    default: false,
  }),
}

/** Relations between them. */
export const deployableChecks = (config: { egressAllow: readonly string[]; egressAllowHttp: boolean }) =>
  config.egressAllowHttp && config.egressAllow.length === 0
    ? ['EGRESS_ALLOW_HTTP=true needs hosts in EGRESS_ALLOW: it applies to them only']
    : []

/** Of the listeners whose callers sign their requests (RFC 9421). */
export const signedRequestVariables = {
  publicHosts: variable('PUBLIC_HOSTS', list, {
    about: 'further hosts that signed requests may name',
    default: [],
  }),
  signatureWindowSeconds: variable('SIGNATURE_WINDOW_SECONDS', integer({ min: 1, max: 86_400 }), {
    about: 'how far the time of a signature may be from now, both ways, in s',
    default: 300,
  }),
}

/** Of the Admin APIs, and of the tenant API between them. */
export const adminApiVariables = {
  adminSignatureVersion: variable('ADMIN_API_SIGNATURE_VERSION', integer({ min: 0, max: 9999 }), {
    about: 'accepted version of Admin API signatures',
    default: 1,
  }),
  adminSignatureTtlSeconds: variable('ADMIN_API_SIGNATURE_TTL_SECONDS', integer({ min: 1, max: 86_400 }), {
    about: 'oldest accepted Admin API signature in s',
    default: 30,
  }),
  authServiceApiSecret: optionalVariable('AUTH_SERVICE_API_SECRET', secretText, {
    about: "signs calls of auth's tenant API; default derived from ADMIN_API_SECRET",
    secret: true,
  }),
  authServiceApiPreviousSecret: optionalVariable('AUTH_SERVICE_API_SECRET_PREVIOUS', secretText, {
    about: 'what AUTH_SERVICE_API_SECRET was, or will be: auth accepts it besides',
    secret: true,
  }),
}

export const redisVariables = {
  redisUrl: variable('REDIS_URL', redisUrl, {
    about:
      'Redis for STREAM totals, and for messages with QUEUE_DRIVER=redis; none: totals in process, for a node with one connector',
    default: 'redis://127.0.0.1:6379',
    secret: true,
  }),
  redisCaFile: optionalVariable('REDIS_TLS_CA_FILE_PATH', text, { about: 'CA of the Redis server' }),
  redisKeyFile: optionalVariable('REDIS_TLS_KEY_FILE_PATH', text, { about: 'client key for Redis' }),
  redisCertFile: optionalVariable('REDIS_TLS_CERT_FILE_PATH', text, {
    about: 'client certificate for Redis',
  }),
}

/** The password of a database whose URL has none, in a variable of its own. */
export const passwordOf = (name: string): Completion => ({ name, complete: withDatabasePassword })

export const databasePasswordVariable = (name: string, urlName: string) =>
  optionalVariable(name, secretText, {
    about: `password for ${urlName}, where that has none`,
    secret: true,
  })
