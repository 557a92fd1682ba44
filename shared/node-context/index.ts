/**
 * Node-context joins everything that a deployable on the resource database stands on: configuration, databases, ledger, clients,
 * keys. Always true of a context that was created: both databases are migrated, the operator tenant exists with the
 * environment's secret, secrets at rest open with the keys given, the node's processes share their signing keys, and every asset and peer has its accounts.
 */
export { type NodeConfig, nodeConfig, nodeConfigChecks } from './config.ts'
export type { InstanceKey, InstanceKeys, NodeContext, NodeSettings } from './model.ts'
export {
  createNodeContext,
  migrateNode,
  migrateResources,
  type NodeContextOptions,
  sealedResourceColumns,
} from './node-context.ts'
export {
  brokerVariables,
  functionVariables,
  redisChecks,
  resourceVariables,
  sqsVariables,
} from './resource-variables.ts'
