import { rawSql, type Sql, sql } from '../platform/index.ts'

/** Whose rows a call may touch. `'all'` is the operator reaching every tenant; everyone else names the tenant. */
export type TenantScope = { tenantId: string } | 'all'

/** The condition that keeps a query inside `scope`. `column` is the row's tenant id. */
export const scopeSql = (scope: TenantScope, column: Sql): Sql =>
  scope === 'all' ? rawSql('true') : sql`${column} = ${scope.tenantId}`

/** What a batched look-up by id is asked for. */
export interface ScopedId {
  id: string
  scope: TenantScope
}

/**
 * The `from` of a batched look-up by id: `asked`, with the place of each item, and the row of `table` that it may see, under `alias`.
 * `visible` is a condition on that row, `x`. "limit 1" makes each id a look-up of its own, whatever the planner believes about sizes;
 * from behind a "select" it cannot see the ids, so it plans once.
 */
export function askedById(
  asked: readonly ScopedId[],
  { table, alias, visible = 'true' }: { table: string; alias: string; visible?: string },
): Sql {
  const ids = asked.map(({ id }) => id)
  const tenantIds = asked.map(({ scope }) => (scope === 'all' ? null : scope.tenantId))
  return sql`unnest((select ${ids}::uuid[]), (select ${tenantIds}::uuid[])) with ordinality asked (id, tenant_id, place)
    cross join lateral (
      select * from ${rawSql(table)} x
      where x.id = asked.id and ${rawSql(visible)} and (asked.tenant_id is null or x.tenant_id = asked.tenant_id)
      limit 1) ${rawSql(alias)}`
}

/** Whether a row that is already in hand lies inside `scope`. */
export const isInScope = (scope: TenantScope, row: { tenantId: string }): boolean =>
  scope === 'all' || scope.tenantId === row.tenantId
