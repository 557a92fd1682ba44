import { type Db, sql } from '../platform/index.ts'

/**
 * Rows of these tables, and entries of their indexes, that were read so far, where `db` has one connection and nobody else reads. Entries
 * count also where they lead to no row, as when they are only passed by.
 */
export async function rowsRead(db: Db, tables: readonly string[]): Promise<number> {
  await db.execute(sql`select pg_stat_force_next_flush()`)
  await db.execute(sql`select pg_stat_clear_snapshot()`)
  return await db.one(
    (row) => Number(row.rows),
    sql`select sum(read) as rows from (
          select seq_tup_read as read, relname from pg_stat_user_tables union all select idx_tup_read, relname from pg_stat_user_indexes
        ) reads where relname = any(${tables})`,
  )
}
