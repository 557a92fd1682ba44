import { fileURLToPath } from 'node:url'
import { assertMigrated, type Db, migrate } from '../../platform/index.ts'

const MIGRATIONS = {
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
  table: 'public.upesi_ledger_migrations',
}

/** Brings the schema `ledger` of a database up to date; returns the names of the applied migrations. */
export const migrateLedger = (options: { connectionString: string }): Promise<string[]> =>
  migrate({ ...options, ...MIGRATIONS })

/** Throws PendingMigrations where it is not. */
export const assertLedgerMigrated = (db: Db): Promise<void> => assertMigrated(db, MIGRATIONS)
