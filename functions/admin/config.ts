import { nodeConfig, nodeConfigChecks, resourceVariables } from '../../shared/node-context/index.ts'
import { type ConfigOf, type Environment, loadConfig } from '../../shared/platform/index.ts'

const {
  adminPort,
  adminSignatureVersion,
  adminSignatureTtlSeconds,
  adminCorsOrigins,
  adminApiKeysEnabled,
  authServiceApiUrl,
  authServiceApiSecret,
  idempotencyLockMs,
  idempotencyLifespanMs,
  autoPeeringCredit,
  autoPeeringCreditTotal,
  autoPeeringApproval,
  autoPeeringPeersMax,
  ilpConnectorUrl,
} = resourceVariables

/** Admin's variables: the node's, and those of its listener. */
export const adminConfig = {
  ...nodeConfig,
  adminPort,
  adminSignatureVersion,
  adminSignatureTtlSeconds,
  adminCorsOrigins,
  adminApiKeysEnabled,
  authServiceApiUrl,
  authServiceApiSecret,
  idempotencyLockMs,
  idempotencyLifespanMs,
  autoPeeringCredit,
  autoPeeringCreditTotal,
  autoPeeringApproval,
  autoPeeringPeersMax,
  ilpConnectorUrl,
}

export type AdminConfig = ConfigOf<typeof adminConfig>

export const loadAdminConfig = (env: Environment): AdminConfig =>
  loadConfig(adminConfig, env, nodeConfigChecks)
