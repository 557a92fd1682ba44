import { isUuid } from '../../shared/platform/index.ts'
import { RouteRefusal } from './errors.ts'

/** Of a list request, checked by the specification: `first` and `last` are 1..100. */
export interface PageQuery {
  first?: number
  last?: number
  cursor?: string
}

/** Newest first; `after` and `before` are ids of rows. */
export type PageRequest = { first: number; after?: string } | { last: number; before: string }

export interface PageResult<T> {
  items: readonly T[]
  hasNextPage: boolean
  hasPreviousPage: boolean
}

const PAGE_SIZE = 20

/** Throws {@link RouteRefusal} where the members contradict each other (contracts/open-payments/routes.md §1, Pagination). */
export function parsePageQuery(query: PageQuery): PageRequest {
  const { first, last, cursor } = query
  const refusal = (code: 'pagination_contradictory' | 'pagination_incomplete') =>
    new RouteRefusal(code, { details: { queryParams: { ...query } } })
  if (first !== undefined && last !== undefined) throw refusal('pagination_contradictory')
  if (last === undefined) return { first: first ?? PAGE_SIZE, ...(cursor !== undefined && { after: cursor }) }
  if (cursor === undefined) throw refusal('pagination_incomplete')
  return { last, before: cursor }
}

/** The page that the query asks for. A cursor that cannot be a row's id gives an empty one, as that of an unknown row does. */
export async function readPage<T>(
  query: PageQuery,
  list: (page: PageRequest) => Promise<PageResult<T>>,
): Promise<PageResult<T>> {
  const page = parsePageQuery(query)
  const cursor = 'last' in page ? page.before : page.after
  if (cursor !== undefined && !isUuid(cursor))
    return { items: [], hasNextPage: false, hasPreviousPage: false }
  return list(page)
}

/** An empty page has no cursors. */
export function toPage<T extends { id: string }, W>(page: PageResult<T>, render: (item: T) => W) {
  const first = page.items[0]
  const last = page.items.at(-1)
  return {
    pagination: {
      ...(first && { startCursor: first.id }),
      ...(last && { endCursor: last.id }),
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
    },
    result: page.items.map(render),
  }
}
