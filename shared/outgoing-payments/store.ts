import { toMoneyAsset } from '../assets/index.ts'
import type { StoredNote } from '../incoming-payments/index.ts'
import {
  type BatchedStatement,
  type Db,
  isUuid,
  joinById,
  present,
  type Row,
  rawSql,
  type Sql,
  sql,
} from '../platform/index.ts'
import { insertJobs, type Job, type LoadWithClaim, notifyJobs, ofQueue } from '../queue/index.ts'
import { quoteColumns, toQuote } from '../quotes/index.ts'
import {
  type AnyOf,
  askedById,
  listPage,
  type Page,
  type Paged,
  type ScopedId,
  scopeSql,
  type TenantScope,
} from '../tenants/index.ts'
import { inWalletAddresses, joinWalletAddress, walletAddressColumns } from '../wallet-addresses/index.ts'
import { insertEvent, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import { endedColumns, returnSpending } from './grant-spending-store.ts'
import { failureNote, type Note, type NotedFailure, noted, notedWhereRoom } from './history.ts'
import type {
  CardDetails,
  OutgoingPayment,
  OutgoingPaymentFilter,
  OutgoingPaymentState,
  PacketRejects,
} from './model.ts'

/** The row. While SENDING only the ledger knows what was sent. */
export type OutgoingPaymentRow = Omit<OutgoingPayment, 'sentAmount'> & {
  sentAmount?: bigint
  fundingStartedAt?: Date
  transferAttempts: number
  /** Whether a grant counts it. */
  isCounted: boolean
  /** For the receiver; opened only to be sent. */
  sealedDataToTransmit?: string
}

export const columns = sql`p.id, p.client, p.grant_id, p.state, p.error_code, p.error, p.metadata, p.state_attempts, p.transfer_attempts,
  p.funding_started_at, p.delivered_amount, p.sent_amount, p.packets_sent, p.packets_fulfilled, p.packets_rejected, p.initiated_by,
  p.created_at, p.updated_at, p.card_details, p.data_to_transmit_sealed, p.grant_interval_start is not null as is_counted, ${quoteColumns}, ${walletAddressColumns}`
export const joins = sql`${joinById('quotes', 'q', 'p.id')} ${joinWalletAddress('p.wallet_address_id')}`
const from = sql`outgoing_payments p ${joins}`
const tenantColumn = rawSql('p.tenant_id')

/**
 * Of a payment `p` that is found by its id. No equality: with plans made of a small table all payments in this state would be walked
 * through for it, and those that were in it until lately, along the index for lists by state.
 */
export const inState = (state: OutgoingPaymentState): Sql => rawSql(`p.state is not distinct from '${state}'`)

export const toRow = (row: Row): OutgoingPaymentRow => {
  const quote = toQuote(row)
  const { receiveAmount } = quote
  return {
    id: row.id,
    tenantId: quote.tenantId,
    walletAddressId: quote.walletAddressId,
    walletAddress: quote.walletAddress,
    quote,
    state: row.state as OutgoingPaymentState,
    receiver: quote.receiver,
    debitAmount: quote.debitAmount,
    receiveAmount,
    deliveredAmount: { ...receiveAmount, value: row.delivered_amount },
    initiatedBy: row.initiated_by,
    stateAttempts: row.state_attempts,
    transferAttempts: row.transfer_attempts,
    isCounted: row.is_counted,
    packets: { sent: row.packets_sent, fulfilled: row.packets_fulfilled, rejected: row.packets_rejected },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ...present({
      client: row.client as string | null,
      grantId: row.grant_id as string | null,
      metadata: row.metadata as Record<string, unknown> | null,
      error: row.error as string | null,
      errorCode: row.error_code as string | null,
      sentAmount: row.sent_amount as bigint | null,
      fundingStartedAt: row.funding_started_at as Date | null,
      cardDetails: row.card_details as CardDetails | null,
      sealedDataToTransmit: row.data_to_transmit_sealed as string | null,
    }),
  }
}

/** The payment as other rooms see it. */
export function withSent(row: OutgoingPaymentRow, sent: bigint): OutgoingPayment {
  const {
    sentAmount: _sent,
    fundingStartedAt: _started,
    transferAttempts: _attempts,
    isCounted: _counted,
    sealedDataToTransmit: _sealed,
    ...payment
  } = row
  return { ...payment, sentAmount: { value: sent, ...toMoneyAsset(row.walletAddress.asset) } }
}

const paymentById: BatchedStatement<ScopedId, OutgoingPaymentRow> = {
  query: (asked) =>
    sql`select asked.place, ${columns} from ${askedById(asked, { table: 'outgoing_payments', alias: 'p' })} ${joins}`,
  map: toRow,
}

export const selectPayment = async (
  db: Db,
  scope: TenantScope,
  id: string,
): Promise<OutgoingPaymentRow | undefined> =>
  isUuid(id) ? await db.batched(paymentById, { id, scope }) : undefined

/** For a consumer of this queue: what {@link selectPaymentOf} would otherwise have to ask for. */
export const loadOutgoingPayment: LoadWithClaim = sql`select ${columns} from ${from} where p.id = claimed.key`

/** The payment that a job is about: from the claim where that loaded it, otherwise read now. */
export async function selectPaymentOf(
  db: Db,
  { key, loaded }: Pick<Job, 'key' | 'loaded'>,
): Promise<OutgoingPaymentRow | undefined> {
  if (loaded) return loaded.id === null ? undefined : toRow(loaded)
  return await selectPayment(db, 'all', key)
}

const inStates = (values: readonly string[]): AnyOf => ({ column: 'state', type: 'text', values })

export const selectPayments = (
  db: Db,
  scope: TenantScope,
  filter: OutgoingPaymentFilter,
  page: Page,
): Promise<Paged<OutgoingPaymentRow>> => {
  const where: Sql[] = [scopeSql(scope, tenantColumn)]
  // Asked first, and as a list of ids: there are few for a receiver, however many payments there are.
  if (filter.receiver)
    where.push(
      sql`p.id = any(array(select q.id from quotes q where q.receiver = any(${filter.receiver}::text[])))`,
    )
  // One of them decides the order of reading; a wallet address has the fewer payments.
  if (filter.walletAddressId && filter.state) where.push(sql`p.state = any(${filter.state}::text[])`)
  const anyOf = filter.walletAddressId
    ? inWalletAddresses(filter.walletAddressId)
    : filter.state && inStates(filter.state)
  if (filter.client !== undefined) where.push(sql`p.client = ${filter.client}`)
  return listPage(
    db,
    {
      map: toRow,
      columns,
      tables: ['outgoing_payments'],
      alias: 'p',
      joins,
      where,
      ...(anyOf && { anyOf }),
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )
}

/** Of the payment that a request made. One at most has its id: whose it is must not lead along the list of the tenant's payments. */
export const findRequestedId = (db: Db, scope: TenantScope, requestId: string): Promise<string | undefined> =>
  db.maybe(
    (row) => row.id as string,
    sql`select p.id from (select * from outgoing_payments where request_id = ${requestId} offset 0) p where ${scopeSql(scope, tenantColumn)}`,
  )

/** What a payment counts that is cancelled: nothing, if it counted at all. */
const countsNothing = rawSql(`spent_debit_amount = case when p.grant_interval_start is not null then 0 end,
  spent_receive_amount = case when p.grant_interval_start is not null then 0 end`)

const cancelled = (metadata: { cancellationReason?: string; cardPaymentFailureReason?: string }): Note => ({
  kind: 'state',
  state: 'CANCELLED',
  ...(metadata.cancellationReason !== undefined && { message: metadata.cancellationReason }),
  ...(metadata.cardPaymentFailureReason !== undefined && { code: metadata.cardPaymentFailureReason }),
})

/** FUNDING → CANCELLED, unless money may be on its way; the grant gets back what the payment would have spent. */
export const cancelPayment = async (
  db: Db,
  scope: TenantScope,
  input: {
    id: string
    metadata: { cancellationReason?: string; cardPaymentFailureReason?: string }
    now: Date
  },
  event?: NewWebhookEvent,
): Promise<boolean> =>
  (await db.execute(sql`
    with ended as (
      update outgoing_payments p set state = 'CANCELLED', updated_at = ${input.now}, ${countsNothing},
        metadata = coalesce(p.metadata, '{}'::jsonb) || ${JSON.stringify(input.metadata)}::jsonb,
        history = ${noted(input.now, cancelled(input.metadata))}
      where p.id = ${input.id} and ${inState('FUNDING')} and p.funding_started_at is null
        and ${scopeSql(scope, tenantColumn)}
      returning ${endedColumns}
    ), ${returnSpending}${announced(event, rawSql('select from ended'))}
    select id ${notified(event)} from ended`)) === 1

/** Pieces of a statement that announces what it does, where somebody wants to hear of it. */
const announced = (event: NewWebhookEvent | undefined, source: Sql): Sql =>
  event ? sql`, ${insertEvent(event, source)}` : rawSql('')
const notified = (event: NewWebhookEvent | undefined): Sql =>
  event ? sql`, ${notifyDeliveries} as notified` : rawSql('')

/** Payments that nobody has begun to fund since `before`, oldest first. */
export const selectUnfunded = (
  db: Db,
  input: { before: Date; limit: number },
): Promise<OutgoingPaymentRow[]> =>
  db.many(
    toRow,
    sql`select ${columns} from ${from}
      where p.state = 'FUNDING' and p.funding_started_at is null and p.created_at <= ${input.before}
      order by p.created_at limit ${input.limit}`,
  )

/** The deposit was definitely refused. */
export const clearFundingStarted = (
  db: Db,
  input: { id: string; code: string; message: string; now: Date },
): Promise<number> =>
  db.execute(sql`
    update outgoing_payments p set funding_started_at = null, updated_at = ${input.now}, data_to_transmit_sealed = null,
      history = ${notedWhereRoom(input.now, { kind: 'funding_refused', code: input.code, message: input.message })}
    where p.id = ${input.id} and ${inState('FUNDING')}`)

/** Notes an attempt that failed and is followed by another. */
export const recordAttempt = (
  db: Db,
  attempt: { id: string; failure: NotedFailure; transferRefused: boolean; retryAt: Date; now: Date },
): Promise<number> =>
  db.execute(sql`
    update outgoing_payments p set state_attempts = state_attempts + 1, error_code = ${attempt.failure.code}, error = ${attempt.failure.message},
      transfer_attempts = transfer_attempts + ${attempt.transferRefused ? 1 : 0}, updated_at = ${attempt.now},
      history = ${notedWhereRoom(attempt.now, { kind: 'attempt_failed', ...failureNote(attempt.failure), retryAt: attempt.retryAt.toISOString() })}
    where p.id = ${attempt.id} and ${inState('SENDING')}`)

/** Notes what the payment has begun to wait for. While it goes on waiting for the same, nothing is written. */
export const noteWait = (db: Db, wait: { id: string; failure: NotedFailure; now: Date }): Promise<number> =>
  db.execute(sql`
    update outgoing_payments p set history = ${notedWhereRoom(wait.now, { kind: 'waiting', ...failureNote(wait.failure) })}
    where p.id = ${wait.id} and ${inState('SENDING')} and (p.history->-1->>'kind', p.history->-1->>'code') is distinct from
      ('waiting', ${wait.failure.code}::text)`)

/** What a payment's row remembers besides the payment. */
export interface PaymentNotes {
  history: StoredNote[]
  rejects: PacketRejects[]
}

export const selectNotes = async (
  db: Db,
  scope: TenantScope,
  id: string,
): Promise<PaymentNotes | undefined> =>
  isUuid(id)
    ? await db.maybe(
        (row) => ({ history: row.history as StoredNote[], rejects: row.packet_rejects as PacketRejects[] }),
        sql`select p.history, p.packet_rejects from outgoing_payments p
          where p.id = ${id} and ${scopeSql(scope, tenantColumn)}`,
      )
    : undefined

/**
 * Puts unfinished payments without a job back into the queue. A job that is there is left alone: it has its own time. Each is looked up,
 * because of the offset, where otherwise the whole queue would be read.
 */
export const enqueueLost = (db: Db, before: Date, limit: number): Promise<string[]> => {
  const jobs = insertJobs('outgoing-payments', sql`select id, tenant_id from lost`)
  return db.many(
    (row) => row.key as string,
    sql`with lost as (
      select p.id, p.tenant_id from outgoing_payments p
      where (p.state = 'SENDING' or (p.state = 'FUNDING' and p.funding_started_at is not null)) and p.updated_at <= ${before}
        and not exists (select from jobs j where ${ofQueue('outgoing-payments')} and j.key = p.id offset 0)
      order by p.updated_at limit ${limit}
    ), job as (${jobs})
    select key, ${notifyJobs('outgoing-payments')} from job`,
  )
}
