import { type AssetRef, toMoneyAsset } from '../assets/index.ts'
import { type Ledger, type Transfer, transferCode } from '../ledger/index.ts'
import type { Amount } from '../money/index.ts'
import { type Db, isUuid, present } from '../platform/index.ts'
import { attemptsSeenBy, type TenantDefaults, type TenantScope } from '../tenants/index.ts'
import { listPaymentDeliveries, type PaymentDelivery, type WebhookAttempt } from '../webhooks/index.ts'
import type { IncomingPaymentHistory, StoredNote } from './history.ts'
import { unknownIncomingPayment } from './read-incoming-payments.ts'
import { selectHistory } from './store.ts'

/** What happened to a payment, as its row, the ledger and the webhooks know it. */
export const timelineKinds = [
  'CREATED',
  'APPROVED',
  'CANCELLED',
  'EXPIRY_MOVED',
  'FUNDING_STARTED',
  'FUNDING_REFUSED',
  'STATE_CHANGED',
  'ATTEMPT_FAILED',
  'WAITING',
  'PACKETS_SENT',
  'PACKETS_REJECTED',
  'LEDGER_TRANSFER',
  'LEDGER_TRANSFERS_LEFT_OUT',
  'WEBHOOK_EVENT',
  'WEBHOOK_ATTEMPT',
] as const
export type TimelineKind = (typeof timelineKinds)[number]

export interface TimelineEntry {
  at: Date
  kind: TimelineKind
  /** That the payment came to. */
  state?: string
  /** Stable: of a failure (docs/errors.md), an ILP reject, or a webhook event's type. */
  code?: string
  message?: string
  amount?: Amount
  /** JSON: amounts and times in it are text. */
  details?: Record<string, unknown>
}

/** In order of time; what happened at once stays as it was given. */
export const inOrder = (entries: readonly TimelineEntry[]): TimelineEntry[] =>
  entries.toSorted((a, b) => a.at.getTime() - b.at.getTime())

const kindOfNote: Record<string, TimelineKind> = {
  state: 'STATE_CHANGED',
  expiry_moved: 'EXPIRY_MOVED',
  funding_refused: 'FUNDING_REFUSED',
  attempt_failed: 'ATTEMPT_FAILED',
  waiting: 'WAITING',
}

/** A row's notes. One of a kind that this release does not know is left out. */
export const noteEntries = (notes: readonly StoredNote[]): TimelineEntry[] =>
  notes.flatMap(({ at, kind, state, code, reason, message, ...details }) => {
    const known = kindOfNote[kind]
    if (known === undefined) return []
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
    return [
      {
        at: new Date(at),
        kind: known,
        ...present({ state: text(state), code: text(code) ?? text(reason), message: text(message) }),
        ...(Object.keys(details).length > 0 && { details }),
      },
    ]
  })

/** Transfers that are shown from each end of an account's history: a payment may have taken thousands of packets. */
const TRANSFERS_MAX = 100

/** What moved on the payment's account. */
export async function ledgerEntries(
  ledger: Ledger,
  account: { id: string; asset: AssetRef },
): Promise<TimelineEntry[]> {
  const accountId = account.id
  const first = await ledger.queryTransfers({ accountId, limit: TRANSFERS_MAX })
  const last =
    first.length < TRANSFERS_MAX
      ? []
      : (await ledger.queryTransfers({ accountId, limit: TRANSFERS_MAX, reversed: true })).toReversed()
  const known = new Set(first.map(({ id }) => id))
  const rest = last.filter(({ id }) => !known.has(id))
  // Without any in common, something may lie between the two.
  const isCut = rest.length > 0 && rest.length === last.length
  return [
    ...transferEntries(first, account),
    ...(isCut ? [{ at: rest[0]?.createdAt ?? new Date(0), kind: 'LEDGER_TRANSFERS_LEFT_OUT' as const }] : []),
    ...transferEntries(rest, account),
  ]
}

/** Posts and voids are shown as what became of the transfer that they end. */
const transferEntries = (
  transfers: readonly Transfer[],
  { id, asset }: { id: string; asset: AssetRef },
): TimelineEntry[] =>
  transfers
    .filter(({ kind }) => kind === 'posted' || kind === 'pending')
    .map((transfer) => ({
      at: transfer.createdAt,
      kind: 'LEDGER_TRANSFER',
      state: (transfer.state ?? 'posted').toUpperCase(),
      amount: { value: transfer.amount, ...toMoneyAsset(asset) },
      details: {
        transferId: transfer.id,
        type: typeOf(transfer),
        side: transfer.debitAccountId === id ? 'DEBIT' : 'CREDIT',
        otherAccountId: transfer.debitAccountId === id ? transfer.creditAccountId : transfer.debitAccountId,
      },
    }))

function typeOf({ code }: Transfer): string {
  if (code === transferCode.deposit) return 'DEPOSIT'
  return code === transferCode.withdrawal ? 'WITHDRAWAL' : 'TRANSFER'
}

export interface WebhookEntriesContext {
  db: Db
  settings: Pick<TenantDefaults, 'webhookUrl'>
}

/** What was told of the payment: a tenant sees what went to its own wallet, the operator everything. */
export async function webhookEntries(
  ctx: WebhookEntriesContext,
  scope: TenantScope,
  payment: { outgoingPaymentId: string } | { incomingPaymentId: string },
): Promise<TimelineEntry[]> {
  const [seen, deliveries] = await Promise.all([
    attemptsSeenBy(ctx, scope),
    listPaymentDeliveries(ctx.db, payment),
  ])
  const events = new Map(deliveries.map((delivery) => [delivery.eventId, delivery]))
  const isShown = ({ recipientTenantId, endpoint }: PaymentDelivery) =>
    scope === 'all' || (recipientTenantId === scope.tenantId && endpoint === 'wallet')
  return [
    ...[...events.values()].map(({ eventId, type, createdAt }) => ({
      at: createdAt,
      kind: 'WEBHOOK_EVENT' as const,
      code: type,
      details: { eventId },
    })),
    ...deliveries
      .filter(isShown)
      .flatMap((delivery) => delivery.attempts.map((attempt) => attemptEntry(delivery, seen(attempt)))),
  ]
}

const attemptEntry = (delivery: PaymentDelivery, attempt: WebhookAttempt): TimelineEntry => ({
  at: attempt.at,
  kind: 'WEBHOOK_ATTEMPT',
  state: attempt.status === 200 ? 'DELIVERED' : 'FAILED',
  code: delivery.type,
  ...(attempt.error !== undefined && { message: attempt.error }),
  details: {
    eventId: delivery.eventId,
    number: attempt.number,
    endpoint: delivery.endpoint,
    recipientTenantId: delivery.recipientTenantId,
    latencyMs: attempt.latencyMs,
    ...(attempt.status !== undefined && { status: attempt.status }),
  },
})

/** The story of an incoming payment, oldest first. Throws {@link IncomingPaymentRefusal} `unknown_incoming_payment`. */
export async function getIncomingPaymentTimeline(
  ctx: WebhookEntriesContext & { ledger: Ledger },
  scope: TenantScope,
  id: string,
): Promise<TimelineEntry[]> {
  const history = isUuid(id) ? await selectHistory(ctx.db, scope, id) : undefined
  if (!history) throw unknownIncomingPayment()
  const [transfers, webhooks] = await Promise.all([
    ledgerEntries(ctx.ledger, { id, asset: history.asset }),
    webhookEntries(ctx, scope, { incomingPaymentId: id }),
  ])
  return inOrder([...rowEntries(history), ...transfers, ...noteEntries(history.notes), ...webhooks])
}

function rowEntries(history: IncomingPaymentHistory): TimelineEntry[] {
  const { asset, createdAt, incomingAmount, approvedAt, cancelledAt, cancellationReason } = history
  return [
    {
      at: createdAt,
      kind: 'CREATED',
      state: 'PENDING',
      ...(incomingAmount !== undefined && { amount: { value: incomingAmount, ...toMoneyAsset(asset) } }),
    },
    ...(approvedAt ? [{ at: approvedAt, kind: 'APPROVED' as const }] : []),
    ...(cancelledAt
      ? [
          {
            at: cancelledAt,
            kind: 'CANCELLED' as const,
            ...(cancellationReason !== undefined && { message: cancellationReason }),
          },
        ]
      : []),
  ]
}
