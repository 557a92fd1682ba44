import { GrantLimitsRefusal } from '../../shared/grant-limits/index.ts'
import { findGrantSpent, type GrantSpent } from '../../shared/outgoing-payments/index.ts'
import type { OpenPaymentsContext } from './context.ts'
import { decideGrant, type Grant, spendableGrant, tokenOf } from './grant.ts'
import { ok, type Route } from './route.ts'
import { verifyClientSignature } from './signature.ts'
import { toSpentAmounts } from './wire.ts'

const wanted = { type: 'outgoing-payment', action: 'create' } as const

/** Limits that cannot be read allow no payment, and name no interval to count in. */
async function spentOf(
  ctx: OpenPaymentsContext,
  tenantId: string,
  grant: Grant,
): Promise<GrantSpent | undefined> {
  try {
    return await findGrantSpent(ctx, { tenantId, grant: spendableGrant(grant) })
  } catch (error) {
    if (error instanceof GrantLimitsRefusal) return undefined
    throw error
  }
}

/**
 * What the token's grant has spent, in the interval of now where it has one. About the grant and no wallet address: none is asked
 * for, and nothing but the token and the proof of its key stands before it (contracts/open-payments/routes.md §1).
 */
export const getOutgoingPaymentGrant: Route = {
  operation: { method: 'GET', path: '/outgoing-payment-grant' },
  async answer(ctx, request, tenantId) {
    const introspection = await ctx.introspect(tokenOf(request.headers.authorization), wanted)
    const grant = decideGrant(introspection, { ...wanted, tenantId })
    await verifyClientSignature(ctx, request, { client: grant.client, tenantId })
    return ok(toSpentAmounts(await spentOf(ctx, tenantId, grant)))
  },
}
