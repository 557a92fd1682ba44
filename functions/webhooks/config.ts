import {
  brokerVariables,
  nodeConfig,
  nodeConfigChecks,
  redisChecks,
  resourceVariables,
  sqsVariables,
} from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'
import { brokerProblems } from '../../shared/queue/index.ts'

/** The webhook worker's variables: the node's, and its own. */
export const webhooksConfig = {
  ...nodeConfig,
  ...brokerVariables,
  sqsWebhooksQueueUrl: sqsVariables.sqsWebhooksQueueUrl,
  sqsWebhooksDeadLetterQueueUrl: sqsVariables.sqsWebhooksDeadLetterQueueUrl,
  workers: resourceVariables.webhookWorkers,
  workerIdleMs: resourceVariables.webhookWorkerIdleMs,
}

export type WebhooksConfig = ConfigOf<typeof webhooksConfig>

/** Throws `ConfigError` with every problem at once. */
export const loadWebhooksConfig = (env: Environment): WebhooksConfig =>
  loadConfig(webhooksConfig, env, (config) => [
    ...nodeConfigChecks(config),
    ...redisChecks(config),
    ...brokerProblems(config, ['webhooks']),
  ])
