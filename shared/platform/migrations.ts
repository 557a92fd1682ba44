import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { Refusal } from './errors.ts'

export class PendingMigrations extends Refusal<'pending_migrations'> {
  constructor(names: string[], command: string) {
    super('pending_migrations', {
      message: `ENABLE_MANUAL_MIGRATIONS is set and migrations are pending (${names.join(', ')}); run: ${command}`,
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
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_-]+\.sql$/.test(name)).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8')
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
    }),
  )
}

/**
 * Applies the numbered `.sql` files of `folder` that the database has not seen, each in a transaction, oldest first. Several
 * processes may start at once: an advisory lock lets one of them migrate. With `manual` pending files are refused instead.
 * Throws {@link MigrationMismatch} when the database is newer than this code or a file was edited after it was applied.
 */
export async function migrate(options: {
  connectionString: string
  folder: string
  /** Name of the bookkeeping table, one per folder, so that several sets can share a database. */
  table: string
  manual?: boolean
  command?: string
}): Promise<string[]> {
  const migrations = await readMigrations(options.folder)
  const client = new pg.Client({
    connectionString: options.connectionString,
    application_name: 'upesi-migrate',
  })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock(hashtext($1))', [`upesi-migrations-${options.table}`])
    await client.query(
      `create table if not exists ${options.table} (name text primary key, checksum text not null, applied_at timestamptz not null default now())`,
    )
    const applied = await client.query<{ name: string; checksum: string }>(
      `select name, checksum from ${options.table}`,
    )
    const known = new Map(applied.rows.map((row) => [row.name, row.checksum]))
    for (const name of known.keys()) {
      if (!migrations.some((migration) => migration.name === name))
        throw new MigrationMismatch(
          `the database has migration ${name}, which this version does not know: upgrade it`,
        )
    }
    const pending: Migration[] = []
    for (const migration of migrations) {
      const checksum = known.get(migration.name)
      if (checksum === undefined) pending.push(migration)
      else if (checksum !== migration.checksum)
        throw new MigrationMismatch(`migration ${migration.name} was changed after it was applied`)
    }
    if (pending.length > 0 && options.manual)
      throw new PendingMigrations(
        pending.map((migration) => migration.name),
        options.command ?? 'npm run migrate',
      )
    for (const migration of pending) {
      await client.query('begin')
      await client.query(migration.text)
      await client.query(`insert into ${options.table} (name, checksum) values ($1, $2)`, [
        migration.name,
        migration.checksum,
      ])
      await client.query('commit')
    }
    return pending.map((migration) => migration.name)
  } finally {
    await client.end()
  }
}
