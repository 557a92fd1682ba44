/**
 * Node-context joins everything that a deployable on the resource database stands on: configuration, databases, ledger, clients,
 * keys. Always true of a context that was created: both databases are migrated, the operator tenant exists with the
 * environment's secret, the node has one signing key that all its processes share, and every asset and peer has its accounts.
 */
export { type NodeConfig, nodeConfig, nodeConfigChecks } from './config.ts'
export type { InstanceKey, NodeContext, NodeSettings } from './model.ts'
export { createNodeContext, migrateNode, type NodeContextOptions } from './node-context.ts'
export { redisChecks, resourceVariables } from './resource-variables.ts'
