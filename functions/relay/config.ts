import {
  brokerVariables,
  functionVariables,
  nodeConfig,
  nodeConfigChecks,
  redisChecks,
  sqsVariables,
} from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'
import { brokerProblems, brokerQueues } from '../../shared/queue/index.ts'

/** The relay's variables: the node's, and those of all queues. */
export const relayConfig = { ...nodeConfig, ...brokerVariables, ...sqsVariables, ...functionVariables }

export type RelayConfig = ConfigOf<typeof relayConfig>

/** Throws `ConfigError` with every problem at once. */
export const loadRelayConfig = (env: Environment): RelayConfig =>
  loadConfig(relayConfig, env, (config) => [
    ...nodeConfigChecks(config),
    ...(config.queueDriver === 'postgres'
      ? ['QUEUE_DRIVER must be redis or sqs: without a broker there is nothing to relay']
      : []),
    ...redisChecks(config),
    ...brokerProblems(config, brokerQueues),
  ])
