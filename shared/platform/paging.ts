import type { Db, Row } from './db.ts'
import { Refusal } from './errors.ts'
import { isUuid } from './ids.ts'
import { joinSql, rawSql, type Sql, sql } from './sql.ts'

/** The page that was asked for makes no sense: size out of range, `last` without `before`, a cursor that is not an id. */
export class InvalidPage extends Refusal<'invalid_page'> {
  constructor(message: string) {
    super('invalid_page', { message })
  }
}

/** What a list may be asked for (contracts/admin/admin-api.md §5). Cursors are the ids of rows. */
export interface Page {
  first?: number
  last?: number
  after?: string
  before?: string
  /** Default `DESC`: newest first. */
  sortOrder?: 'ASC' | 'DESC'
}

export interface Paged<T> {
  items: T[]
  hasNextPage: boolean
  hasPreviousPage: boolean
}

export const PAGE_SIZE_DEFAULT = 20
export const PAGE_SIZE_MAX = 100

interface ReadPage {
  cursor?: string
  /** Towards the end of the list as sorted, or back from `before`. */
  direction: 'forward' | 'backward'
  size: number
  ascending: boolean
}

function sizeOf(name: 'first' | 'last', size: number | undefined): number {
  if (size === undefined || size === 0) return PAGE_SIZE_DEFAULT
  if (!Number.isInteger(size) || size < 0 || size > PAGE_SIZE_MAX)
    throw new InvalidPage(`${name} must be a whole number from 1 to ${PAGE_SIZE_MAX}`)
  return size
}

/** Decides what is asked. `after` wins over `before`; `after` reads `first`, `before` reads `last`; 0 means the default size. */
export function readPage(page: Page): ReadPage {
  const ascending = page.sortOrder === 'ASC'
  const first = sizeOf('first', page.first)
  const last = sizeOf('last', page.last)
  for (const [name, cursor] of [
    ['after', page.after],
    ['before', page.before],
  ])
    if (cursor !== undefined && !isUuid(cursor)) throw new InvalidPage(`${name} must be the id of a row`)
  if (page.after !== undefined) return { cursor: page.after, direction: 'forward', size: first, ascending }
  if (page.before !== undefined) return { cursor: page.before, direction: 'backward', size: last, ascending }
  if (page.last !== undefined) throw new InvalidPage('last needs before')
  return { direction: 'forward', size: first, ascending }
}

export interface ListQuery<T> {
  map: (row: Row) => T
  columns: Sql
  /** The table with its joins. */
  from: Sql
  /** Name of the listed table's alias in `from`; it has `id` and `created_at`. */
  alias: string
  /** The listed table itself, where the cursor's row is looked up. */
  table: string
  /** Everything that a row must satisfy, tenant scope included. */
  where: readonly Sql[]
  /** What the cursor's row must satisfy, by the same alias: with the tenant scope, a foreign id is as good as an unknown one. */
  cursorWhere?: readonly Sql[]
}

/**
 * One page, ordered by (created_at, id). An unknown cursor gives an empty page. Throws {@link InvalidPage}. Reads one row more than asked,
 * so the usual first page is one query.
 */
export async function listPage<T>(db: Db, query: ListQuery<T>, page: Page): Promise<Paged<T>> {
  const { cursor, direction, size, ascending } = readPage(page)
  const key = rawSql(`(${query.alias}.created_at, ${query.alias}.id)`)
  // Backward pages are read from the cursor outwards and turned round.
  const rising = ascending === (direction === 'forward')
  const orderBy = rawSql(
    `${query.alias}.created_at ${rising ? 'asc' : 'desc'}, ${query.alias}.id ${rising ? 'asc' : 'desc'}`,
  )
  const place = rawSql(`${query.alias}.created_at, ${query.alias}.id from ${query.table} ${query.alias}`)
  const isCursorRow = (id: string): Sql =>
    joinSql([sql`${rawSql(query.alias)}.id = ${id}`, ...(query.cursorWhere ?? [])])
  const beyond = (id: string, up: boolean): Sql =>
    sql`${key} ${rawSql(up ? '>' : '<')} (select ${place} where ${isCursorRow(id)})`
  const where = joinSql(cursor === undefined ? query.where : [...query.where, beyond(cursor, rising)])
  const id = rawSql(`${query.alias}.id as page_row_id`)
  const rows = await db.many(
    (row) => ({ item: query.map(row), id: row.page_row_id as string }),
    sql`select ${query.columns}, ${id} from ${query.from} where ${where} order by ${orderBy} limit ${size + 1}`,
  )
  const more = rows.length > size
  const kept = rows.slice(0, size)
  const nearest = kept[0]
  // Without a cursor the page starts at the edge of the list: nothing lies on the other side.
  const behind =
    cursor !== undefined && nearest !== undefined
      ? (await db.execute(
          sql`select 1 from ${query.from} where ${joinSql([...query.where, beyond(nearest.id, !rising)])} limit 1`,
        )) > 0
      : false
  const items = kept.map(({ item }) => item)
  return direction === 'forward'
    ? { items, hasNextPage: more, hasPreviousPage: behind }
    : { items: items.reverse(), hasNextPage: behind, hasPreviousPage: more }
}
