import { type Row, type Sql, sql } from '../../../shared/platform/index.ts'
import type { AccessItem } from './model.ts'

/** A column with the access items of the grant that `grantId` names. */
export const accessSql = (grantId: Sql): Sql => sql`
  (select json_agg(json_build_object(
     'type', a.type, 'actions', a.actions, 'identifier', a.identifier, 'limits', a.limits) order by a.position)
   from accesses a where a.grant_id = ${grantId})`

/** Null when the grant has none. */
export const toAccess = (items: Row[] | null): AccessItem[] =>
  (items ?? []).map(({ type, actions, identifier, limits }) => ({
    type,
    actions,
    ...(identifier !== null && { identifier }),
    ...(limits !== null && { limits }),
  }))
