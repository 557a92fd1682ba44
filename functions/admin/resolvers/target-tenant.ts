import { InvalidInput, parseId } from '../../../shared/graphql-server/index.ts'
import { getTenant } from '../../../shared/tenants/index.ts'
import type { RequestContext } from './resolver.ts'

/** The tenant that a creation is for: the caller, or, for the operator, the one it names (admin-api.md §3). */
export async function toTargetTenant(
  ctx: RequestContext,
  tenantId: string | null | undefined,
): Promise<string> {
  if (tenantId == null) return ctx.caller.tenantId
  const target = parseId(tenantId, 'tenantId')
  if (!ctx.caller.isOperator && target !== ctx.caller.tenantId)
    throw new InvalidInput('not permitted to act for another tenant')
  return (await getTenant(ctx.node, target)).id
}
