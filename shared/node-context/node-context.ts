import { fileURLToPath } from 'node:url'
import { repairAssetAccounts } from '../assets/index.ts'
import { connectorRpcSecret, createConnectorClient, observeConnector } from '../connector-client/index.ts'
import { createGrantsClient, sealedGrantColumns } from '../grants-client/index.ts'
import { type Ledger, migrateLedger, observeLedger } from '../ledger/index.ts'
import { sealedPaymentColumns } from '../outgoing-payments/index.ts'
import { createPaymentMethods, observeMethods } from '../payment-methods/index.ts'
import { repairPeerAccounts, sealedPeerColumns } from '../peers/index.ts'
import {
  assertMigrated,
  createCache,
  createConfiguredSecretBox,
  createDb,
  createDeafListener,
  createGuardedHttp,
  createListener,
  createLogger,
  createStandstill,
  createTrustedHttp,
  type Environment,
  ensureSecretKeys,
  type Host,
  type Logger,
  messageOf,
  migrate,
  type SealedColumn,
  sql,
  systemClock,
  warnOfEnvironment,
} from '../platform/index.ts'
import { createTelemetry, observeHttpClient } from '../telemetry/index.ts'
import { ensureOperatorTenant, forgetChangedTenants, sealedTenantColumns } from '../tenants/index.ts'
import { sealedWebhookColumns } from '../webhooks/index.ts'
import type { NodeConfig } from './config.ts'
import { openInstanceKeys, sealedInstanceKeyColumns } from './instance-keys.ts'
import { type NodeContext, settingsOf } from './model.ts'
import { openNodeLedger } from './node-ledger.ts'

/** Everything that is sealed in the resource database. */
export const sealedResourceColumns: readonly SealedColumn[] = [
  ...sealedTenantColumns,
  ...sealedInstanceKeyColumns,
  ...sealedPeerColumns,
  ...sealedGrantColumns,
  ...sealedWebhookColumns,
  ...sealedPaymentColumns,
]

const RESOURCE_MIGRATIONS = {
  folder: fileURLToPath(new URL('../migrations', import.meta.url)),
  table: 'upesi_migrations',
}

export interface NodeContextOptions {
  /** Of the deployable, for logs and database sessions. */
  name: string
  /** What runs the process; default `server`. */
  host?: Host
  /** For warnings about variables that nobody reads. */
  environment?: Environment
  /** Of the clients for requests that are sent. Default: theirs. */
  outbound?: {
    /** At the same time. */
    connectionsPerHost: number
    /** Of one request to a stranger's URL. */
    timeoutMsMax: number
  }
  /** As of a database (`DbOptions`). Lists, which are planned for their values, are not for such a process. */
  keepsPlans?: boolean
  /** The ledger of the process that holds a session with TigerBeetle. Other processes reach it over RPC. */
  openLedger?: (log: Logger) => Promise<Ledger>
}

/** Brings the resource database up to date; returns the names of the applied migrations. */
export const migrateResources = (options: { connectionString: string }): Promise<string[]> =>
  migrate({ ...options, ...RESOURCE_MIGRATIONS })

/** Brings the databases up to date; several processes may do so at once. */
export async function migrateNode(config: NodeConfig): Promise<void> {
  await migrateResources({ connectionString: config.databaseUrl })
  if (!config.useTigerbeetle)
    await migrateLedger({ connectionString: config.ledgerDatabaseUrl ?? config.databaseUrl })
}

/**
 * Connects, migrates (or with ENABLE_MANUAL_MIGRATIONS throws PendingMigrations), and joins everything a deployable stands on. What was opened is closed again when a later step fails. Throws
 * ConfigError for an unusable PRIVATE_KEY_FILE, for keys that do not open what is sealed, and for a Postgres ledger that has moved.
 */
export async function createNodeContext(
  config: NodeConfig,
  options: NodeContextOptions,
): Promise<NodeContext> {
  const log = createLogger({ level: config.logLevel, name: options.name })
  warnOfEnvironment(log, options.environment ?? {})
  if (!config.manualMigrations) await migrateNode(config)

  const closers: (() => Promise<void>)[] = []
  const opened = <T extends { close(): Promise<void> }>(resource: T): T => {
    closers.unshift(() => resource.close())
    return resource
  }
  const close = async () => {
    // In the reverse order of opening; each is closed even when another one cannot be.
    for (const closer of closers.splice(0))
      await closer().catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'did not close cleanly'),
      )
  }
  try {
    return { ...(await openNode(config, options, log, opened)), close }
  } catch (error) {
    await close()
    throw error
  }
}

type Opened = <T extends { close(): Promise<void> }>(resource: T) => T

async function openNode(
  config: NodeConfig,
  { name, outbound, keepsPlans = false, openLedger, host = 'server' }: NodeContextOptions,
  log: Logger,
  opened: Opened,
): Promise<Omit<NodeContext, 'close'>> {
  const clock = systemClock
  const settings = settingsOf(config)
  // Closed last: it has something to say of all the others.
  const telemetry = opened(await createTelemetry(config, { name, log }))
  const db = opened(
    createDb({
      connectionString: config.databaseUrl,
      poolSizeMax: config.databasePoolSizeMax,
      applicationName: `upesi-${name}`,
      prepared: !config.databasePooler,
      keepsPlans,
      log,
    }),
  )
  // By the connection that is needed anyway, and nothing is written.
  if (config.manualMigrations) await assertMigrated(db, RESOURCE_MIGRATIONS)
  const isSandbox = host === 'sandbox'
  // A LISTEN behind a pooler is another client's, and who stands still hears nothing.
  const isDeaf = isSandbox || (config.databasePooler && config.databaseListenUrl === undefined)
  const deafListener = isDeaf ? createDeafListener({ log, isTimed: !isSandbox }) : undefined
  const listenUrl = config.databaseListenUrl ?? config.databaseUrl
  const listener = opened(deafListener ?? createListener({ connectionString: listenUrl, log, name }))
  const trusted = opened(createTrustedHttp(outbound))
  const guarded = opened(
    createGuardedHttp({ allow: config.egressAllow, allowHttp: config.egressAllowHttp, ...outbound }),
  )
  const trustedHttp = observeHttpClient(telemetry, trusted, 'trusted')
  const guardedHttp = observeHttpClient(telemetry, guarded, 'guarded')
  const rpc = { url: config.connectorRpcUrl, secret: connectorRpcSecret(config), http: trustedHttp, clock }
  const opening = opened(await openNodeLedger(config, { openLedger, rpc, log, isSandbox, db }))
  const ledger = observeLedger(telemetry, opening, config.useTigerbeetle ? 'tigerbeetle' : 'postgres')
  const sweepHolds = async () => (await opening.sweep?.()) ?? 0
  const secretBox = createConfiguredSecretBox(config)
  const cache = createCache({ clock, lifeMs: config.cacheMs })
  const outside = { trustedHttp, guardedHttp, telemetry }
  const base = { db, ledger, clock, log, cache, listener, secretBox, settings, ...outside }

  await ensureSecretKeys(db, secretBox, sealedResourceColumns)
  forgetChangedTenants(base)
  await ensureOperatorTenant(base, { id: config.operatorTenantId, apiSecret: config.adminApiSecret })
  const instanceKeys = await openInstanceKeys(base, {
    ...config,
    overlapSeconds: config.keyOverlapSeconds,
  })
  // Whoever has the ledger at hand does it; for others the connector has done it, and for sandboxes, which start all the time.
  if ((!config.useTigerbeetle && !isSandbox) || openLedger) {
    const repaired = (await repairAssetAccounts(base)) + (await repairPeerAccounts(base))
    if (repaired > 0) log.warn({ repaired }, 'ledger accounts were missing after a crash and have been made')
  }

  const connector = observeConnector(telemetry, opened(createConnectorClient(rpc)))
  const grants = createGrantsClient({
    db,
    http: guardedHttp,
    clock,
    log,
    secretBox,
    key: instanceKeys.current,
    clientWalletAddress: config.walletAddressUrl,
  })
  const methods = observeMethods(telemetry, createPaymentMethods({ ...base, connector }))
  const ready = async () => {
    await db.execute(sql`select 1`)
  }
  const standstill = createStandstill(async () => {
    trusted.renew()
    guarded.renew()
    await db.dropDead()
  })
  const invocation = {
    async begin() {
      await standstill.begin()
      await deafListener?.catchUp()
    },
    async end() {
      await telemetry.flush()
      standstill.end()
    },
  }
  return { ...base, sweepHolds, instanceKeys, connector, grants, methods, invocation, ready }
}
