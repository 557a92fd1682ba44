import { parseTigerBeetleCluster, type TigerBeetleCluster } from '../shared/ledger/index.ts'
import { nodeConfig, nodeConfigChecks, redisChecks, resourceVariables } from '../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig, messageOf } from '../shared/platform/index.ts'

const {
  connectorPort,
  connectorRpcPort,
  connectorRpcPreviousSecret,
  tigerbeetleClusterId,
  tigerbeetleReplicaAddresses,
  shutdownNoticeMs,
  twoPhaseTimeoutSeconds,
  exchangeRatesLifetimeMs,
  exchangeRatesChangeMax,
  exchangeRatesAgeMaxMs,
  ilpTiming,
  telemetryRatesUrl,
  telemetryRatesLifetimeMs,
  peerPacketsPerMinute,
  streamRejects,
  partialPaymentDecisions,
  partialPaymentMaxWaitMs,
  partialPaymentSafetyMarginMs,
  redisUrl,
  redisCaFile,
  redisKeyFile,
  redisCertFile,
} = resourceVariables

/** The connector's variables: the node's, and its own. */
export const connectorConfig = {
  ...nodeConfig,
  connectorPort,
  connectorRpcPort,
  connectorRpcPreviousSecret,
  tigerbeetleClusterId,
  tigerbeetleReplicaAddresses,
  shutdownNoticeMs,
  twoPhaseTimeoutSeconds,
  exchangeRatesLifetimeMs,
  exchangeRatesChangeMax,
  exchangeRatesAgeMaxMs,
  ilpTiming,
  telemetryRatesUrl,
  telemetryRatesLifetimeMs,
  peerPacketsPerMinute,
  streamRejects,
  partialPaymentDecisions,
  partialPaymentMaxWaitMs,
  partialPaymentSafetyMarginMs,
  redisUrl,
  redisCaFile,
  redisKeyFile,
  redisCertFile,
}

export type ConnectorConfig = ConfigOf<typeof connectorConfig>

/** One port only where it is 0, which means any: the RPC is not for peers. */
const portProblems = ({ connectorPort: peers, connectorRpcPort: rpc }: ConnectorConfig): string[] =>
  peers === rpc && rpc !== 0 ? ['CONNECTOR_PORT and CONNECTOR_RPC_PORT must differ'] : []

/** The cluster of the environment. Throws an Error that says what is wrong. */
export const tigerBeetleOf = (config: ConnectorConfig): TigerBeetleCluster =>
  parseTigerBeetleCluster({
    clusterId: config.tigerbeetleClusterId,
    replicaAddresses: config.tigerbeetleReplicaAddresses,
  })

function tigerBeetleProblems(config: ConnectorConfig): string[] {
  if (!config.useTigerbeetle) return []
  try {
    tigerBeetleOf(config)
    return []
  } catch (error) {
    return [messageOf(error)]
  }
}

/** Throws `ConfigError` with every problem at once. */
export const loadConnectorConfig = (env: Environment): ConnectorConfig =>
  loadConfig(connectorConfig, env, (config) => [
    ...nodeConfigChecks(config),
    ...redisChecks(config),
    ...portProblems(config),
    ...tigerBeetleProblems(config),
  ])
