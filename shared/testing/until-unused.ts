import { createDb, sql } from '../platform/index.ts'
import { waitFor } from './wait-for.ts'

/** Until the server has forgotten the connections of ledgers that were closed, which takes it some milliseconds. For tests. */
export async function untilUnused(connectionString: string): Promise<void> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  const open = sql`select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and application_name = 'upesi-ledger'`
  try {
    await waitFor(async () => (await db.one((row) => Number(row.count), open)) === 0)
  } finally {
    await db.close()
  }
}
