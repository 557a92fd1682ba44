import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { authServiceSecrets } from '../../shared/auth-service-client/index.ts'
import { createAttemptLimiter, createClientKeys, publicHostsOf } from '../../shared/http-signatures/index.ts'
import { createOpenApiValidator } from '../../shared/openapi/index.ts'
import {
  type Clock,
  createConfiguredSecretBox,
  createDb,
  createGuardedHttp,
  createLogger,
  ensureSecretKeys,
  type HttpClient,
  type Logger,
  listenOn,
  migrate,
  present,
  type StartDeployable,
  sql,
  systemClock,
  warnOfEnvironment,
} from '../../shared/platform/index.ts'
import {
  createTelemetry,
  observeHttpApp,
  observeHttpClient,
  serveMetrics,
  type Telemetry,
} from '../../shared/telemetry/index.ts'
import { type AdminAppOptions, buildAdminApp } from './admin/index.ts'
import { buildAuthApp } from './app.ts'
import { startCleanup } from './cleanup.ts'
import { type AuthConfig, loadAuthConfig } from './config.ts'
import type { AuthContext } from './context.ts'
import { buildInteractionApp } from './interaction-app.ts'
import { buildIntrospectionApp } from './introspection-app.ts'
import { createNonces } from './nonces.ts'
import { sealedAuthColumns } from './sealed-columns.ts'
import { buildServiceApiApp } from './service-api.ts'
import { ensureIdpSecretHashes, ensureOperatorTenant } from './tenants/index.ts'

const withoutSlash = (url: string) => url.replace(/\/+$/, '')

function createAuthContext(
  config: AuthConfig,
  outside: { clock: Clock; http: HttpClient; log: Logger; telemetry: Telemetry },
): AuthContext {
  const { clock, log } = outside
  const db = createDb({
    connectionString: config.databaseUrl,
    poolSizeMax: config.databasePoolSizeMax,
    applicationName: 'upesi-auth',
    log,
  })
  return {
    db,
    clock,
    log,
    secretBox: createConfiguredSecretBox(config),
    http: outside.http,
    telemetry: outside.telemetry,
    signatures: {
      clock,
      keys: createClientKeys({ http: outside.http, clock }),
      nonces: createNonces({ db, clock }),
      limiter: createAttemptLimiter({ clock }),
      windowSeconds: config.signatureWindowSeconds,
    },
    publicHosts: publicHostsOf([
      config.authServerUrl,
      ...(config.authServerGrantUrl === undefined ? [] : [config.authServerGrantUrl]),
      ...config.publicHosts,
    ]),
    trustProxy: config.trustProxy,
    authServerUrl: withoutSlash(config.authServerUrl),
    grantUrl: withoutSlash(config.authServerGrantUrl ?? config.authServerUrl),
    tokenLifeSeconds: config.tokenLifeSeconds,
    interactionLifeSeconds: config.interactionExpirySeconds,
    cookie: { key: config.cookieKey, sameSite: config.interactionCookieSameSite ?? 'lax' },
    waitSeconds: config.waitSeconds,
    policy: {
      incomingPaymentInteraction: config.incomingPaymentInteraction,
      quoteInteraction: config.quoteInteraction,
      listAllInteraction: config.listAllInteraction,
    },
    validator: createOpenApiValidator({ spec: 'auth-server' }),
    validatesResponses: config.nodeEnv !== 'production',
    serviceApiSecrets: authServiceSecrets(config),
    ready: async () => {
      await db.execute(sql`select 1`)
    },
  }
}

const adminOptionsOf = (config: AuthConfig): AdminAppOptions => ({
  introspection: config.nodeEnv !== 'production',
  signature: {
    operator: {
      tenantId: config.operatorTenantId,
      apiSecret: config.adminApiSecret,
      ...present({ previousApiSecret: config.adminApiPreviousSecret }),
    },
    version: config.adminSignatureVersion,
    ttlSeconds: config.adminSignatureTtlSeconds,
  },
})

/** The authorization server: GNAP, introspection, the API of identity providers, its Admin API and the node's tenant API. */
export const startAuth: StartDeployable = async (environment) => {
  const config = loadAuthConfig(environment)
  const log = createLogger({ level: config.logLevel, name: 'auth' })
  warnOfEnvironment(log, environment)
  await migrate({
    connectionString: config.databaseUrl,
    folder: fileURLToPath(new URL('./migrations', import.meta.url)),
    table: 'upesi_auth_migrations',
    manual: config.manualMigrations,
  })
  const telemetry = await createTelemetry(config, { name: 'auth', log })
  const http = observeHttpClient(
    telemetry,
    createGuardedHttp({ allow: config.egressAllow, allowHttp: config.egressAllowHttp }),
    'guarded',
  )
  const ctx = createAuthContext(config, { clock: systemClock, http, log, telemetry })
  const closers: (() => Promise<unknown>)[] = [
    () => telemetry.close(),
    () => ctx.db.close(),
    () => http.close(),
  ]
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  const listen = async (listener: string, app: FastifyInstance, port: number) => {
    const isPublic = listener === 'auth' || listener === 'interaction'
    observeHttpApp(telemetry, app, { listener, callers: isPublic ? 'anybody' : 'node' })
    if (listener === 'admin') serveMetrics(telemetry, app)
    closers.push(() => app.close())
    return await listenOn(app, port)
  }
  try {
    await ensureSecretKeys(ctx.db, ctx.secretBox, sealedAuthColumns)
    await ensureOperatorTenant(ctx, {
      id: config.operatorTenantId,
      apiSecret: config.adminApiSecret,
      idpConsentUrl: config.identityServerUrl,
      idpSecret: config.identityServerSecret,
    })
    await ensureIdpSecretHashes(ctx)
    const ports = {
      auth: await listen('auth', await buildAuthApp(ctx), config.authPort),
      introspection: await listen(
        'introspection',
        await buildIntrospectionApp(ctx),
        config.introspectionPort,
      ),
      interaction: await listen('interaction', await buildInteractionApp(ctx), config.interactionPort),
      service: await listen('service', await buildServiceApiApp(ctx), config.serviceApiPort),
      admin: await listen('admin', await buildAdminApp(ctx, adminOptionsOf(config)), config.adminPort),
      ...(await telemetry.listen(() => ctx.ready())),
    }
    if (config.cleanupWorkers > 0) {
      const cleanup = startCleanup(ctx, config.tokenDeletionDays)
      closers.push(() => cleanup.close())
    }
    return { name: 'auth', ports, close }
  } catch (error) {
    await close()
    throw error
  }
}
