import {
  adminApiVariables,
  type ConfigOf,
  configuration,
  databasePasswordVariable,
  deployableChecks,
  deployableVariables,
  type Environment,
  loadConfig,
  optionalVariable,
  passwordOf,
  signedRequestVariables,
  variable,
} from '../../shared/platform/index.ts'
import { telemetryVariables } from '../../shared/telemetry/index.ts'

const { baseUrl, boolean, httpUrl, integer, list, oneOf, port, postgresUrl, secretText } = configuration

const seconds = (limits: { min: number }) => integer({ min: limits.min, max: 315_360_000 })

export const authListeners = ['auth', 'interaction', 'introspection', 'service', 'admin'] as const
export type AuthListener = (typeof authListeners)[number]

const parseListeners: configuration.Parse<readonly AuthListener[]> = (value) => {
  const named = new Set(list(value).map(oneOf(...authListeners)))
  if (named.size === 0) throw new Error(`must name at least one of ${authListeners.join(', ')}`)
  return authListeners.filter((listener) => named.has(listener))
}

/** What this deployable reads (contracts/admin/environment.md §2), variables of its other listeners included. */
export const authConfig = {
  ...deployableVariables,
  ...telemetryVariables,
  ...signedRequestVariables,
  ...adminApiVariables,

  authPort: variable('AUTH_PORT', port, { about: 'GNAP listener', default: 3006 }),
  introspectionPort: variable('INTROSPECTION_PORT', port, { about: 'token introspection', default: 3007 }),
  interactionPort: variable('INTERACTION_PORT', port, { about: 'identity-provider API', default: 3009 }),
  adminPort: variable('ADMIN_PORT', port, { about: 'Admin GraphQL of auth', default: 3003 }),
  serviceApiPort: variable('SERVICE_API_PORT', port, { about: 'internal tenant API', default: 3011 }),

  listeners: variable('AUTH_LISTENERS', parseListeners, {
    about: 'the listeners that this process has, with commas between',
    default: authListeners,
  }),

  databaseUrl: variable('AUTH_DATABASE_URL', postgresUrl, {
    about: 'authorization database',
    default: 'postgresql://postgres:password@localhost:5432/auth_development',
    secret: true,
    completion: passwordOf('AUTH_DATABASE_PASSWORD'),
  }),
  databasePassword: databasePasswordVariable('AUTH_DATABASE_PASSWORD', 'AUTH_DATABASE_URL'),

  authServerUrl: variable('AUTH_SERVER_URL', baseUrl, {
    about: 'public base of continue, token and interact URLs',
  }),
  authServerGrantUrl: optionalVariable('AUTH_SERVER_GRANT_URL', baseUrl, {
    about: 'public base that clients are told; default AUTH_SERVER_URL',
  }),
  identityServerUrl: variable('IDENTITY_SERVER_URL', httpUrl, { about: "the operator's consent screen" }),
  identityServerSecret: variable('IDENTITY_SERVER_SECRET', secretText, {
    about: "the operator's identity provider proves itself with it",
    secret: true,
  }),
  cookieKey: variable('COOKIE_KEY', secretText, { about: 'signs the interaction cookie', secret: true }),
  interactionCookieSameSite: optionalVariable<'lax' | 'none'>(
    'INTERACTION_COOKIE_SAME_SITE',
    oneOf('lax', 'none'),
    { about: 'SameSite of the interaction cookie; default lax' },
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
    about:
      'days after which expired tokens, ended interactions and requests that nobody agreed to are deleted',
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
}

export type AuthConfig = ConfigOf<typeof authConfig>

/** The port of each listener, whether this process has it or not. */
export const portsOf = (config: AuthConfig): Record<AuthListener, number> => ({
  auth: config.authPort,
  interaction: config.interactionPort,
  introspection: config.introspectionPort,
  service: config.serviceApiPort,
  admin: config.adminPort,
})

/** Two are one port only where it is 0, which means any. */
function portProblems(config: AuthConfig): string[] {
  const ports = config.listeners.map((listener) => portsOf(config)[listener]).filter((port) => port !== 0)
  return new Set(ports).size === ports.length
    ? []
    : ['AUTH_PORT, INTROSPECTION_PORT, INTERACTION_PORT, ADMIN_PORT and SERVICE_API_PORT must differ']
}

export const loadAuthConfig = (env: Environment): AuthConfig =>
  loadConfig(authConfig, env, (config) => [...deployableChecks(config), ...portProblems(config)])
