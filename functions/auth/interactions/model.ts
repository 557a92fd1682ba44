import { hash } from 'node:crypto'
import { unreachable } from '../../../shared/platform/index.ts'
import type { FinalizationReason, Finish, GrantState } from '../grants/index.ts'

export type InteractionState = 'PENDING' | 'APPROVED' | 'DENIED'

/** One person's consideration of one grant, with what the steps of it need to know. */
export interface Interaction {
  id: string
  state: InteractionState
  expiresAt: Date
  /** Sealed: what the browser brings back to the client. */
  referenceSealed: string
  grantId: string
  tenantId: string
  grantState: GrantState
  finalizationReason?: FinalizationReason
  /** Who asks, as it was when the grant was requested. */
  client: { name: string; uri: string }
  finish?: Finish
  /** Of the tenant's identity provider; absent once the tenant has none any more, or is gone. */
  consentUrl?: string
}

type Judged = Pick<Interaction, 'state' | 'expiresAt' | 'grantState' | 'finalizationReason' | 'consentUrl'>

const isExpired = ({ expiresAt }: Pick<Interaction, 'expiresAt'>, now: Date) => expiresAt <= now

const isGone = ({ finalizationReason, consentUrl }: Judged) =>
  finalizationReason === 'REVOKED' || consentUrl === undefined

/** Whether a browser may be sent to the person's identity provider. */
export function decideStart(interaction: Judged, now: Date): 'ask' | 'unknown' | 'closed' | 'expired' {
  if (interaction.consentUrl === undefined) return 'unknown'
  if (interaction.state !== 'PENDING' || interaction.grantState !== 'PENDING') return 'closed'
  return isExpired(interaction, now) ? 'expired' : 'ask'
}

/** Why an identity provider's word does not count; `undefined`: it may. */
export function choiceRefusal(interaction: Judged, now: Date): 'denied' | 'closed' | undefined {
  const { finalizationReason, grantState, state } = interaction
  if (finalizationReason === 'REJECTED' || finalizationReason === 'REVOKED') return 'denied'
  if (grantState !== 'PENDING' || state !== 'PENDING' || isExpired(interaction, now)) return 'closed'
  return undefined
}

/** What comes of it when the browser is back (contracts/open-payments/gnap.md §4); the order is contract. */
export function decideFinish(
  interaction: Judged,
  hasSession: boolean,
  now: Date,
): 'approve' | 'reject' | 'pending' | 'expired' | 'no_session' | 'gone' {
  if (isExpired(interaction, now)) return 'expired'
  if (!hasSession) return 'no_session'
  if (isGone(interaction)) return 'gone'
  switch (interaction.state) {
    case 'APPROVED':
      return 'approve'
    case 'DENIED':
      return 'reject'
    case 'PENDING':
      return 'pending'
    default:
      return unreachable(interaction.state)
  }
}

/**
 * By which the client knows that the browser comes from here: SHA-256 in base64, padded, as clients in the field compare it
 * (contracts/open-payments/gnap.md §4; RFC 9635 §4.2.3 would have base64url). `grantEndpoint` is where the client asked.
 */
export const finishHash = (input: {
  clientNonce: string
  serverNonce: string
  reference: string
  grantEndpoint: string
}): string =>
  hash(
    'sha256',
    [input.clientNonce, input.serverNonce, input.reference, input.grantEndpoint].join('\n'),
    'base64',
  )

/** `url` with more in its query; what it has already stays, unless it has the same name. */
export function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const result = new URL(url)
  for (const [name, value] of Object.entries(query)) result.searchParams.set(name, value)
  return result.href
}
