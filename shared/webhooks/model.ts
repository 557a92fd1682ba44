/** Every event that wallets know (contracts/admin/webhooks.md §2). */
export type WebhookEventType =
  | 'incoming_payment.created'
  | 'incoming_payment.completed'
  | 'incoming_payment.expired'
  | 'incoming_payment.partial_payment_received'
  | 'outgoing_payment.created'
  | 'outgoing_payment.completed'
  | 'outgoing_payment.failed'
  | 'outgoing_payment.funded'
  | 'outgoing_payment.cancelled'
  | 'wallet_address.not_found'
  | 'wallet_address.web_monetization'
  | 'asset.liquidity_low'
  | 'peer.liquidity_low'

/** What the wallet may take out of the node because of an event. Kept with the event, never sent. */
export interface EventWithdrawal {
  accountId: string
  assetId: string
  amount: bigint
}

interface EventFields {
  tenantId: string
  type: WebhookEventType
  /** As on the wire: amounts as `{ value, assetCode, assetScale }`, times as ISO 8601, optional fields omitted. */
  data: Record<string, unknown>
  outgoingPaymentId?: string
  incomingPaymentId?: string
  walletAddressId?: string
  assetId?: string
  peerId?: string
  withdrawal?: EventWithdrawal
}

export interface NewWebhookEvent extends EventFields {
  /** Default: a new one. Constant over attempts and recipients: what receivers recognise repeats by. */
  id?: string
  /** Default: the owner alone. */
  recipientTenantIds?: readonly string[]
}

export interface WebhookEvent extends EventFields {
  id: string
  createdAt: Date
}

/** One event on its way to one recipient. */
export interface WebhookDelivery {
  id: string
  state: 'pending' | 'delivered' | 'dead'
  recipientTenantId: string
  /** So far. */
  attempts: number
  event: Pick<WebhookEvent, 'id' | 'type' | 'data'>
  /** An earlier event about the same payment has not been tried yet at this recipient. */
  isAhead: boolean
}

/** Where and how a recipient gets its webhooks. */
export interface WebhookRecipient {
  url: string
  /** Absent: unsigned. */
  secret?: string
  signatureVersion: number
  timeoutMs: number
  /** Attempts in all. Absent: for 72 hours. */
  attemptsMax?: number
}

export type AttemptResult = { status: number } | { error: string }

/** Only this status counts (webhooks.md §1). */
export const isDelivered = (result: AttemptResult): boolean => 'status' in result && result.status === 200

const SECOND = 1_000
const MINUTE = 60 * SECOND
const STEP_MS = 10 * SECOND
const STEPS = 6
const LATE_MS_MAX = 30 * MINUTE
const TIME_MS_MAX = 72 * 60 * MINUTE
/** Spreads what failed together. Upwards only, so that the 72 hours are never cut short. */
const JITTER = 0.1

/** Without jitter: 10 s to a minute as wallets know it, then doubling up to half an hour, for as long as a wallet may be down. */
function waitMs(attempts: number, limited: boolean): number {
  const early = Math.min(attempts, STEPS) * STEP_MS
  if (limited || attempts <= STEPS) return early
  return Math.min(MINUTE * 2 ** Math.min(attempts - STEPS, 30), LATE_MS_MAX)
}

/**
 * How long to wait after the attempt with this number has failed; `undefined` when it was the last. Counted in attempts, not
 * in the event's age: time in which we were down ourselves must not use up the wallet's chances. `random` is in [0, 1).
 */
export function nextAttemptMs(
  attempts: number,
  attemptsMax: number | undefined,
  random: number,
): number | undefined {
  if (attemptsMax !== undefined && attempts >= attemptsMax) return undefined
  if (attemptsMax === undefined) {
    let elapsedMs = 0
    for (let attempt = 1; attempt < attempts; attempt++) elapsedMs += waitMs(attempt, false)
    if (elapsedMs >= TIME_MS_MAX) return undefined
  }
  return Math.round(waitMs(attempts, attemptsMax !== undefined) * (1 + random * JITTER))
}
