import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { authServiceSecrets } from '../../shared/auth-service-client/index.ts'
import { createAttemptLimiter, createClientKeys, publicHostsOf } from '../../shared/http-signatures/index.ts'
import { createLazyValidator } from '../../shared/openapi/index.ts'
import {
  assertMigrated,
  type Clock,
  createConfiguredSecretBox,
  createDb,
  createGuardedHttp,
  createLogger,
  createStandstill,
  ensureSecretKeys,
  type HttpClient,
  type Invocation,
  type Logger,
  listenOn,
  migrate,
  type OpenDeployable,
  present,
  type StartDeployable,
  sql,
  systemClock,
  unreachable,
  warnOfEnvironment,
} from '../../shared/platform/index.ts'
import { type OpenTasksOf, startTasks, type Task } from '../../shared/schedule/index.ts'
import {
  createTelemetry,
  observeHttpApp,
  observeHttpClient,
  serveMetrics,
  type Telemetry,
} from '../../shared/telemetry/index.ts'
import type { AdminAppOptions } from './admin/index.ts'
import { buildAuthApp } from './app.ts'
import { type AuthConfig, type AuthListener, loadAuthConfig, portsOf } from './config.ts'
import type { AuthContext } from './context.ts'
import { buildInteractionApp } from './interaction-app.ts'
import { buildIntrospectionApp } from './introspection-app.ts'
import { createNonces } from './nonces.ts'
import { sealedAuthColumns } from './sealed-columns.ts'
import { buildServiceApiApp } from './service-api.ts'
import { authTasks } from './tasks.ts'
import { ensureIdpSecretHashes, ensureOperatorTenant } from './tenants/index.ts'

const MIGRATIONS = {
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
  table: 'upesi_auth_migrations',
}

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
    prepared: !config.databasePooler,
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
    validator: createLazyValidator({ spec: 'auth-server' }),
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

/** The authorization server with everything that it stands on. Nothing listens yet. */
export interface OpenAuth {
  config: AuthConfig
  ctx: AuthContext
  /** Built when it is asked for first: a process may have one listener of the five. */
  app(listener: AuthListener): Promise<FastifyInstance>
  /** By the clock. */
  tasks: readonly Task[]
  /** Of a sandbox: before and after the work of each invocation. */
  invocation: Invocation
  close(): Promise<void>
}

async function buildApp(ctx: AuthContext, config: AuthConfig, listener: AuthListener) {
  switch (listener) {
    case 'auth':
      return await buildAuthApp(ctx)
    case 'interaction':
      return await buildInteractionApp(ctx)
    case 'introspection':
      return await buildIntrospectionApp(ctx)
    case 'service':
      return await buildServiceApiApp(ctx)
    case 'admin': {
      // GraphQL is loaded where it is served.
      const { buildAdminApp } = await import('./admin/index.ts')
      return await buildAdminApp(ctx, adminOptionsOf(config))
    }
    default:
      return unreachable(listener)
  }
}

export const openAuth: OpenDeployable<OpenAuth> = async (environment, _host) => {
  const config = loadAuthConfig(environment)
  const log = createLogger({ level: config.logLevel, name: 'auth' })
  warnOfEnvironment(log, environment)
  if (!config.manualMigrations) await migrate({ connectionString: config.databaseUrl, ...MIGRATIONS })
  const telemetry = await createTelemetry(config, { name: 'auth', log })
  const guarded = createGuardedHttp({ allow: config.egressAllow, allowHttp: config.egressAllowHttp })
  const http = observeHttpClient(telemetry, guarded, 'guarded')
  const ctx = createAuthContext(config, { clock: systemClock, http, log, telemetry })
  const apps = new Map<AuthListener, Promise<FastifyInstance>>()
  const close = async () => {
    for (const app of apps.values()) await (await app).close()
    await http.close()
    await ctx.db.close()
    await telemetry.close()
  }
  const build = async (listener: AuthListener) => {
    const app = await buildApp(ctx, config, listener)
    const isPublic = listener === 'auth' || listener === 'interaction'
    observeHttpApp(telemetry, app, { listener, callers: isPublic ? 'anybody' : 'node' })
    return app
  }
  try {
    // By the connection that is needed anyway, and nothing is written.
    if (config.manualMigrations) await assertMigrated(ctx.db, MIGRATIONS)
    await ensureSecretKeys(ctx.db, ctx.secretBox, sealedAuthColumns)
    await ensureOperatorTenant(ctx, {
      id: config.operatorTenantId,
      apiSecret: config.adminApiSecret,
      idpConsentUrl: config.identityServerUrl,
      idpSecret: config.identityServerSecret,
    })
    await ensureIdpSecretHashes(ctx)
  } catch (error) {
    await close()
    throw error
  }
  const app = (listener: AuthListener) => {
    const known = apps.get(listener)
    if (known) return known
    const building = build(listener)
    apps.set(listener, building)
    // Who asks next builds it anew.
    building.catch(() => apps.delete(listener))
    return building
  }
  const standstill = createStandstill(async () => {
    guarded.renew()
    await ctx.db.dropDead()
  })
  const invocation = {
    // It keeps nothing in memory that another process changes.
    begin: standstill.begin,
    async end() {
      await telemetry.flush()
      standstill.end()
    },
  }
  return { config, ctx, app, tasks: authTasks(ctx, config.tokenDeletionDays), invocation, close }
}

/** For whoever drives them from outside. */
export const openAuthTasks: OpenTasksOf = async (env, host) => {
  const { ctx, tasks, close } = await openAuth(env, host)
  return { ctx, tasks, close }
}

/** The authorization server: GNAP, introspection, the API of identity providers, its Admin API and the node's tenant API, or some of them. */
export const startAuth: StartDeployable = async (environment) => {
  const { config, ctx, app, tasks, close } = await openAuth(environment, 'server')
  const { telemetry } = ctx
  try {
    const ports: Record<string, number> = {}
    for (const listener of config.listeners) {
      const listening = await app(listener)
      if (listener === 'admin') serveMetrics(telemetry, listening)
      ports[listener] = await listenOn(listening, portsOf(config)[listener])
    }
    Object.assign(ports, await telemetry.listen(() => ctx.ready()))
    const schedule = startTasks(ctx, config.cleanupWorkers > 0 ? tasks : [])
    return {
      name: 'auth',
      ports,
      async close() {
        await schedule.close()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}
