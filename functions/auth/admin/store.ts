import type { Scope } from '../../../shared/graphql-server/index.ts'
import {
  type AnyOf,
  type Db,
  joinSql,
  listPage,
  type Page,
  type Paged,
  type Row,
  type Sql,
  sql,
} from '../../../shared/platform/index.ts'
import { type AccessItem, accessSql, toAccess } from '../access/index.ts'
import { subjectIdsSql } from '../grants/index.ts'

/** A grant as its administrators see it. */
export interface AdminGrant {
  id: string
  tenantId: string
  /** A wallet address; clients with nothing but a key have none. */
  client?: string
  state: string
  finalizationReason?: string
  access: AccessItem[]
  /** Whom the client wants to know about. */
  subjectIds: { id: string; format: string }[]
  createdAt: Date
}

/** Every condition that is given must hold. */
export interface GrantFilter {
  identifier?: { in?: readonly string[] }
  state?: { in?: readonly string[]; notIn?: readonly string[] }
  finalizationReason?: { in?: readonly string[]; notIn?: readonly string[] }
}

const toGrant = (row: Row): AdminGrant => ({
  id: row.id,
  tenantId: row.tenant_id,
  ...(row.client !== null && { client: row.client }),
  state: row.state,
  ...(row.finalization_reason !== null && { finalizationReason: row.finalization_reason }),
  access: toAccess(row.access),
  subjectIds: row.subject_ids ?? [],
  createdAt: row.created_at,
})

const columns = sql`g.id, g.tenant_id, g.client, g.state, g.finalization_reason, g.created_at,
  ${accessSql(sql`g.id`)} as access,
  ${subjectIdsSql(sql`g.id`)} as subject_ids`

const inScope = (scope: Scope): Sql[] => (scope === 'all' ? [] : [sql`g.tenant_id = ${scope.tenantId}`])

/** What became of a grant: its state, and of a final one the reason for which it is that. One column, and lists by it are read along an index. */
const GRANTS = '(select *, coalesce(finalization_reason, state) as outcome from grants)'
const outcomes = [
  { state: 'PENDING' },
  { state: 'APPROVED' },
  { state: 'FINALIZED', reason: 'ISSUED' },
  { state: 'FINALIZED', reason: 'REVOKED' },
  { state: 'FINALIZED', reason: 'REJECTED' },
]

/** What is left by both filters; `undefined`: everything. A grant that is not final has none of the reasons. */
function outcomesOf({ state, finalizationReason }: GrantFilter): AnyOf | undefined {
  const isListed = (
    { in: included, notIn = [] }: { in?: readonly string[]; notIn?: readonly string[] } = {},
    value = '',
  ) => (included === undefined || included.includes(value)) && !notIn.includes(value)
  const left = outcomes.filter(
    (outcome) => isListed(state, outcome.state) && isListed(finalizationReason, outcome.reason),
  )
  if (left.length === outcomes.length) return undefined
  return { column: 'outcome', type: 'text', values: left.map((outcome) => outcome.reason ?? outcome.state) }
}

const matching = ({ identifier }: GrantFilter): Sql[] =>
  identifier?.in
    ? [
        sql`exists (
      select 1 from accesses a where a.grant_id = g.id and a.identifier = any(${identifier.in}::text[]))`,
      ]
    : []

/** Throws InvalidPage. */
export const listGrants = (
  db: Db,
  scope: Scope,
  filter: GrantFilter,
  page: Page,
): Promise<Paged<AdminGrant>> => {
  const anyOf = outcomesOf(filter)
  return listPage(
    db,
    {
      map: toGrant,
      columns,
      alias: 'g',
      tables: [GRANTS],
      cursorWhere: inScope(scope),
      where: [...inScope(scope), ...matching(filter)],
      ...(anyOf && { anyOf }),
    },
    page,
  )
}

export const findGrant = (db: Db, scope: Scope, id: string): Promise<AdminGrant | undefined> =>
  db.maybe(
    toGrant,
    sql`select ${columns} from grants g where ${joinSql([sql`g.id = ${id}`, ...inScope(scope)])}`,
  )
