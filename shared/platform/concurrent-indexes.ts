import type pg from 'pg'
import { assert } from './errors.ts'

/** One statement of a `.concurrent.sql` file. */
export interface IndexStatement {
  text: string
  /** What it makes; absent when it drops. */
  makes?: { name: string; table: string }
}

const CREATE = /^create (?:unique )?index concurrently ([a-z_][a-z0-9_]*) on ([a-z_][a-z0-9_.]*) [^;]+$/s
const DROP = /^drop index concurrently if exists [a-z_][a-z0-9_.]*$/

/** Only these statements, because only these can be begun anew after they were cut off. Anything else is a bug of the file. */
export function parseIndexes(file: string, text: string): IndexStatement[] {
  const statements = text
    .replace(/--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
  assert(statements.length > 0, `${file} has statements`)
  return statements.map((statement) => {
    const [, name, table] = CREATE.exec(statement) ?? []
    const isKnown = name !== undefined || DROP.test(statement)
    assert(isKnown, `${file} makes and drops indexes concurrently, and does nothing else`, statement)
    return { text: statement, ...(name !== undefined && table !== undefined && { makes: { name, table } }) }
  })
}

/** Writes to the table go on meanwhile. An index that is there stays; one that an earlier try left unusable is made anew. */
export async function runIndexStatement(client: pg.Client, { text, makes }: IndexStatement): Promise<void> {
  if (makes) {
    const { rows } = await client.query<{ index: string; is_valid: boolean }>(
      `select i.indexrelid::regclass::text as index, i.indisvalid as is_valid
       from pg_index i join pg_class c on c.oid = i.indexrelid
       where i.indrelid = $1::regclass and c.relname = $2`,
      [makes.table, makes.name],
    )
    const [found] = rows
    if (found?.is_valid) return
    if (found) await client.query(`drop index concurrently ${found.index}`)
  }
  await client.query(text)
}
