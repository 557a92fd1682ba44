import { expectLocalCredits } from '../incoming-payments/index.ts'
import {
  type BatchedStatement,
  type Db,
  type Row,
  rawSql,
  rowsSql,
  type Sql,
  sql,
  violatedConstraint,
} from '../platform/index.ts'
import type { Quote } from '../quotes/index.ts'
import { insertEvent, insertEvents, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import type { Grant, GrantSpent, SpendingInterval } from './grant-spending.ts'
import { countSpending, LIMIT_CONSTRAINT, spendingColumns } from './grant-spending-store.ts'
import type { CardDetails, OutgoingPayment } from './model.ts'

export interface NewOutgoingPayment {
  quote: Quote
  metadata?: Record<string, unknown>
  client?: string
  grant?: { grant: Grant; interval: SpendingInterval }
  requestId?: string
  cardDetails?: CardDetails
  initiatedBy: OutgoingPayment['initiatedBy']
  /** The incoming payment of this node that it is going to credit. */
  localReceiverId?: string
  now: Date
}

/** `spent`: by the payment's grant before it. */
export interface Inserted {
  spent?: GrantSpent
}

/**
 * The row, its event, what it spends of its grant and what is said of its receiver, if that is of this node, in one statement. `undefined`, and nothing is written, when the quote was spent
 * before, because its id is the payment's, or when its request was carried out before. Throws {@link OutgoingPaymentRefusal}
 * `outside_grant`, and writes nothing, when it would pass the grant's limit.
 */
export const insertPayment = (
  db: Db,
  payment: NewOutgoingPayment,
  event: NewWebhookEvent,
): Promise<Inserted | undefined> =>
  payment.grant
    ? insertGranted(db, { payment, event }, payment.grant)
    : db.batched(creations, { payment, event })

interface Creation {
  payment: NewOutgoingPayment
  event: NewWebhookEvent
}

const columns =
  rawSql(`id, tenant_id, wallet_address_id, client, grant_id, request_id, metadata, initiated_by, created_at, updated_at,
  grant_interval_start, spent_debit_amount, spent_receive_amount, card_details`)

/** Those of a quote that is used twice at once are one, the first. */
const insertRows = (payments: readonly NewOutgoingPayment[]): Sql => {
  const rows = payments.map(({ quote, grant, now, ...payment }, index) => ({
    place: index + 1,
    id: quote.id,
    tenant_id: quote.tenantId,
    wallet_address_id: quote.walletAddressId,
    client: payment.client,
    request_id: payment.requestId,
    metadata: payment.metadata,
    initiated_by: payment.initiatedBy,
    created_at: now,
    updated_at: now,
    card_details: payment.cardDetails,
    local_receiver_id: payment.localReceiverId,
    ...(grant && {
      grant_id: grant.grant.id,
      grant_interval_start: grant.interval ?? '-infinity',
      spent_debit_amount: quote.debitAmount.value.toString(),
      spent_receive_amount: quote.receiveAmount.value.toString(),
    }),
  }))
  return sql`
    asked as (
      select distinct on (id) * from ${rowsSql(
        rows,
        `asked (place bigint, id uuid, tenant_id uuid, wallet_address_id uuid, client text, grant_id text, request_id uuid, metadata jsonb,
          initiated_by text, created_at timestamptz, updated_at timestamptz, grant_interval_start timestamptz,
          spent_debit_amount numeric, spent_receive_amount numeric, card_details jsonb, local_receiver_id uuid)`,
      )} order by id, place
    ), inserted as (
      insert into outgoing_payments (${columns}) select ${columns} from asked order by id on conflict do nothing returning id
    ), payment as (
      select asked.place, asked.local_receiver_id from asked join inserted using (id)
    )${payments.some(({ localReceiverId }) => localReceiverId !== undefined) ? expectingCredits : rawSql('')}`
}

const expectingCredits = sql`, expecting as (${expectLocalCredits(
  rawSql('select local_receiver_id from payment where local_receiver_id is not null'),
)})`

const creations: BatchedStatement<Creation, Inserted> = {
  query: (items, requestIds) => sql`
    with ${insertRows(items.map(({ payment }) => payment))},
      ${insertEvents(
        items.map(({ event }) => event),
        rawSql('select place from payment'),
        requestIds,
      )}
    select payment.place, ${notifyDeliveries} as notified from payment`,
  map: () => ({}),
}

/** Alone: each has its own amounts to count, and passing a limit undoes all of the statement. */
async function insertGranted(
  db: Db,
  { payment, event }: Creation,
  { grant, interval }: NonNullable<NewOutgoingPayment['grant']>,
): Promise<Inserted | undefined> {
  try {
    return await db.maybe(
      (row) => ({ spent: spentBefore(payment.quote, row) }),
      sql`with ${insertRows([payment])}, ${countSpending(grant, interval, payment.quote)}, ${insertEvent(event, rawSql('select from payment'))}
        select ${notifyDeliveries} as notified, ${spendingColumns} from payment`,
    )
  } catch (error) {
    if (violatedConstraint(error) !== LIMIT_CONSTRAINT) throw error
    throw new OutgoingPaymentRefusal('outside_grant', {
      message: 'the amount is more than is left of the grant',
      cause: error,
    })
  }
}

const spentBefore = ({ debitAmount, receiveAmount }: Quote, row: Row): GrantSpent => ({
  debitAmount: { ...debitAmount, value: row.spent_debit - debitAmount.value },
  receiveAmount: { ...receiveAmount, value: row.spent_receive - receiveAmount.value },
})
