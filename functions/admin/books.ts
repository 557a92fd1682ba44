/** For tests only: what all tables hold, so that nothing that changes a row stays unseen. */
import { type Db, rawSql } from '../../shared/platform/index.ts'

export interface Books {
  /** Rows, by table. */
  counts: Record<string, number>
  /** What they are altogether: an update shows too. */
  sum: string
}

interface Page {
  /** Which versions of rows these are: a row that is written has another, whatever is written. */
  versions: string
  count: number
  sum: string
}

/** Of every table but those that note that a request was made. */
const tables = rawSql(
  `select format('%I.%I', schemaname, tablename) as name from pg_tables
   where schemaname in ('public', 'ledger') and tablename not in ('idempotency_keys', 'used_signatures') order by 1`,
)

const versionsOf = (table: string) =>
  `select '${table}' as name, coalesce(sum(hashtextextended(r.ctid::text || r.xmin::text, r.tableoid::int8)), 0)::text as versions
   from ${table} r`

/** The texts are made once for each row, before they are looked through: hence the offset. */
const pageOf = (table: string, where: string) =>
  `select '${table}' as name, count(*), coalesce(md5(string_agg(text, '|' order by text)), '') as sum
   from (select r::text as text from ${table} r offset 0) as texts ${where}`

/**
 * Reads all rows, or only those that name one of `ids`. A table is read again when versions of its rows are others than the last time,
 * for most calls change few of them.
 */
export function openBooks(db: Db, ids?: readonly string[]): () => Promise<Books> {
  // Not a pattern of all of them, which costs PostgreSQL far more to prepare than to look for.
  const where = ids
    ? `where exists (select from unnest('{${ids.join()}}'::text[]) id where strpos(text, id) > 0)`
    : ''
  const pages = new Map<string, Page>()
  return async () => {
    const names = await db.many((row) => row.name as string, tables)
    const found = await db.many(
      (row) => ({ name: row.name as string, versions: row.versions as string }),
      rawSql(names.map(versionsOf).join(' union all ')),
    )
    const written = found.filter(({ name, versions }) => pages.get(name)?.versions !== versions)
    const read = await Promise.all(
      written.map(({ name, versions }) =>
        db.one(
          (row) => ({ name, versions, count: Number(row.count), sum: row.sum as string }),
          rawSql(pageOf(name, where)),
        ),
      ),
    )
    for (const { name, ...page } of read) pages.set(name, page)
    const all = names.map((name) => ({ name, ...(pages.get(name) as Page) }))
    return {
      counts: Object.fromEntries(all.map(({ name, count }) => [name, count])),
      sum: all.map(({ name, count, sum }) => `${name} ${count} ${sum}`).join('\n'),
    }
  }
}
