import { GrantLimitsRefusal, parseGrantLimits } from '../../../shared/grant-limits/index.ts'
import type { AccessItem } from '../access/index.ts'
import type { Client } from '../clients/index.ts'
import { AuthRefusal } from '../errors.ts'
import { isPlainUrl } from '../plain-url.ts'
import { parseFinish } from './finish.ts'
import type { Finish, Subject } from './model.ts'

export interface GrantRequest {
  client: Client
  access: readonly AccessItem[]
  /** Who the client wants to know about. */
  subject?: Subject
  /** How the client can take part in an interaction; as the specification's schema has admitted it. */
  interact?: { start: readonly string[]; finish?: Finish }
}

/** Which kinds of access need somebody's consent (INCOMING_PAYMENT_INTERACTION, QUOTE_INTERACTION, LIST_ALL_ACCESS_INTERACTION). */
export interface GrantPolicy {
  incomingPaymentInteraction: boolean
  quoteInteraction: boolean
  listAllInteraction: boolean
}

/** Given at once, or only with somebody's consent to this wallet's request. */
export type GrantDecision =
  | { kind: 'approved' }
  | { kind: 'consent'; walletAddress: string; finish: Finish | undefined }

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

/** Read here only to refuse what the resource server could not enforce; limits are stored as they were sent. */
function checkLimits({ limits }: AccessItem): void {
  if (limits === undefined) return
  try {
    parseGrantLimits(limits)
  } catch (error) {
    if (!(error instanceof GrantLimitsRefusal)) throw error
    throw new AuthRefusal(error.code, { cause: error, details: { reason: error.message } })
  }
}

function checkSubject({ sub_ids }: Subject): void {
  for (const { id, format } of sub_ids) {
    if (format !== 'uri') throw new AuthRefusal('subject_format_invalid')
    if (!isPlainUrl(id) || new URL(id).protocol !== 'https:') throw new AuthRefusal('subject_id_invalid')
  }
}

/**
 * Whether a grant is given at once (contracts/open-payments/gnap.md §1). Throws {@link AuthRefusal} for one that nobody could
 * agree to. Consent is asked through the tenant's identity provider, for clients with a wallet: a bare key has no name to show.
 */
export function decideGrant(request: GrantRequest, policy: GrantPolicy, hasIdp: boolean): GrantDecision {
  if (request.access.length === 0 && !request.subject) throw new AuthRefusal('nothing_requested')
  const withConsent = request.access.filter((item) => needsInteraction(item, policy))
  if (withConsent.length === 0 && !request.subject) return { kind: 'approved' }

  if (withConsent.some((item) => item.identifier === undefined)) throw new AuthRefusal('identifier_required')
  withConsent.forEach(checkLimits)
  if (request.subject) checkSubject(request.subject)
  if (!request.interact?.start.includes('redirect')) throw new AuthRefusal('interact_required')
  if ('jwk' in request.client) throw new AuthRefusal('key_cannot_interact')
  const finish = parseFinish(request.interact.finish)
  if (!hasIdp) throw new AuthRefusal('tenant_without_idp')
  return { kind: 'consent', walletAddress: request.client.walletAddress, finish }
}
