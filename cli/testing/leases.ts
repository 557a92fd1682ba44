import { createDb, sql } from '../../shared/platform/index.ts'

/** What ten seconds do to the leases of workers that were killed, at once. A worker that lives loses its own too, and takes new ones. */
export async function endLeases(connectionString: string): Promise<void> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    await db.execute(sql`update jobs set lease_until = now() where lease_until > now()`)
  } finally {
    await db.close()
  }
}
