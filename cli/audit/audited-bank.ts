import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { parseTigerBeetleCluster } from '../../shared/ledger/index.ts'
import { nodeConfig, resourceVariables } from '../../shared/node-context/index.ts'
import { ConfigError, type Environment, loadConfig, messageOf } from '../../shared/platform/index.ts'

/** Where the books of a node are. */
export interface AuditedBank {
  resources: string
  /** Default: the ledger is in `resources`. */
  ledger?: string
  /** The ledger is there, and not in Postgres. As in the environment: this is also written to a file. */
  tigerbeetle?: { clusterId: string; replicaAddresses: string }
  /** By which its peers know it. */
  ilpAddress?: string
}

const { databaseUrl, ledgerDatabaseUrl, useTigerbeetle, ilpAddress } = nodeConfig
const { tigerbeetleClusterId, tigerbeetleReplicaAddresses } = resourceVariables

/** As the deployables read them. */
const auditConfig = {
  databaseUrl,
  ledgerDatabaseUrl,
  useTigerbeetle,
  ilpAddress,
  tigerbeetleClusterId,
  tigerbeetleReplicaAddresses,
}

/** The books of the node that has this environment. Throws `ConfigError`. */
export function auditedBank(env: Environment): AuditedBank {
  const config = loadConfig(auditConfig, env)
  const tigerbeetle = {
    clusterId: config.tigerbeetleClusterId,
    replicaAddresses: config.tigerbeetleReplicaAddresses,
  }
  if (config.useTigerbeetle) parseTigerBeetleCluster(tigerbeetle)
  return {
    resources: config.databaseUrl,
    ilpAddress: config.ilpAddress,
    ...(config.useTigerbeetle
      ? { tigerbeetle }
      : config.ledgerDatabaseUrl !== undefined && { ledger: config.ledgerDatabaseUrl }),
  }
}

/** `postgresql://…`, with its ledger in it; or a file with a node's environment. Throws `ConfigError`. */
export function parseAuditedBank(text: string): AuditedBank {
  if (/^postgres(ql)?:\/\//.test(text)) return { resources: text }
  try {
    return auditedBank(parseEnv(readFileSync(text, 'utf8')))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError([`${text} is no postgresql:// URL, and cannot be read: ${messageOf(error)}`])
  }
}
