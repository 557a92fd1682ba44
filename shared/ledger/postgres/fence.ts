import pg from 'pg'
import { createDb, type Db, Fault, sql } from '../../platform/index.ts'

/** Says where the books went that this Postgres ledger held. While it stands, nothing is booked here. */
export interface Fence {
  movedTo: string
  raisedAt: Date
}

/** As `ledger.take_locks` raises it. */
const FENCED = 'UL002'

/** A Postgres ledger met its fence: nothing was applied. Retryable, since the work stays and another process knows the new place. */
export const fenceFault = (error: unknown): Fault | undefined =>
  error instanceof pg.DatabaseError && error.code === FENCED
    ? new Fault('ledger_moved', { retryable: true, message: error.message, cause: error })
    : undefined

const open = (connectionString: string) =>
  createDb({ connectionString, poolSizeMax: 1, applicationName: 'upesi-ledger-fence' })

/** As {@link findFence}, by a connection that is there. */
export const readFence = (db: Db): Promise<Fence | undefined> =>
  db.maybe(
    (row) => ({ movedTo: row.moved_to as string, raisedAt: row.raised_at as Date }),
    sql`select moved_to, raised_at from ledger.fence`,
  )

/** The fence of a ledger that is up to date. */
export async function findFence(connectionString: string): Promise<Fence | undefined> {
  const db = open(connectionString)
  try {
    return await readFence(db)
  } finally {
    await db.close()
  }
}

/** Opens a ledger that had moved, for good. */
export async function liftFence(connectionString: string): Promise<void> {
  const db = open(connectionString)
  try {
    await db.execute(sql`delete from ledger.fence`)
  } finally {
    await db.close()
  }
}
