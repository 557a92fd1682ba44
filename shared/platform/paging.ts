import type { Db } from './db.ts'
import { Refusal } from './errors.ts'
import { isUuid } from './ids.ts'
import { joinSql, plannedAnew, type Row, rawSql, type Sql, sql } from './sql.ts'

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

/** "Is one of": each value is read along the index by itself, and the pieces are merged. */
export interface AnyOf {
  /** Of the listed table, without its alias. */
  column: string
  type: 'text' | 'uuid'
  values: readonly string[]
}

export interface ListQuery<T> {
  map: (row: Row) => T
  columns: Sql
  /** The listed table; several, or sub-selects in their place, are read side by side and merged. Each has `id` and `created_at`. */
  tables: readonly string[]
  alias: string
  /** What is joined to a row once it is on the page. Exactly one row for each listed one. */
  joins?: Sql
  /** Everything that a row must satisfy, tenant scope included, by the alias alone. */
  where: readonly Sql[]
  anyOf?: AnyOf
  /** What the cursor's row must satisfy, by the same alias: with the tenant scope, a foreign id is as good as an unknown one. */
  cursorWhere?: readonly Sql[]
  /** Where the cursor's row is looked up, when that is more than what is listed. */
  cursorTables?: readonly string[]
}

const orderOf = (alias: string, rising: boolean): Sql => {
  const direction = rising ? 'asc' : 'desc'
  return rawSql(`order by ${alias}.created_at ${direction}, ${alias}.id ${direction}`)
}

/** More than these are asked about in one piece: each piece is planned. */
const VALUES_READ_APART_MAX = 8

/** Each value that is asked for, read by itself; or all at once. */
function conditionsOf({ alias, anyOf }: Pick<ListQuery<unknown>, 'alias' | 'anyOf'>): Sql[] {
  if (!anyOf) return [rawSql('true')]
  const column = rawSql(`${alias}.${anyOf.column}`)
  const values = [...new Set(anyOf.values)]
  if (values.length === 0) return [rawSql('false')]
  return values.length <= VALUES_READ_APART_MAX
    ? values.map((value) => sql`${column} = ${value}`)
    : [sql`${column} = any(${values}::${rawSql(anyOf.type)}[])`]
}

/** Which rows: their ids, in the order of an index on (…, created_at, id). The limit stands in the text: what is planned is a page. */
function readIds(
  query: Pick<ListQuery<unknown>, 'tables' | 'alias' | 'where' | 'anyOf'>,
  reading: { where: readonly Sql[]; rising: boolean; limit: number },
): Sql {
  const alias = rawSql(query.alias)
  const place = rawSql(`${query.alias}.id, ${query.alias}.created_at`)
  const end = sql`${orderOf(query.alias, reading.rising)} limit ${rawSql(String(reading.limit))}`
  const parts = query.tables.flatMap((table) =>
    conditionsOf(query).map(
      (condition) =>
        sql`select ${place} from ${rawSql(table)} ${alias} where ${joinSql([condition, ...query.where, ...reading.where])} ${end}`,
    ),
  )
  const [only, ...others] = parts
  const merged = joinSql(
    parts.map((part) => sql`(${part})`),
    ' union all ',
  )
  const ids = only && others.length === 0 ? only : sql`select ${place} from (${merged}) ${alias} ${end}`
  // Lists of everything have one plan.
  const isOfSome = query.anyOf !== undefined || query.where.some(({ values }) => values.length > 0)
  return isOfSome ? plannedAnew(ids) : ids
}

/** The rows themselves. One that has disappeared meanwhile is not there. "limit 1" makes each id a look-up of its own. */
const readRows = ({ columns, tables, alias, joins }: ListQuery<unknown>, ids: readonly string[]): Sql => sql`
  select ${columns} from unnest(${ids}::uuid[]) with ordinality listed (id, place)
  cross join lateral (select * from ${rawSql(unionOf(tables))} x where x.id = listed.id limit 1) ${rawSql(alias)}
  ${joins ?? rawSql('')} order by listed.place`

const unionOf = (tables: readonly string[]): string =>
  tables.length === 1 ? String(tables[0]) : `(${tables.join(' union all ')})`

/**
 * One page, ordered by (created_at, id). An unknown cursor gives an empty page. Throws {@link InvalidPage}. Ids first: that query is
 * small, because one about some tenant or wallet address is planned each time. It reads one row more than asked, and from the cursor's row on: what lies on either side is
 * known without another query, unless that row is no longer listed.
 */
export async function listPage<T>(db: Db, query: ListQuery<T>, page: Page): Promise<Paged<T>> {
  const { cursor, direction, size, ascending } = readPage(page)
  // Backward pages are read from the cursor outwards and turned round.
  const rising = ascending === (direction === 'forward')
  const alias = rawSql(query.alias)
  const cursorTable = rawSql(unionOf(query.cursorTables ?? query.tables))
  const seen = (relation: string, id: string): Sql => sql`
    (${alias}.created_at, ${alias}.id) ${rawSql(relation)} (
      select ${alias}.created_at, ${alias}.id from ${cursorTable} ${alias}
      where ${joinSql([sql`${alias}.id = ${id}`, ...(query.cursorWhere ?? [])])})`
  const idsOf = (where: readonly Sql[], ascends: boolean, limit: number) =>
    db.many((row) => row.id as string, readIds(query, { where, rising: ascends, limit }))

  const found = await (cursor === undefined
    ? idsOf([], rising, size + 1)
    : idsOf([seen(rising ? '>=' : '<=', cursor)], rising, size + 2))
  const startsAtCursor = found[0] === cursor
  const listed = startsAtCursor ? found.slice(1) : found
  const kept = listed.slice(0, size)
  const [nearest] = kept
  // Without a cursor the page starts at the edge of the list: nothing lies on the other side.
  const isBehind = async () =>
    nearest !== undefined &&
    cursor !== undefined &&
    (startsAtCursor || (await idsOf([seen(rising ? '<' : '>', nearest)], !rising, 1)).length > 0)

  if (direction === 'backward') kept.reverse()
  const items = kept.length > 0 ? await db.many(query.map, readRows(query, kept)) : []
  const [hasMore, hasBehind] = [listed.length > size, await isBehind()]
  return direction === 'forward'
    ? { items, hasNextPage: hasMore, hasPreviousPage: hasBehind }
    : { items, hasNextPage: hasBehind, hasPreviousPage: hasMore }
}
