import { ConfigError } from './config.ts'
import type { Db } from './db.ts'
import { messageOf } from './errors.ts'
import type { SecretBox } from './secret-box.ts'
import { type Row, rawSql, type Sql, sql } from './sql.ts'

/** A column of sealed texts. Each room that seals lists its own, so that all of them can be sealed anew. */
export interface SealedColumn {
  table: string
  column: string
  /** The primary key: one column. */
  key: string
  keyType: 'uuid' | 'text'
  /** Columns beside the key that `place` reads. */
  reads?: readonly string[]
  /** What the text of this row is sealed for. */
  place(row: Row): string
}

interface Resealed {
  table: string
  column: string
  /** Sealed with the current key now. */
  resealed: number
  /** Rows, by key, that no given key opens. */
  unreadable: string[]
}

const BATCH_SIZE = 200

interface SealedRow {
  key: unknown
  keyText: string
  sealed: string
  row: Row
}

function selectStale(column: SealedColumn, currentPrefix: string, after: unknown): Sql {
  const [table, key, name] = [column.table, column.key, column.column].map(rawSql) as [Sql, Sql, Sql]
  const names = rawSql([column.key, column.column, ...(column.reads ?? [])].join(', '))
  const behind = after === undefined ? rawSql('true') : sql`${key} > ${after}`
  return sql`select ${names}, ${key}::text as key_text from ${table}
    where ${name} is not null and not starts_with(${name}, ${currentPrefix}) and ${behind}
    order by ${key} limit ${BATCH_SIZE}`
}

/** Only where the text is still the one that was read: who wrote meanwhile had the newer word. */
const updateSealed = (column: SealedColumn, texts: readonly { row: SealedRow; sealed: string }[]): Sql => {
  const [name, key] = [rawSql(column.column), rawSql(`t.${column.key}`)]
  const keys = texts.map(({ row }) => row.keyText)
  return sql`update ${rawSql(column.table)} t set ${name} = s.new
    from unnest(${keys}::text[], ${texts.map(({ row }) => row.sealed)}::text[],
      ${texts.map(({ sealed }) => sealed)}::text[]) as s (key, old, new)
    where ${key} = any(${keys}::${rawSql(column.keyType)}[]) and ${key} = s.key::${rawSql(column.keyType)} and t.${name} = s.old`
}

async function resealColumn(db: Db, secretBox: SecretBox, column: SealedColumn): Promise<Resealed> {
  const result: Resealed = { table: column.table, column: column.column, resealed: 0, unreadable: [] }
  const toRow = (row: Row): SealedRow => ({
    key: row[column.key],
    keyText: row.key_text,
    sealed: row[column.column],
    row,
  })
  let after: unknown
  for (;;) {
    const rows = await db.many(toRow, selectStale(column, secretBox.currentPrefix, after))
    const texts: { row: SealedRow; sealed: string }[] = []
    for (const row of rows) {
      const place = column.place(row.row)
      try {
        texts.push({ row, sealed: secretBox.seal(secretBox.open(row.sealed, place), place) })
      } catch (error) {
        result.unreadable.push(`${row.keyText}: ${messageOf(error)}`)
      }
    }
    if (texts.length > 0) result.resealed += await db.execute(updateSealed(column, texts))
    if (rows.length < BATCH_SIZE) return result
    after = rows.at(-1)?.key
  }
}

const countStale = async (db: Db, secretBox: SecretBox, { table, column }: SealedColumn): Promise<number> =>
  await db.one(
    (row) => Number(row.n),
    sql`select count(*) as n from ${rawSql(table)}
      where ${rawSql(column)} is not null and not starts_with(${rawSql(column)}, ${secretBox.currentPrefix})`,
  )

const noteKey = (db: Db, { keyId }: SecretBox): Promise<number> =>
  db.execute(sql`insert into secret_keys (id) values (${keyId}) on conflict (id) do nothing`)

/**
 * Seals every text anew that another key sealed, in small batches, while the node runs. When none is left, the other keys are
 * forgotten: starts do not ask for them any more. May be repeated at will.
 */
export async function resealColumns(
  db: Db,
  secretBox: SecretBox,
  columns: readonly SealedColumn[],
): Promise<{ columns: Resealed[]; isComplete: boolean }> {
  // Before anything is sealed with it: whoever starts without it would find what cannot be opened, and seal more with another.
  await noteKey(db, secretBox)
  const results: Resealed[] = []
  for (const column of columns) results.push(await resealColumn(db, secretBox, column))
  let left = 0
  for (const column of columns) left += await countStale(db, secretBox, column)
  if (left === 0) await db.execute(sql`delete from secret_keys where id <> ${secretBox.keyId}`)
  return { columns: results, isComplete: left === 0 }
}

/** Texts of releases that knew one key only name none, so one is tried. */
async function unreadableUnnamed(
  db: Db,
  secretBox: SecretBox,
  columns: readonly SealedColumn[],
): Promise<boolean> {
  for (const column of columns) {
    const name = rawSql(column.column)
    const found = await db.maybe(
      (row) => row,
      sql`select ${rawSql([column.key, column.column, ...(column.reads ?? [])].join(', '))} from ${rawSql(column.table)}
        where starts_with(${name}, 'v1.') limit 1`,
    )
    if (found === undefined) continue
    try {
      secretBox.open(found[column.column], column.place(found))
    } catch {
      return true
    }
  }
  return false
}

const ADVICE =
  'give the key that it was in DB_ENCRYPTION_SECRET_PREVIOUS (or ADMIN_API_SECRET_PREVIOUS, where secrets are sealed with ADMIN_API_SECRET)'

/**
 * At each start, before anything sealed is read or written: notes the key that this process seals with, and throws
 * {@link ConfigError} when the database holds secrets of a key that it was not given. `probed` are few rows each.
 */
export async function ensureSecretKeys(
  db: Db,
  secretBox: SecretBox,
  probed: readonly SealedColumn[],
): Promise<void> {
  const known = await db.many(
    (row) => ({ id: row.id as string, since: row.since as Date }),
    sql`select id, since from secret_keys order by since`,
  )
  const missing = known.filter(({ id }) => !secretBox.keyIds.includes(id))
  if (missing.length > 0)
    throw new ConfigError(
      missing.map(
        ({ id, since }) =>
          `DB_ENCRYPTION_SECRET: the database holds secrets sealed with the key ${id} (in use since ${since.toISOString()}), and the keys given are ${secretBox.keyIds.join(', ')}; ${ADVICE}`,
      ),
    )
  if (known.length === 0 && (await unreadableUnnamed(db, secretBox, probed)))
    throw new ConfigError([`DB_ENCRYPTION_SECRET does not open the secrets in the database; ${ADVICE}`])
  if (!known.some(({ id }) => id === secretBox.keyId)) await noteKey(db, secretBox)
}
