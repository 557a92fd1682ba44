import {
  inOrder,
  ledgerEntries,
  noteEntries,
  type StoredNote,
  type TimelineEntry,
  type WebhookEntriesContext,
  webhookEntries,
} from '../incoming-payments/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import type { ReadContext } from './context.ts'
import { unknownPayment } from './read-outgoing-payments.ts'
import { type OutgoingPaymentRow, type PaymentNotes, selectNotes, selectPayment } from './store.ts'

/** The story of an outgoing payment, oldest first. Throws {@link OutgoingPaymentRefusal} `unknown_payment`. */
export async function getOutgoingPaymentTimeline(
  ctx: ReadContext & WebhookEntriesContext,
  scope: TenantScope,
  id: string,
): Promise<TimelineEntry[]> {
  const [payment, notes] = await Promise.all([
    selectPayment(ctx.db, scope, id),
    selectNotes(ctx.db, scope, id),
  ])
  if (!payment || !notes) throw unknownPayment()
  const [transfers, webhooks] = await Promise.all([
    ledgerEntries(ctx.ledger, { id: payment.id, asset: payment.walletAddress.asset }),
    webhookEntries(ctx, scope, { outgoingPaymentId: payment.id }),
  ])
  return inOrder([
    ...beginning(payment),
    ...transfers,
    ...packetEntries(payment, notes),
    ...noteEntries(notes.history),
    ...webhooks,
  ])
}

const beginning = ({ createdAt, debitAmount, fundingStartedAt }: OutgoingPaymentRow): TimelineEntry[] => [
  { at: createdAt, kind: 'CREATED', state: 'FUNDING', amount: debitAmount },
  ...(fundingStartedAt ? [{ at: fundingStartedAt, kind: 'FUNDING_STARTED' as const }] : []),
]

/** Counted in all, so they stand where the counting ended: at the payment's end, or where it is now. */
function packetEntries(payment: OutgoingPaymentRow, { history, rejects }: PaymentNotes): TimelineEntry[] {
  const { sent, fulfilled, rejected } = payment.packets
  if (sent === 0) return []
  const at = endOf(history) ?? payment.updatedAt
  return [
    {
      at,
      kind: 'PACKETS_SENT',
      amount: payment.deliveredAmount,
      details: { sent, fulfilled, rejected },
    },
    ...rejects.map(({ code, triggeredBy, count }) => ({
      at,
      kind: 'PACKETS_REJECTED' as const,
      code,
      details: { triggeredBy, count },
    })),
  ]
}

function endOf(history: readonly StoredNote[]): Date | undefined {
  const end = history.find(({ state }) => state === 'COMPLETED' || state === 'FAILED')
  return end && new Date(end.at)
}
