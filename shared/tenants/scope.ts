import { rawSql, type Sql, sql } from '../platform/index.ts'

/** Whose rows a call may touch. `'all'` is the operator reaching every tenant; everyone else names the tenant. */
export type TenantScope = { tenantId: string } | 'all'

/** The condition that keeps a query inside `scope`. `column` is the row's tenant id. */
export const scopeSql = (scope: TenantScope, column: Sql): Sql =>
  scope === 'all' ? rawSql('true') : sql`${column} = ${scope.tenantId}`

/** Whether a row that is already in hand lies inside `scope`. */
export const isInScope = (scope: TenantScope, row: { tenantId: string }): boolean =>
  scope === 'all' || scope.tenantId === row.tenantId
