import type { PostgresLedger, PostgresLedgerOptions } from './ledger.ts'

/** Loads the adapter where the ledger is in Postgres: with TigerBeetle nobody needs it. */
export async function openPostgresLedger(options: PostgresLedgerOptions): Promise<PostgresLedger> {
  const { createPostgresLedger } = await import('./ledger.ts')
  return createPostgresLedger(options)
}
