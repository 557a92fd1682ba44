import { parseId } from './input.ts'

/** Who calls, once that is proven. */
export interface Caller {
  tenantId: string
  isOperator: boolean
  /** It showed a bearer key instead of signing. */
  hasApiKey?: true
}

/** Whose rows a query may reach. */
export type Scope = 'all' | { tenantId: string }

/** The caller's own rows, or everybody's for the operator ("ANY/OWN" in the contract). */
export const scopeOf = ({ tenantId, isOperator }: Caller): Scope => (isOperator ? 'all' : { tenantId })

/** Operator: one tenant's rows when it names one, else all. Tenants: their own, whatever they name. Throws InvalidInput. */
export function listScope(caller: Caller, tenantId: string | null | undefined): Scope {
  if (!caller.isOperator || !tenantId) return scopeOf(caller)
  return { tenantId: parseId(tenantId, 'tenantId') }
}
