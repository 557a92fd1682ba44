import { createDb, type Db, type DbPool, rawSql, sql } from '../platform/index.ts'
import { createTestDatabase, type TestDatabase, type TestDatabaseKind } from './database.ts'

/**
 * Rows of these tables, and entries of their indexes, that were read so far, where `db` has one connection and nobody else reads. Entries
 * count also where they lead to no row, as when they are only passed by.
 */
async function rowsRead(db: Db, tables: readonly string[]): Promise<number> {
  await db.execute(sql`select pg_stat_force_next_flush()`)
  await db.execute(sql`select pg_stat_clear_snapshot()`)
  return await db.one(
    (row) => Number(row.rows),
    sql`select sum(read) as rows from (
          select seq_tup_read as read, relname from pg_stat_user_tables union all select idx_tup_read, relname from pg_stat_user_indexes
        ) reads where relname = any(${tables})`,
  )
}

/** What `work` gives, and what it read of these tables: see {@link rowsRead}. */
export async function countReads<T>(
  db: Db,
  tables: readonly string[],
  work: () => Promise<T>,
): Promise<{ read: number; result: T }> {
  const before = await rowsRead(db, tables)
  const result = await work()
  return { read: (await rowsRead(db, tables)) - before, result }
}

/** A database that is the test's own, over one connection: its plans and its counts of rows read are what such a test is about. */
export interface DatabaseOfOldPlans {
  connectionString: TestDatabase['connectionString']
  db: DbPool
  close(): Promise<void>
}

/**
 * Statements keep the plans that they have first, or, as PostgreSQL does it by itself, one that it makes after five. These tables are not
 * analysed by themselves, which would let plans be made again: for a while after each growth nobody does that.
 */
export async function createDatabaseOfOldPlans(
  kind: TestDatabaseKind,
  tables: readonly string[],
  { keepsPlans = true }: { keepsPlans?: boolean } = {},
): Promise<DatabaseOfOldPlans> {
  const { connectionString, drop } = await createTestDatabase(kind)
  const db = createDb({ connectionString, poolSizeMax: 1, keepsPlans })
  for (const table of tables) await db.execute(rawSql(`alter table ${table} set (autovacuum_enabled = off)`))
  return {
    connectionString,
    db,
    async close() {
      await db.close()
      await drop()
    },
  }
}
