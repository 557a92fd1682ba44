import type { Scope } from '../../../shared/graphql-server/index.ts'
import {
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

function matching({ identifier, state, finalizationReason }: GrantFilter): Sql[] {
  const conditions: Sql[] = []
  if (identifier?.in)
    conditions.push(sql`exists (
      select 1 from accesses a where a.grant_id = g.id and a.identifier = any(${identifier.in}::text[]))`)
  if (state?.in) conditions.push(sql`g.state = any(${state.in}::text[])`)
  if (state?.notIn) conditions.push(sql`g.state <> all(${state.notIn}::text[])`)
  if (finalizationReason?.in)
    conditions.push(sql`g.finalization_reason = any(${finalizationReason.in}::text[])`)
  // A grant that is not final has none of the reasons. One condition with its own brackets: an `or` beside the tenant's
  // condition would let other tenants' grants through.
  if (finalizationReason?.notIn)
    conditions.push(
      sql`(g.finalization_reason is null or g.finalization_reason <> all(${finalizationReason.notIn}::text[]))`,
    )
  return conditions
}

/** Throws InvalidPage. */
export const listGrants = (
  db: Db,
  scope: Scope,
  filter: GrantFilter,
  page: Page,
): Promise<Paged<AdminGrant>> =>
  listPage(
    db,
    {
      map: toGrant,
      columns,
      alias: 'g',
      tables: ['grants'],
      cursorWhere: inScope(scope),
      where: [...inScope(scope), ...matching(filter)],
    },
    page,
  )

export const findGrant = (db: Db, scope: Scope, id: string): Promise<AdminGrant | undefined> =>
  db.maybe(
    toGrant,
    sql`select ${columns} from grants g where ${joinSql([sql`g.id = ${id}`, ...inScope(scope)])}`,
  )
