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

/** Sent only to tenants that opt in (WEBHOOK_EXTRA_EVENTS): wallets written before know others alone, and refuse what they do not know. */
export const extraEventTypes = [
  'outgoing_payment.funded',
  'outgoing_payment.cancelled',
] as const satisfies readonly WebhookEventType[]
export type ExtraEventType = (typeof extraEventTypes)[number]

/** A comma-separated list of {@link extraEventTypes}. Throws an `Error` that says what is wrong, for those who read settings. */
export function parseExtraEvents(value: string): ExtraEventType[] {
  const names = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return names.map((name) => {
    const known = extraEventTypes.find((type) => type === name)
    if (known === undefined) throw new Error(`must be a list of ${extraEventTypes.join(', ')}`)
    return known
  })
}

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
  /** `dataFromSender` of `data`, which is encrypted at rest (`sealDataFromSender`). */
  sealedDataFromSender?: string
}

/** A recipient's own wallet, or a service of the node that the recipient, the operator, answers for. */
export type WebhookEndpoint = 'wallet' | 'card' | 'pos'

export interface NewWebhookEvent extends EventFields {
  /** Default: a new one. Constant over attempts and recipients: what receivers recognise repeats by. */
  id?: string
  /** Whose wallets get it. Default: the owner's alone. */
  recipientTenantIds?: readonly string[]
  /** Which services of the node get it besides. */
  services?: readonly { tenantId: string; endpoint: 'card' | 'pos' }[]
}

export interface WebhookEvent extends EventFields {
  id: string
  createdAt: Date
}

export type DeliveryState = 'pending' | 'delivered' | 'dead'

/** One event on its way to one recipient. */
export interface WebhookDelivery {
  id: string
  state: DeliveryState
  recipientTenantId: string
  endpoint: WebhookEndpoint
  /** So far. */
  attempts: number
  /** Of these, before it was last sent again: they count neither for the back-off nor for the limit. */
  attemptsBefore: number
  event: Pick<WebhookEvent, 'id' | 'type' | 'data' | 'sealedDataFromSender'>
  /** An earlier event about the same payment has not been tried yet at this recipient. */
  isAhead: boolean
  eventAgeMs: number
}

/** One try at a delivery, as it is kept. */
export interface WebhookAttempt {
  /** From 1. */
  number: number
  /** When it ended. */
  at: Date
  /** Absent: made before this was kept. */
  latencyMs?: number
  /** Absent: nobody answered. */
  status?: number
  error?: string
  /** The beginning of the answer, made printable. */
  answer?: string
}

/** A delivery as operators look at it. */
export interface DeliveryReport {
  id: string
  recipientTenantId: string
  endpoint: WebhookEndpoint
  state: DeliveryState
  attempts: WebhookAttempt[]
  /** Of the next attempt, while one is planned. */
  nextAttemptAt?: Date
}

/** Where and how a recipient gets its webhooks. */
export interface WebhookRecipient {
  url: string
  /** The URL is a tenant's own word, and reached under the rules for strangers' URLs. */
  isGuarded?: true
  /** Absent: unsigned. */
  secret?: string
  /** Still good while secrets change. */
  previousSecret?: string
  signatureVersion: number
  timeoutMs: number
  /** Attempts in all. Absent: for 72 hours. */
  attemptsMax?: number
}

/** What came of a request: an answer, or the reason why there is none. */
export type AttemptResult = { status: number; answer?: string } | { error: string }

/** Only this status counts (webhooks.md §1). */
export const isDelivered = (result: AttemptResult): boolean => 'status' in result && result.status === 200

const ANSWER_BYTES_MAX = 512

/** The first bytes of an answer as text that can be shown anywhere: no control or direction characters, no halves of characters. */
export function printable(body: Buffer): string | undefined {
  const text = body
    .subarray(0, ANSWER_BYTES_MAX)
    .toString('utf8')
    .replace(/\p{C}|\p{Zl}|\p{Zp}|\uFFFD/gu, ' ')
    .trim()
  return text === '' ? undefined : text
}

const ORDER_WAIT_MS = { min: 20, max: 1_000 }

/** How long an event steps back that came before its turn: the longer it has waited, the rarer it asks. */
export const orderWaitMs = (eventAgeMs: number): number =>
  Math.min(Math.max(eventAgeMs / 10, ORDER_WAIT_MS.min), ORDER_WAIT_MS.max)

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
