import { InvalidPage, isUuid, type Page, type Paged } from '../platform/index.ts'

/** Paging arguments as GraphQL delivers them. */
export interface PageArguments {
  first?: number | null
  last?: number | null
  after?: string | null
  before?: string | null
  sortOrder?: 'ASC' | 'DESC' | null
}

/** Throws InvalidPage for a cursor that is no id. */
export function toPage(args: PageArguments): Page {
  for (const cursor of [args.after, args.before])
    if (cursor != null && !isUuid(cursor)) throw new InvalidPage('a cursor must be the id of a row')
  return {
    ...(args.first != null && { first: args.first }),
    ...(args.last != null && { last: args.last }),
    ...(args.after != null && { after: args.after }),
    ...(args.before != null && { before: args.before }),
    ...(args.sortOrder != null && { sortOrder: args.sortOrder }),
  }
}

interface Connection<Node> {
  edges: { cursor: string; node: Node }[]
  pageInfo: { startCursor?: string; endCursor?: string; hasNextPage: boolean; hasPreviousPage: boolean }
}

/** A Relay connection; the cursor is the row's id. */
export function toConnection<Item, Node extends { id: string }>(
  page: Paged<Item>,
  render: (item: Item) => Node,
): Connection<Node> {
  const edges = page.items.map(render).map((node) => ({ cursor: node.id, node }))
  const first = edges[0]
  const last = edges.at(-1)
  return {
    edges,
    pageInfo: {
      ...(first && { startCursor: first.cursor }),
      ...(last && { endCursor: last.cursor }),
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
    },
  }
}
