import { type Db, deriveUuid, isUuid, rawSql, type SecretBox, sql, uuidv7 } from '../platform/index.ts'
import { eventRecipients, scopeSql, serviceRecipients, type TenantScope } from '../tenants/index.ts'
import { insertEvent, notifyDeliveries, sealDataFromSender } from '../webhooks/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { type IncomingPaymentState, isFinal, toWebhookData } from './model.ts'
import { unknownIncomingPayment } from './read-incoming-payments.ts'
import { withReceived } from './received.ts'
import { paymentById } from './store.ts'

/** A packet of a payment that brings words of its sender: the wallet decides whether its money is taken. */
export interface PartialPayment {
  /** See {@link partialIncomingPaymentIdOf}. */
  partialIncomingPaymentId: string
  incomingPaymentId: string
  dataFromSender: string
}

export type PartialDecision = { accepted: true } | { accepted: false; reason: string }

/** Told with the id of the partial payment when a wallet has decided. */
export const PARTIAL_PAYMENTS_CHANNEL = 'upesi_partial_payments'

/** For a wallet that refuses without words: the sender must hear some, which tell it not to try again. */
const NO_REASON = 'Declined by receiving ASE'

/** Follows from the packet, so that a repeat is not asked about again. Wallets check what looks like a UUID. */
export const partialIncomingPaymentIdOf = (packetId: string): string =>
  deriveUuid('partial-incoming-payment', packetId)

type AskContext = Parameters<typeof serviceRecipients>[0] & {
  db: Db
  clock: { now(): Date }
  secretBox: Pick<SecretBox, 'seal'>
  settings: Parameters<typeof eventRecipients>[0]
}

/** Announces `incoming_payment.partial_payment_received`, once for each id. `false`: the payment is not there any more. */
export async function askAboutPartialPayment(ctx: AskContext, partial: PartialPayment): Promise<boolean> {
  const { partialIncomingPaymentId, incomingPaymentId, dataFromSender } = partial
  const row = await ctx.db.batched(paymentById, { id: incomingPaymentId, scope: 'all' })
  if (!row) return false
  const type = 'incoming_payment.partial_payment_received'
  const eventId = uuidv7()
  const event = {
    id: eventId,
    tenantId: row.tenantId,
    type,
    // What has arrived so far is not told with this event (webhooks.md §3).
    data: { ...toWebhookData(withReceived(row, 0n)), partialIncomingPaymentId },
    sealedDataFromSender: sealDataFromSender(ctx, { eventId, text: dataFromSender }),
    incomingPaymentId,
    recipientTenantIds: eventRecipients(ctx.settings, row.tenantId),
    services: serviceRecipients(ctx, 'pos', {
      type,
      paymentId: incomingPaymentId,
      initiatedBy: row.initiatedBy,
    }),
  } as const
  await ctx.db.execute(sql`
    with asked as (
      insert into incoming_payment_decisions (partial_incoming_payment_id, incoming_payment_id, asked_at)
      values (${partialIncomingPaymentId}, ${incomingPaymentId}, ${ctx.clock.now()})
      on conflict do nothing returning partial_incoming_payment_id),
    ${insertEvent(event, rawSql('select from asked'))}
    select ${notifyDeliveries}`)
  return true
}

/** What the wallet has said so far. */
export const findPartialDecision = (db: Db, id: string): Promise<PartialDecision | undefined> =>
  db.maybe(
    (row): PartialDecision =>
      row.accepted ? { accepted: true } : { accepted: false, reason: row.reason || NO_REASON },
    sql`select accepted, reason from incoming_payment_decisions
        where partial_incoming_payment_id = ${id} and accepted is not null`,
  )

export interface DecideInput {
  incomingPaymentId: string
  partialIncomingPaymentId: string
  accepted: boolean
  /** For the sender. */
  reason?: string
}

/**
 * Notes what a wallet says about a partial payment; the last word counts, for packets that still wait for it. Throws
 * {@link IncomingPaymentRefusal} `unknown_incoming_payment`, `incoming_payment_closed` or `unknown_partial_payment`.
 */
export async function decidePartialPayment(
  ctx: { db: Db; clock: { now(): Date } },
  scope: TenantScope,
  input: DecideInput,
): Promise<void> {
  if (!isUuid(input.incomingPaymentId)) throw unknownIncomingPayment()
  const found = await ctx.db.maybe(
    (row) => ({ state: row.state as IncomingPaymentState, isDecided: row.is_decided as boolean }),
    sql`
      with payment as (
        select p.id, p.state from incoming_payments p
        where p.id = ${input.incomingPaymentId} and p.deleted_at is null and ${scopeSql(scope, rawSql('p.tenant_id'))}),
      decided as (
        update incoming_payment_decisions d
        set accepted = ${input.accepted}, reason = ${input.reason}, decided_at = ${ctx.clock.now()}
        from payment
        where d.incoming_payment_id = payment.id and payment.state in ('PENDING', 'PROCESSING')
          and d.partial_incoming_payment_id = ${isUuid(input.partialIncomingPaymentId) ? input.partialIncomingPaymentId : null}
        returning d.partial_incoming_payment_id as id)
      select payment.state, exists (select from decided) as is_decided,
        (select pg_notify(${PARTIAL_PAYMENTS_CHANNEL}, id::text) from decided)
      from payment`,
  )
  if (!found) throw unknownIncomingPayment()
  if (isFinal(found.state))
    throw new IncomingPaymentRefusal('incoming_payment_closed', {
      message: 'the incoming payment is completed or expired',
    })
  if (!found.isDecided)
    throw new IncomingPaymentRefusal('unknown_partial_payment', { message: 'unknown partial payment' })
}
