import type { AccessItem } from '../access/index.ts'
import type { Client } from '../clients/index.ts'
import { AuthRefusal } from '../errors.ts'

export interface GrantRequest {
  client: Client
  access: readonly AccessItem[]
  /** Who the client wants to know about. */
  subject?: { sub_ids: readonly { id: string; format: string }[] }
  /** How the client can take part in an interaction. */
  interact?: unknown
}

/** Which kinds of access need somebody's consent (INCOMING_PAYMENT_INTERACTION, QUOTE_INTERACTION, LIST_ALL_ACCESS_INTERACTION). */
export interface GrantPolicy {
  incomingPaymentInteraction: boolean
  quoteInteraction: boolean
  listAllInteraction: boolean
}

/** Limits, even empty ones, are something that somebody must have agreed to. */
function needsInteraction(item: AccessItem, policy: GrantPolicy): boolean {
  if (item.limits !== undefined) return true
  if (policy.listAllInteraction && item.actions.includes('list-all')) return true
  switch (item.type) {
    case 'incoming-payment':
      return policy.incomingPaymentInteraction
    case 'quote':
      return policy.quoteInteraction
    case 'outgoing-payment':
      return true
  }
}

function isHttpsUrl(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:'
}

/**
 * Whether a grant is given at once (contracts/open-payments/gnap.md §1). Throws {@link AuthRefusal} for one that nobody could
 * agree to. Consent is asked through a tenant's identity provider; tenants are treated as having none, so that whatever needs
 * consent is refused as the contract says for such tenants.
 */
export function decideGrant(request: GrantRequest, policy: GrantPolicy): 'approved' {
  if (request.access.length === 0 && !request.subject) throw new AuthRefusal('nothing_requested')
  const withConsent = request.access.filter((item) => needsInteraction(item, policy))
  if (withConsent.length === 0 && !request.subject) return 'approved'

  if (withConsent.some((item) => item.identifier === undefined)) throw new AuthRefusal('identifier_required')
  if (
    withConsent.some(({ limits }) => limits?.debitAmount !== undefined && limits.receiveAmount !== undefined)
  )
    throw new AuthRefusal('both_amounts')
  if (request.subject?.sub_ids.some(({ id }) => !isHttpsUrl(id))) throw new AuthRefusal('subject_id_invalid')
  if (request.interact === undefined) throw new AuthRefusal('interact_required')
  if ('jwk' in request.client) throw new AuthRefusal('key_cannot_interact')
  throw new AuthRefusal('tenant_without_idp')
}
