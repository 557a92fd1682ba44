import { connectorRpcSecrets } from '../shared/connector-client/index.ts'
import {
  createPartialDecisions,
  findForPackets,
  reconcileIncomingPayments,
  recordIncomingProgress,
} from '../shared/incoming-payments/index.ts'
import { accountCode, createTigerBeetleLedger } from '../shared/ledger/index.ts'
import { createNodeContext, type NodeContext, type NodeContextOptions } from '../shared/node-context/index.ts'
import {
  findKeptPackets,
  getSendProgress,
  keepPacket,
  recordAnswers,
  recordSendProgress,
} from '../shared/outgoing-payments/index.ts'
import { listRoutedPeers, PEERS_CHANNEL, type RoutedPeer } from '../shared/peers/index.ts'
import {
  connectRedis,
  countListeners,
  messageOf,
  present,
  type StartDeployable,
  sql,
  uuidv7,
} from '../shared/platform/index.ts'
import { getTenantSettings, type TenantSettings, tenantSettingsAtHand } from '../shared/tenants/index.ts'
import {
  findWalletAddressForPackets,
  isActive,
  type WalletAddress,
} from '../shared/wallet-addresses/index.ts'
import { buildConnectorApp, type Connector, type ConnectorContext, type ConnectorSettings } from './app.ts'
import { type ConnectorConfig, loadConnectorConfig, tigerBeetleOf } from './config.ts'
import { createOwnLimits, createRedisBuckets, createSharedLimits } from './limits/index.ts'
import { HOLD_WINDOW_MS, type Payee } from './pipeline/index.ts'
import { createMemoryTotals, createRedisTotals } from './receipts/stream-totals.ts'
import type { LedgerAsset, Peer } from './routing/index.ts'

const CONNECTOR = 'connector'

/** For peers whose endpoints are others' word: as many packets at once as to those of the operator, each for as long as it may live. */
export const outboundOfConnector = { connectionsPerHost: 256, timeoutMsMax: HOLD_WINDOW_MS }

/** Starts the ILP connector: packets from peers on CONNECTOR_PORT, the functions' RPC on CONNECTOR_RPC_PORT. */
export const startConnector: StartDeployable = async (env) => {
  const config = loadConnectorConfig(env)
  const node = await createNodeContext(config, {
    name: CONNECTOR,
    environment: env,
    outbound: outboundOfConnector,
    ...ledgerOf(config),
  })
  let shared: Shared | undefined
  let listening: Connector | undefined
  try {
    shared = await openShared(node, config)
    const connector = await buildConnectorApp(
      { ...connectorContext(node, config), ...shared },
      connectorSettings(config),
    )
    listening = connector
    const repaired = repairIncomingPayments(node)
    const ports = await node.telemetry.listen(node.ready)
    return {
      name: CONNECTOR,
      ports: { ...connector.ports, ...ports },
      async close() {
        await connector.close()
        await repaired
        await node.close()
      },
    }
  } catch (error) {
    // What listens would keep the process alive: half a connector, which nobody restarts.
    await (listening ?? shared?.streamTotals)?.close()
    await node.close()
    throw error
  }
}

/** TigerBeetle, when it is the ledger: one client for the whole process. */
export const ledgerOf = (config: ConnectorConfig): Pick<NodeContextOptions, 'openLedger'> =>
  config.useTigerbeetle
    ? { openLedger: (log) => createTigerBeetleLedger({ ...tigerBeetleOf(config), log }) }
    : {}

export const connectorSettings = (config: ConnectorConfig): ConnectorSettings => ({
  operatorTenantId: config.operatorTenantId,
  ilpAddress: config.ilpAddress,
  streamSecret: config.streamSecret,
  streamRejects: config.streamRejects,
  holdSecondsMin: config.twoPhaseTimeoutSeconds,
  packetsPerMinute: config.peerPacketsPerMinute,
  ilpTiming: config.ilpTiming,
  ratesLifetimeMs: config.exchangeRatesLifetimeMs,
  ratesChangeMax: config.exchangeRatesChangeMax,
  ratesAgeMaxMs: config.exchangeRatesAgeMaxMs,
  rpcSecrets: connectorRpcSecrets(config),
  connectorPort: config.connectorPort,
  rpcPort: config.connectorRpcPort,
  shutdownNoticeMs: config.shutdownNoticeMs,
})

/** The rooms of `shared` behind the connector's ports. */
export function connectorContext(
  node: NodeContext,
  config: ConnectorConfig,
): Omit<ConnectorContext, keyof Shared> {
  const settingsOf = rememberSettings(node)
  const connectorId = uuidv7()
  return {
    ledger: node.ledger,
    clock: node.clock,
    log: node.log,
    telemetry: node.telemetry,
    ...(config.telemetryRatesUrl !== undefined && {
      telemetryRates: {
        source: { url: config.telemetryRatesUrl, http: node.trustedHttp },
        lifetimeMs: config.telemetryRatesLifetimeMs,
      },
    }),
    listener: node.listener,
    guardedHttp: node.guardedHttp,
    loadPeers: async () => (await listRoutedPeers(node)).map(toPeer),
    peersChannel: PEERS_CHANNEL,
    ilpAddressOf(tenantId) {
      const settings = settingsOf(tenantId)
      return settings instanceof Promise ? settings.then(addressIn) : addressIn(settings)
    },
    async ratesSource(tenantId) {
      const { exchangeRatesUrl: url, untrustedUrls } = await settingsOf(tenantId)
      if (url === undefined) return undefined
      return { url, http: untrustedUrls.includes('EXCHANGE_RATES_URL') ? node.guardedHttp : node.trustedHttp }
    },
    payees: {
      async findPayee(id) {
        const payment = await findForPackets(node, id, connectorId)
        if (payment)
          return {
            ...payment,
            asset: toLedgerAsset(payment.asset),
            accountCode: accountCode.incomingPayment,
          }
        const walletAddress = await findWalletAddressForPackets(node, id)
        return walletAddress && toPayee(walletAddress)
      },
    },
    async writeProgress(progress) {
      await recordIncomingProgress(node, progress)
    },
    ...(config.partialPaymentDecisions && {
      partialDecisions: createPartialDecisions(node, {
        maxWaitMs: config.partialPaymentMaxWaitMs,
        safetyMarginMs: config.partialPaymentSafetyMarginMs,
      }),
    }),
    records: {
      getSendProgress: (id) => getSendProgress(node, id),
      recordSendProgress: (outgoingPaymentId, totals, answered) =>
        recordSendProgress(node, { outgoingPaymentId, ...totals, answered }),
      recordAnswers: (input) => recordAnswers(node, input),
    },
    kept: {
      sender: connectorId,
      keep: (packet) => keepPacket(node, packet),
      find: (outgoingPaymentId) => findKeptPackets(node, outgoingPaymentId),
    },
    async ready() {
      await node.db.execute(sql`select 1`)
      await node.ledger.lookupAccounts([node.settings.operatorTenantId])
    },
  }
}

type Shared = Pick<ConnectorContext, 'streamTotals' | 'createLimits'>

/** REDIS_URL shares totals and limits between connectors; `none` keeps them here, for a single one. */
export async function openShared(node: NodeContext, config: ConnectorConfig): Promise<Shared> {
  const { clock, log } = node
  const { redisUrl: url, redisCaFile: caFile, redisKeyFile: keyFile, redisCertFile: certFile } = config
  if (url === 'none')
    return { streamTotals: createMemoryTotals(clock), createLimits: () => createOwnLimits(clock) }
  const redis = await connectRedis({ url, ...present({ caFile, keyFile, certFile }), log })
  const buckets = createRedisBuckets(redis, config.operatorTenantId)
  return {
    streamTotals: createRedisTotals(redis, clock, log),
    createLimits: (counters) =>
      createSharedLimits({
        buckets,
        member: uuidv7(),
        countConnectors: () => countListeners(node.db, CONNECTOR),
        clock,
        log,
        counters,
      }),
  }
}

const toLedgerAsset = (asset: RoutedPeer['asset']): LedgerAsset => ({
  id: asset.id,
  assetCode: asset.code,
  assetScale: asset.scale,
  ledger: asset.ledger,
})

const toPayee = (walletAddress: WalletAddress): Payee => ({
  id: walletAddress.id,
  tenantId: walletAddress.tenantId,
  asset: toLedgerAsset(walletAddress.asset),
  state: isActive(walletAddress) ? 'ACTIVE' : 'INACTIVE',
  accountCode: accountCode.webMonetization,
})

const toPeer = (peer: RoutedPeer): Peer => ({
  id: peer.id,
  tenantId: peer.tenantId,
  asset: toLedgerAsset(peer.asset),
  staticIlpAddress: peer.staticIlpAddress,
  routes: peer.routes,
  endpoint: peer.outgoing.endpoint,
  isEndpointForeign: peer.peeringUrl !== undefined,
  outgoingToken: peer.outgoing.authToken,
  incomingTokenHashes: peer.incomingTokenHashes,
  ...(peer.maxPacketAmount !== undefined && { maxPacketAmount: peer.maxPacketAmount }),
  ...(peer.packetsPerMinute !== undefined && { packetsPerMinute: peer.packetsPerMinute }),
  ...(peer.amountLimit && { amountLimit: peer.amountLimit }),
})

type Settings = Readonly<TenantSettings>

const addressIn = ({ ilpAddress }: Settings): string | undefined => ilpAddress

/** Packets go on with a tenant's last known settings while the database is away. Promises them only when they have to be waited for. */
function rememberSettings(node: NodeContext): (tenantId: string) => Promise<Settings> | Settings {
  const known = new Map<string, Settings>()
  const remember = (tenantId: string, settings: Settings): Settings => {
    if (known.get(tenantId) !== settings) known.set(tenantId, settings)
    return settings
  }
  const ask = async (tenantId: string): Promise<Settings> => {
    try {
      return remember(tenantId, await getTenantSettings(node, tenantId))
    } catch (error) {
      const last = known.get(tenantId)
      if (!last) throw error
      node.log.warn({ tenantId, reason: messageOf(error) }, 'tenant settings cannot be read; using the last')
      return last
    }
  }
  return (tenantId) => {
    const settings = tenantSettingsAtHand(node, tenantId)
    return settings ? remember(tenantId, settings) : ask(tenantId)
  }
}

/** Money whose state was not recorded before a crash. Beside the packets, because it walks over all open payments. */
async function repairIncomingPayments(node: NodeContext): Promise<void> {
  try {
    const repaired = await reconcileIncomingPayments(node)
    if (repaired.length > 0)
      node.log.warn({ repaired }, 'incoming payments had their amount and were not completed: they are now')
  } catch (error) {
    node.log.error({ reason: messageOf(error) }, 'incoming payments were not compared with the ledger')
  }
}
