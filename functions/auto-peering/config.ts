import { nodeConfig, nodeConfigChecks, resourceVariables } from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'

const {
  autoPeeringEnabled,
  autoPeeringPort,
  autoPeeringCredit,
  autoPeeringCreditTotal,
  autoPeeringApproval,
  autoPeeringPeersMax,
  ilpConnectorUrl,
} = resourceVariables

/** What this deployable reads; the first two names are contract (contracts/admin/environment.md §1). */
export const autoPeeringConfig = {
  ...nodeConfig,
  autoPeeringEnabled,
  autoPeeringPort,
  autoPeeringCredit,
  autoPeeringCreditTotal,
  autoPeeringApproval,
  autoPeeringPeersMax,
  ilpConnectorUrl,
}

export type AutoPeeringConfig = ConfigOf<typeof autoPeeringConfig>

/** It is asked for, and this node can say who it is. */
function identityProblems(config: AutoPeeringConfig): string[] {
  if (!config.autoPeeringEnabled)
    return ['ENABLE_AUTO_PEERING is not true: this node accepts no requests to peer, and needs no listener']
  const needed = { ILP_CONNECTOR_URL: config.ilpConnectorUrl, INSTANCE_NAME: config.instanceName }
  return Object.entries(needed)
    .filter(([, value]) => value === undefined)
    .map(([name]) => `${name} is required with ENABLE_AUTO_PEERING: peers are told`)
}

export const loadAutoPeeringConfig = (env: Environment): AutoPeeringConfig =>
  loadConfig(autoPeeringConfig, env, (config) => [...nodeConfigChecks(config), ...identityProblems(config)])
