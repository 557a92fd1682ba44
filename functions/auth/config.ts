import {
  type ConfigOf,
  configuration,
  type Environment,
  type LogLevel,
  loadConfig,
  optionalVariable,
  variable,
} from '../../shared/platform/index.ts'

const { base64Bytes, boolean, httpUrl, integer, list, oneOf, port, postgresUrl, text, url, uuid } =
  configuration

const secret: configuration.Parse<string> = (value) => {
  if (value.trim() === '') throw new Error('must not be blank')
  return value
}
const baseUrl: configuration.Parse<string> = (value) => {
  const { search, hash } = new URL(httpUrl(value))
  if (search !== '' || hash !== '') throw new Error('must be a URL without query and fragment')
  return value
}
const redisUrl: configuration.Parse<string> = (value) =>
  value === 'none' ? value : url('redis', 'rediss')(value)
const seconds = (limits: { min: number }) => integer({ min: limits.min, max: 315_360_000 })

/** What this deployable reads (contracts/admin/environment.md §2), variables of its other listeners included. */
export const authConfig = {
  logLevel: variable<LogLevel>(
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    { about: 'log verbosity', default: 'info' },
  ),
  nodeEnv: variable<'development' | 'test' | 'production'>(
    'NODE_ENV',
    oneOf('development', 'test', 'production'),
    { about: 'production does not hold its own answers against the specification', default: 'development' },
  ),
  trustProxy: variable('TRUST_PROXY', boolean, {
    about: 'believe X-Forwarded-* about scheme, host and client',
    default: false,
  }),

  authPort: variable('AUTH_PORT', port, { about: 'GNAP listener', default: 3006 }),
  introspectionPort: variable('INTROSPECTION_PORT', port, { about: 'token introspection', default: 3007 }),
  interactionPort: variable('INTERACTION_PORT', port, { about: 'identity-provider API', default: 3009 }),
  adminPort: variable('ADMIN_PORT', port, { about: 'Admin GraphQL of auth', default: 3003 }),
  serviceApiPort: variable('SERVICE_API_PORT', port, { about: 'internal tenant API', default: 3011 }),

  databaseUrl: variable('AUTH_DATABASE_URL', postgresUrl, {
    about: 'authorization database',
    default: 'postgresql://postgres:password@localhost:5432/auth_development',
    secret: true,
  }),
  databasePoolSizeMax: variable('DATABASE_POOL_SIZE', integer({ min: 1, max: 1000 }), {
    about: 'connections per process to the database',
    default: 10,
  }),
  manualMigrations: variable('ENABLE_MANUAL_MIGRATIONS', boolean, {
    about: 'refuse to start while migrations are pending instead of applying them',
    default: false,
  }),
  dbEncryptionSecret: optionalVariable('DB_ENCRYPTION_SECRET', base64Bytes(32), {
    about: 'encrypts secrets at rest, 32 bytes in base64; default derived from ADMIN_API_SECRET',
    secret: true,
  }),

  authServerUrl: variable('AUTH_SERVER_URL', baseUrl, {
    about: 'public base of continue, token and interact URLs',
  }),
  authServerGrantUrl: optionalVariable('AUTH_SERVER_GRANT_URL', baseUrl, {
    about: 'public base that clients are told; default AUTH_SERVER_URL',
  }),
  publicHosts: variable('PUBLIC_HOSTS', list, {
    about: 'further hosts that signed requests may name',
    default: [] as string[],
  }),
  operatorTenantId: variable('OPERATOR_TENANT_ID', uuid, { about: 'id of the tenant that runs this node' }),
  adminApiSecret: variable('ADMIN_API_SECRET', secret, {
    about: "the operator's key for the Admin API",
    secret: true,
  }),
  adminSignatureVersion: variable('ADMIN_API_SIGNATURE_VERSION', integer({ min: 0, max: 9999 }), {
    about: 'accepted version of Admin API signatures',
    default: 1,
  }),
  adminSignatureTtlSeconds: variable('ADMIN_API_SIGNATURE_TTL_SECONDS', integer({ min: 1, max: 86_400 }), {
    about: 'oldest accepted Admin API signature in s',
    default: 30,
  }),
  serviceApiSecret: optionalVariable('AUTH_SERVICE_API_SECRET', secret, {
    about: 'signs calls of the tenant API; default derived from ADMIN_API_SECRET',
    secret: true,
  }),

  identityServerUrl: variable('IDENTITY_SERVER_URL', httpUrl, { about: "the operator's consent screen" }),
  identityServerSecret: variable('IDENTITY_SERVER_SECRET', secret, {
    about: "the operator's identity provider proves itself with it",
    secret: true,
  }),
  cookieKey: variable('COOKIE_KEY', secret, { about: 'signs the interaction cookie', secret: true }),
  interactionCookieSameSite: optionalVariable<'lax' | 'none'>(
    'INTERACTION_COOKIE_SAME_SITE',
    oneOf('lax', 'none'),
    { about: 'SameSite of the interaction cookie' },
  ),
  interactionExpirySeconds: variable('INTERACTION_EXPIRY_SECONDS', seconds({ min: 1 }), {
    about: 'life of an interaction in s',
    default: 600,
  }),
  waitSeconds: variable('WAIT_SECONDS', seconds({ min: 0 }), {
    about: 'how long clients wait between continuations, in s',
    default: 5,
  }),
  tokenLifeSeconds: variable('ACCESS_TOKEN_EXPIRY_SECONDS', seconds({ min: 1 }), {
    about: 'life of an access token in s',
    default: 600,
  }),
  tokenDeletionDays: variable('ACCESS_TOKEN_DELETION_DAYS', integer({ min: 0, max: 36_500 }), {
    about: 'days after which expired tokens are deleted',
    default: 30,
  }),
  cleanupWorkers: variable('DATABASE_CLEANUP_WORKERS', integer({ min: 0, max: 100 }), {
    about: '0: this process deletes nothing',
    default: 1,
  }),
  incomingPaymentInteraction: variable('INCOMING_PAYMENT_INTERACTION', boolean, {
    about: 'incoming-payment grants need consent',
    default: false,
  }),
  quoteInteraction: variable('QUOTE_INTERACTION', boolean, {
    about: 'quote grants need consent',
    default: false,
  }),
  listAllInteraction: variable('LIST_ALL_ACCESS_INTERACTION', boolean, {
    about: 'list-all needs consent',
    default: true,
  }),

  signatureWindowSeconds: variable('SIGNATURE_WINDOW_SECONDS', integer({ min: 1, max: 86_400 }), {
    about: 'how far the time of a signature may be from now, both ways, in s',
    default: 300,
  }),
  egressAllow: variable('EGRESS_ALLOW', list, {
    about: 'hosts or networks that URLs of others may name though they are not public',
    default: [] as string[],
  }),
  egressAllowHttp: variable('EGRESS_ALLOW_HTTP', boolean, {
    about: 'fetch https URLs of hosts in EGRESS_ALLOW over http',
    default: false,
  }),
  redisUrl: variable('REDIS_URL', redisUrl, {
    about: 'Redis for the sessions of interactions; none: without',
    default: 'redis://127.0.0.1:6379',
    secret: true,
  }),
  redisTlsCaFile: optionalVariable('REDIS_TLS_CA_FILE_PATH', text, { about: 'CA of the Redis server' }),
  redisTlsKeyFile: optionalVariable('REDIS_TLS_KEY_FILE_PATH', text, { about: 'client key for Redis' }),
  redisTlsCertFile: optionalVariable('REDIS_TLS_CERT_FILE_PATH', text, {
    about: 'client certificate for Redis',
  }),
}

export type AuthConfig = ConfigOf<typeof authConfig>

/** Both are one port only where it is 0, which means any. */
function portProblems(config: AuthConfig): string[] {
  const ports = [config.authPort, config.introspectionPort, config.serviceApiPort].filter(
    (number) => number !== 0,
  )
  return new Set(ports).size === ports.length
    ? []
    : ['AUTH_PORT, INTROSPECTION_PORT and SERVICE_API_PORT must differ']
}

export const loadAuthConfig = (env: Environment): AuthConfig => loadConfig(authConfig, env, portProblems)
