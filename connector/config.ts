import { nodeConfig, nodeConfigChecks, redisChecks, resourceVariables } from '../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../shared/platform/index.ts'

const {
  connectorPort,
  connectorRpcPort,
  connectorRpcPreviousSecret,
  twoPhaseTimeoutSeconds,
  exchangeRatesLifetimeMs,
  peerPacketsPerMinute,
  streamRejects,
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
  twoPhaseTimeoutSeconds,
  exchangeRatesLifetimeMs,
  peerPacketsPerMinute,
  streamRejects,
  redisUrl,
  redisCaFile,
  redisKeyFile,
  redisCertFile,
}

export type ConnectorConfig = ConfigOf<typeof connectorConfig>

/** Throws `ConfigError` with every problem at once. */
export const loadConnectorConfig = (env: Environment): ConnectorConfig =>
  loadConfig(connectorConfig, env, (config) => [...nodeConfigChecks(config), ...redisChecks(config)])
