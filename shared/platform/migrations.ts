import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { type IndexStatement, parseIndexes, runIndexStatement } from './concurrent-indexes.ts'
import type { Db } from './db.ts'
import { Refusal } from './errors.ts'
import { rawSql, sql } from './sql.ts'

export class PendingMigrations extends Refusal<'pending_migrations'> {
  constructor(names: string[]) {
    super('pending_migrations', {
      message: `ENABLE_MANUAL_MIGRATIONS is set and migrations are pending (${names.join(', ')}); run: npm run migrate`,
    })
  }
}

export class MigrationMismatch extends Refusal<'migration_mismatch'> {
  constructor(message: string) {
    super('migration_mismatch', { message })
  }
}

interface Migration {
  name: string
  text: string
  checksum: string
  /** Absent: everything in one transaction. */
  indexes?: IndexStatement[]
}

/** Ends the names of files that make and drop indexes while others write. */
const CONCURRENT = '.concurrent.sql'

/** At once: many small files, which a start waits for, cost several times as much where each is waited for. */
function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z0-9_-]+(\.concurrent)?\.sql$/.test(name))
    .sort()
  return names.map((name) => {
    const text = readFileSync(`${folder}/${name}`, 'utf8')
    const checksum = createHash('sha256').update(text).digest('hex')
    return { name, text, checksum, ...(name.endsWith(CONCURRENT) && { indexes: parseIndexes(name, text) }) }
  })
}

/**
 * Applies the numbered `.sql` files of `folder` that the database has not seen, oldest first. Each is one transaction, except for
 * `.concurrent.sql`: those make indexes of tables that others write to, in statements of their own, and are begun anew when they
 * were cut off. Several processes may start at once: an advisory lock lets one of them migrate. Throws {@link MigrationMismatch} when the database is newer than this code or a file was edited after it was
 * applied.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const migrations = readMigrations(options.folder)
  const client = new pg.Client({
    connectionString: options.connectionString,
    application_name: 'upesi-migrate',
  })
  await client.connect()
  try {
    await takeTurn(client, options.table)
    const { table } = options
    await client.query(
      `create table if not exists ${table} (name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
    )
    const { rows } = await client.query<Applied>(`select name, checksum from ${table}`)
    const pending = pendingOf(migrations, rows)
    for (const migration of pending) await apply(client, options.table, migration)
    return pending.map((migration) => migration.name)
  } finally {
    await client.end()
  }
}

export interface MigrationSet {
  folder: string
  /** Name of the bookkeeping table, one per folder, so that several sets can share a database. */
  table: string
}

export interface MigrateOptions extends MigrationSet {
  connectionString: string
}

/** Of a table that is not there. */
const UNDEFINED_TABLE = '42P01'

/**
 * For starts that do not migrate (ENABLE_MANUAL_MIGRATIONS): writes nothing, and no session keeps anything, so that it may run through
 * a pooler. Throws {@link PendingMigrations} when the database has not seen all of them, and as {@link migrate}.
 */
export async function assertMigrated(db: Db, { folder, table }: MigrationSet): Promise<void> {
  const asked = db
    .many((row) => row as Applied, sql`select name, checksum from ${rawSql(table)}`)
    .catch((error: unknown) => {
      if ((error as { code?: string }).code === UNDEFINED_TABLE) return []
      throw error
    })
  // While the database answers.
  const migrations = readMigrations(folder)
  const pending = pendingOf(migrations, await asked)
  if (pending.length > 0) throw new PendingMigrations(pending.map(({ name }) => name))
}

const TURN_MS = 100

/** Asked for again and again: who waits within a statement is waited for by `create index concurrently`, and both would wait for ever. */
async function takeTurn(client: pg.Client, table: string): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtext($1)) as taken',
      [`upesi-migrations-${table}`],
    )
    if (rows[0]?.taken) return
    await setTimeout(TURN_MS)
  }
}

interface Applied {
  name: string
  checksum: string
}

function pendingOf(migrations: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const known = new Map(applied.map(({ name, checksum }) => [name, checksum]))
  for (const name of known.keys()) {
    if (!migrations.some((migration) => migration.name === name))
      throw new MigrationMismatch(
        `the database has migration ${name}, which this version does not know: upgrade it`,
      )
  }
  return migrations.filter(({ name, checksum }) => {
    const found = known.get(name)
    if (found !== undefined && found !== checksum)
      throw new MigrationMismatch(`migration ${name} was changed after it was applied`)
    return found === undefined
  })
}

/** Who waits for a table's lock holds up everybody who comes later: after so long others go first, and we ask again. */
const LOCK_MS = 500
const LOCK_PAUSE_MS = 1_000
const LOCK_ATTEMPTS_MAX = 600
/** `lock_not_available` and `deadlock_detected`. */
const BUSY = new Set(['55P03', '40P01'])

async function apply(client: pg.Client, table: string, migration: Migration): Promise<void> {
  const { name, checksum } = migration
  const note = () => client.query(`insert into ${table} (name, checksum) values ($1, $2)`, [name, checksum])
  if (migration.indexes) {
    for (const statement of migration.indexes) await runIndexStatement(client, statement)
    await note()
    return
  }
  for (let attempt = 1; ; attempt++) {
    await client.query('begin')
    try {
      await client.query(`set local lock_timeout = ${LOCK_MS}`)
      await client.query(migration.text)
      await note()
      await client.query('commit')
      return
    } catch (error) {
      const isBusy = error instanceof pg.DatabaseError && BUSY.has(error.code ?? '')
      if (!isBusy || attempt === LOCK_ATTEMPTS_MAX) throw error
      await client.query('rollback')
      await setTimeout(LOCK_PAUSE_MS)
    }
  }
}
