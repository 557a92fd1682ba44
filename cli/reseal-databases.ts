import { authConfig } from '../functions/auth/config.ts'
import { sealedAuthColumns } from '../functions/auth/sealed-columns.ts'
import { ensureIdpSecretHashes } from '../functions/auth/tenants/index.ts'
import { nodeConfig, sealedResourceColumns } from '../shared/node-context/index.ts'
import {
  createConfiguredSecretBox,
  createDb,
  type DbPool,
  deployableVariables,
  type Environment,
  type Logger,
  loadConfig,
  resealColumns,
  type SealedColumn,
  type SecretBox,
} from '../shared/platform/index.ts'

const { adminApiSecret, adminApiPreviousSecret, dbEncryptionSecret, dbEncryptionPreviousSecrets, logLevel } =
  deployableVariables

/** As the deployables read them, so that their environment serves. */
const resealConfig = {
  logLevel,
  adminApiSecret,
  adminApiPreviousSecret,
  dbEncryptionSecret,
  dbEncryptionPreviousSecrets,
  resources: nodeConfig.databaseUrl,
  auth: authConfig.databaseUrl,
}

export const databaseNames = ['resources', 'auth'] as const
export type DatabaseName = (typeof databaseNames)[number]

interface Work {
  columns: readonly SealedColumn[]
  /** What else depends on the key. */
  after?: (db: DbPool, secretBox: SecretBox, log: Logger) => Promise<void>
}

const workOf: Readonly<Record<DatabaseName, Work>> = {
  resources: { columns: sealedResourceColumns },
  auth: {
    columns: sealedAuthColumns,
    after: (db, secretBox, log) => ensureIdpSecretHashes({ db, secretBox, log }),
  },
}

export interface Resealing {
  lines: string[]
  /** Everything is under the current key, and the others are not needed any more. */
  isComplete: boolean
}

/** Seals everything in these databases with the key that the environment puts first. Throws `ConfigError`. */
export async function resealDatabases(
  env: Environment,
  names: readonly DatabaseName[],
  log: Logger,
): Promise<Resealing> {
  const config = loadConfig(resealConfig, env)
  const secretBox = createConfiguredSecretBox(config)
  const lines = [`sealing with the key ${secretBox.keyId}; opening with ${secretBox.keyIds.join(', ')}`]
  let isComplete = true
  for (const name of names) {
    const db = createDb({ connectionString: config[name], applicationName: 'upesi-reseal', poolSizeMax: 2 })
    try {
      const { columns, after } = workOf[name]
      const result = await resealColumns(db, secretBox, columns)
      await after?.(db, secretBox, log)
      for (const { table, column, resealed, unreadable } of result.columns) {
        lines.push(`${name}: ${table}.${column}: ${resealed} sealed anew`)
        lines.push(...unreadable.map((row) => `${name}: ${table}.${column}: NOT READABLE ${row}`))
      }
      isComplete &&= result.isComplete
      lines.push(
        result.isComplete
          ? `${name}: nothing is left under other keys`
          : `${name}: some texts are still under other keys: keep those keys, and run this again`,
      )
    } finally {
      await db.close()
    }
  }
  return { lines, isComplete }
}
