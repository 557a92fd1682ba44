import { fileURLToPath } from 'node:url'
import { migrateLedger } from '../../shared/ledger/index.ts'
import { migrateResources } from '../../shared/node-context/index.ts'
import { type Environment, migrate } from '../../shared/platform/index.ts'
import { loadMigrateConfig } from './config.ts'

/** Names of what was applied, by database; those that were left alone are absent. */
export interface Migrated {
  resources?: string[]
  ledger?: string[]
  auth?: string[]
}

// Files, not code: nothing of the authorization server is loaded here.
const AUTH_MIGRATIONS = fileURLToPath(new URL('../auth/migrations', import.meta.url))

/**
 * Brings the databases that the environment names up to date: for installations whose deployables do not do so themselves
 * (ENABLE_MANUAL_MIGRATIONS). Safe to repeat and to run beside others; what is up to date stays as it is. Throws what a migration throws,
 * after which the databases before it are up to date and the one that failed is at its last good migration.
 */
export async function migrateDatabases(env: Environment): Promise<Migrated> {
  const { databaseUrl, ledgerDatabaseUrl, useTigerbeetle, authDatabaseUrl } = loadMigrateConfig(env)
  const ledgerUrl = useTigerbeetle ? undefined : (ledgerDatabaseUrl ?? databaseUrl)
  return {
    ...(databaseUrl !== undefined && {
      resources: await migrateResources({ connectionString: databaseUrl }),
    }),
    ...(ledgerUrl !== undefined && { ledger: await migrateLedger({ connectionString: ledgerUrl }) }),
    ...(authDatabaseUrl !== undefined && {
      auth: await migrate({
        connectionString: authDatabaseUrl,
        folder: AUTH_MIGRATIONS,
        table: 'upesi_auth_migrations',
      }),
    }),
  }
}
