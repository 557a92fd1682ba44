import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { type IndexStatement, parseIndexes, runIndexStatement } from './concurrent-indexes.ts'
import type { Db } from './db.ts'
import { Refusal } from './errors.ts'
import { rawSql, type Sql, sql, sqlText } from './sql.ts'

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

const checksumsOf = (migrations: readonly Migration[]): string =>
  JSON.stringify(Object.fromEntries(migrations.map(({ name, checksum }) => [name, checksum])))

/** Checksums by name, as JSON. */
export const migrationChecksums = (folder: string): string => checksumsOf(readMigrations(folder))

/** Beside the migrations of a bundle: what {@link migrationChecksums} said when it was built, for starts that only compare. */
export const CHECKSUMS_FILE = 'checksums.json'

function readChecksums(folder: string): string {
  try {
    return readFileSync(`${folder}/${CHECKSUMS_FILE}`, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return migrationChecksums(folder)
    throw error
  }
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
    const compared = differences(table, checksumsOf(migrations))
    const { rows } = await client.query<Difference>(sqlText(compared), compared.values as unknown[])
    const pendingNames = new Set(pendingOf(rows))
    const pending = migrations.filter(({ name }) => pendingNames.has(name))
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
  const checksums = readChecksums(folder)
  const rows = await db
    .many((row) => row as Difference, differences(table, checksums))
    .catch((error: unknown) => {
      if ((error as { code?: string }).code !== UNDEFINED_TABLE) throw error
      return Object.keys(JSON.parse(checksums)).map((name): Difference => ({ name, ours: '', applied: null }))
    })
  const pending = pendingOf(rows)
  if (pending.length > 0) throw new PendingMigrations(pending)
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

/** A migration that either side does not have, or not as the other has it. Checksums. */
interface Difference {
  name: string
  ours: string | null
  applied: string | null
}

/** Compared by the database: of a hundred migrations it usually has nothing to say. */
const differences = (table: string, checksums: string): Sql => sql`
  select coalesce(ours.name, applied.name) as name, ours.checksum as ours, applied.checksum as applied
  from json_each_text(${checksums}::json) as ours (name, checksum)
  full join ${rawSql(table)} as applied using (name)
  where ours.checksum is distinct from applied.checksum
  order by 1`

/** The names of those that the database has not seen, oldest first. */
function pendingOf(differing: readonly Difference[]): string[] {
  const unknown = differing.find(({ ours }) => ours === null)
  if (unknown)
    throw new MigrationMismatch(
      `the database has migration ${unknown.name}, which this version does not know: upgrade it`,
    )
  const changed = differing.find(({ applied }) => applied !== null)
  if (changed) throw new MigrationMismatch(`migration ${changed.name} was changed after it was applied`)
  return differing.map(({ name }) => name)
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
