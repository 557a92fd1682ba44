import { sql, violatedConstraint } from '../../../shared/platform/index.ts'
import { deleteTenant, type TenantContext } from './tenants.ts'

/**
 * Takes a tenant back whose creation the node gave up, so that the id may be used again. One that grants were asked of in that
 * moment is deleted like any other. False: there is no such tenant (any more); a deleted one stays deleted.
 */
export async function forgetTenant(
  ctx: Pick<TenantContext, 'db'>,
  id: string,
  deletedAt: Date,
): Promise<boolean> {
  try {
    const removed = await ctx.db.execute(sql`
      delete from tenants t where t.id = ${id} and t.deleted_at is null`)
    return removed === 1
  } catch (error) {
    if (violatedConstraint(error) === undefined) throw error
    return await deleteTenant(ctx, id, deletedAt)
  }
}
