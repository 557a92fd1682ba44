import { nodeConfig, nodeConfigChecks, resourceVariables } from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'

/** The webhook worker's variables: the node's, and its own. */
export const webhooksConfig = {
  ...nodeConfig,
  workers: resourceVariables.webhookWorkers,
  workerIdleMs: resourceVariables.webhookWorkerIdleMs,
}

export type WebhooksConfig = ConfigOf<typeof webhooksConfig>

/** Throws `ConfigError` with every problem at once. */
export const loadWebhooksConfig = (env: Environment): WebhooksConfig =>
  loadConfig(webhooksConfig, env, nodeConfigChecks)
