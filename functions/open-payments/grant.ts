import { AccessRefusal } from './errors.ts'
import type { GrantedAccess, Introspection, RequestedAccess, TokenClient } from './introspection.ts'

/** What a token allows at one route. */
export interface Grant {
  id: string
  client: TokenClient
  access: GrantedAccess
  /** `read-all` and `list-all`: also what other clients created. */
  seesAll: boolean
}

/** The token of `Authorization: GNAP <token>`: two parts, the scheme as it is written. Throws {@link AccessRefusal}. */
export function tokenOf(authorization: string | undefined): string {
  const [scheme, token, ...rest] = authorization?.split(' ') ?? []
  if (scheme !== 'GNAP' || token === undefined || token === '' || rest.length > 0)
    throw new AccessRefusal('invalid_authorization')
  return token
}

/**
 * Decides whether the introspected token opens the route for `tenantId`. The authorization server has already matched what
 * was asked for; it is compared again here, because a mistake there would be money here. Throws {@link AccessRefusal}.
 */
export function decideGrant(
  introspection: Introspection,
  wanted: RequestedAccess & { tenantId: string },
): Grant {
  if (!introspection.active) throw new AccessRefusal('inactive_token')
  const [access, ...others] = introspection.access
  if (introspection.tenantId !== wanted.tenantId || access === undefined)
    throw new AccessRefusal('insufficient_grant')
  if (others.length > 0) throw new AccessRefusal('unexpected_access')

  const seesAll =
    (wanted.action === 'read' || wanted.action === 'list') && access.actions.includes(`${wanted.action}-all`)
  const covers =
    access.type === wanted.type &&
    (seesAll || access.actions.includes(wanted.action)) &&
    (access.identifier === undefined || access.identifier === wanted.identifier)
  if (!covers) throw new AccessRefusal('insufficient_grant')
  return { id: introspection.grantId, client: introspection.client, access, seesAll }
}
