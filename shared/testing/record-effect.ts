import { type Db, sql } from '../platform/index.ts'
import { finishLeases, type JobHandler, leaseColumns, outcomeOf } from '../queue/index.ts'

/**
 * A handler whose effect, a row (key, by) of the table `effects`, is in the statement that ends the job: it happens as often as the
 * job ends. Whoever lost the lease has none.
 */
export const recordEffect =
  (db: Db, by: string): JobHandler =>
  async (job) => {
    const rows = await db.many(
      (row) => row,
      sql`with ${finishLeases([job])}, effect as (insert into effects select key, ${by}::text from leases)
        select ${leaseColumns} from leases`,
    )
    return outcomeOf(job, rows[0])
  }
