import { parseGrantLimits } from '../../shared/grant-limits/index.ts'
import type { Grant as SpendableGrant } from '../../shared/outgoing-payments/index.ts'
import { AccessRefusal } from './errors.ts'
import type { GrantedAccess, Introspection, RequestedAccess, TokenClient } from './introspection.ts'

/** What a token allows at one route. */
export interface Grant {
  id: string
  client: TokenClient
  /** `read-all` and `list-all`: also what other clients created. */
  seesAll: boolean
  /** What the granted item is limited to; absent when nothing limits it. */
  limits?: GrantedAccess['limits']
}

/** The token of `Authorization: GNAP <token>`: two parts, the scheme as it is written. Throws {@link AccessRefusal}. */
export function tokenOf(authorization: string | undefined): string {
  const [scheme, token, ...rest] = authorization?.split(' ') ?? []
  if (scheme !== 'GNAP' || token === undefined || token === '' || rest.length > 0)
    throw new AccessRefusal('invalid_authorization')
  return token
}

/**
 * Compared again here, although the authorization server has matched already: a mistake there would be money here. What pays
 * names the wallet address that it pays from; other items may leave it open. What is about no wallet address is covered by any.
 */
const covers = (granted: GrantedAccess, wanted: RequestedAccess): boolean =>
  granted.type === wanted.type &&
  (granted.actions.includes(wanted.action) || includesAll(granted, wanted)) &&
  (wanted.identifier === undefined ||
    granted.identifier === wanted.identifier ||
    (granted.identifier === undefined && granted.type !== 'outgoing-payment'))

const includesAll = (granted: GrantedAccess, { action }: RequestedAccess): boolean =>
  (action === 'read' || action === 'list') && granted.actions.includes(`${action}-all`)

/**
 * Decides whether the introspected token opens the route for `tenantId`. Of several items that do, the widest counts for what may
 * be seen; but one with limits counts as limited, and several with limits say nothing certain about money. Throws {@link AccessRefusal}.
 */
export function decideGrant(
  introspection: Introspection,
  wanted: RequestedAccess & { tenantId: string },
): Grant {
  if (!introspection.active) throw new AccessRefusal('inactive_token')
  const access = introspection.access.filter((item) => covers(item, wanted))
  if (introspection.tenantId !== wanted.tenantId || access.length === 0)
    throw new AccessRefusal('insufficient_grant')
  const limited = access.filter(({ limits }) => limits !== undefined)
  if (limited.length > 1) throw new AccessRefusal('unexpected_access')
  const [{ limits } = {}] = limited
  return {
    id: introspection.grantId,
    client: introspection.client,
    seesAll: access.some((item) => includesAll(item, wanted)),
    ...(limits !== undefined && { limits }),
  }
}

/** What payments are made under. Limits that cannot be read are no leave to pay: throws GrantLimitsRefusal. */
export const spendableGrant = ({ id, limits }: Grant): SpendableGrant => ({
  id,
  ...(limits !== undefined && { limits: parseGrantLimits(limits) }),
})
