import { fileURLToPath } from 'node:url'
import { migrate } from '../../platform/index.ts'

const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url))

/** Brings the schema `ledger` of a database up to date; returns the names of the applied migrations. */
export function migrateLedger(options: {
  connectionString: string
  manual?: boolean
  command?: string
}): Promise<string[]> {
  return migrate({ ...options, folder: MIGRATIONS, table: 'public.upesi_ledger_migrations' })
}
