import { type AssetRef, toMoneyAsset } from '../assets/index.ts'
import type { Amount } from '../money/index.ts'
import {
  type BatchedStatement,
  type Db,
  present,
  type Row,
  rawSql,
  rowsSql,
  type Sql,
  sql,
} from '../platform/index.ts'
import { insertJobs, type Job, type LoadWithClaim, noRequest, notifyJobs } from '../queue/index.ts'
import {
  askedById,
  listPage,
  type Page,
  type Paged,
  type ScopedId,
  scopeSql,
  type TenantScope,
} from '../tenants/index.ts'
import { joinWalletAddress, toWalletAddress, walletAddressColumns } from '../wallet-addresses/index.ts'
import { insertEvents, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import type { CloseReason, HistoryNote, IncomingPaymentHistory, StoredNote } from './history.ts'
import {
  type IncomingPayment,
  type IncomingPaymentState,
  type Initiator,
  initiators,
  type OpenOrClosed,
  type ReceivingPayment,
} from './model.ts'

export const QUEUE = 'incoming-payments'
/** In place of a connector's id: more than one connector has delivered packets. */
export const SEVERAL = '00000000-0000-0000-0000-000000000000'

/** The row without what only the ledger knows. */
export type IncomingPaymentRow = Omit<IncomingPayment, 'receivedAmount'> & OpenOrClosed

const publicColumns = sql`p.id, p.tenant_id as payment_tenant_id, p.client, p.state, p.incoming_amount, p.metadata, p.initiated_by, p.sender_wallet_address,
  p.expires_at, p.approved_at, p.cancelled_at, p.cancellation_reason, p.created_at, p.deleted_at, ${walletAddressColumns}`
const columns = sql`${publicColumns}, p.process_at, p.announced_at,
  p.paid_by_connector is not null or p.paid_locally as has_creditors,
  (p.paid_by_connector is null) = p.paid_locally and p.paid_by_connector is distinct from ${SEVERAL}::uuid and p.local_credits = 0
    as has_one_creditor,
  p.history @> '[{"reason": "amount_received"}]' as is_full`
const joins = joinWalletAddress('p.wallet_address_id')
const tenantColumn = rawSql('p.tenant_id')
export const open = rawSql(`p.state in ('PENDING', 'PROCESSING') and p.deleted_at is null`)

const amountIn = (asset: AssetRef, value: bigint | null): Amount | null =>
  value === null ? null : { value, ...toMoneyAsset(asset) }

/** What others may know of the row. */
const toPublicRow = (row: Row): Omit<IncomingPayment, 'receivedAmount'> => {
  const walletAddress = toWalletAddress(row)
  return {
    id: row.id,
    tenantId: row.payment_tenant_id,
    walletAddressId: walletAddress.id,
    walletAddress,
    asset: walletAddress.asset,
    state: row.state as IncomingPaymentState,
    initiatedBy: row.initiated_by as Initiator,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    ...present({
      client: row.client as string | null,
      incomingAmount: amountIn(walletAddress.asset, row.incoming_amount),
      metadata: row.metadata as Record<string, unknown> | null,
      senderWalletAddress: row.sender_wallet_address as string | null,
      approvedAt: row.approved_at as Date | null,
      cancelledAt: row.cancelled_at as Date | null,
      cancellationReason: row.cancellation_reason as string | null,
      deletedAt: row.deleted_at as Date | null,
    }),
  }
}

const toRow = (row: Row): IncomingPaymentRow => ({
  ...toPublicRow(row),
  processAt: row.process_at,
  hasCreditors: row.has_creditors,
  hasOneCreditor: row.has_one_creditor,
  isFull: row.is_full,
  ...present({ announcedAt: row.announced_at as Date | null }),
})

const table = 'incoming_payments'

/** What others may know of payments. */
export const paymentById: BatchedStatement<ScopedId, Omit<IncomingPayment, 'receivedAmount'>> = {
  query: (asked) => sql`
    select asked.place, ${publicColumns}
    from ${askedById(asked, { table, alias: 'p', visible: 'x.deleted_at is null' })} ${joins}`,
  map: toPublicRow,
}

/** Payments that disappeared are found by the worker only. */
const rowById: BatchedStatement<ScopedId, IncomingPaymentRow> = {
  query: (asked) =>
    sql`select asked.place, ${columns} from ${askedById(asked, { table, alias: 'p' })} ${joins}`,
  map: toRow,
}

/** For a consumer of this queue: what {@link selectRowOf} would otherwise have to ask for. */
export const loadIncomingPayment: LoadWithClaim = sql`
  select ${columns} from ${rawSql(table)} p ${joins} where p.id = claimed.key`

/** The payment that a job is about: from the claim where that loaded it, otherwise read now. */
export async function selectRowOf(
  db: Db,
  { key, loaded }: Pick<Job, 'key' | 'loaded'>,
): Promise<IncomingPaymentRow | undefined> {
  if (loaded) return loaded.id === null ? undefined : toRow(loaded)
  return await db.batched(rowById, { id: key, scope: 'all' })
}

/** A payment with its asset's columns. */
export const toReceivingPayment = (row: Row): ReceivingPayment => ({
  id: row.id,
  tenantId: row.tenant_id,
  state: row.state as IncomingPaymentState,
  asset: { id: row.asset_id, code: row.asset_code, scale: row.asset_scale, ledger: row.asset_ledger },
  expiresAt: row.expires_at,
  ...present({
    incomingAmount: row.incoming_amount as bigint | null,
    othersMayCredit: row.others_may_credit as boolean | undefined,
  }),
})

export const selectReceivingPayment = (db: Db, id: string): Promise<ReceivingPayment | undefined> =>
  db.maybe(
    toReceivingPayment,
    sql`select p.id, p.tenant_id, p.state, p.incoming_amount, p.expires_at,
        a.id as asset_id, a.code as asset_code, a.scale as asset_scale, a.ledger as asset_ledger
      from incoming_payments p join assets a on a.id = p.asset_id where p.id = ${id} and p.deleted_at is null`,
  )

export interface IncomingPaymentFilter {
  walletAddressId?: string
  client?: string
  state?: { in?: readonly IncomingPaymentState[] }
  initiatedBy?: { in?: readonly Initiator[]; notIn?: readonly Initiator[] }
}

function conditions(filter: IncomingPaymentFilter): Sql[] {
  const pieces: Sql[] = []
  if (filter.walletAddressId !== undefined) pieces.push(sql`p.wallet_address_id = ${filter.walletAddressId}`)
  if (filter.client !== undefined) pieces.push(sql`p.client = ${filter.client}`)
  if (filter.state?.in?.length) pieces.push(sql`p.state = any(${filter.state.in})`)
  return pieces
}

/** What is not left out; the index finds what is asked for, not what is not. `undefined`: all of them. */
function initiatorsOf({ initiatedBy }: IncomingPaymentFilter): Initiator[] | undefined {
  const { in: included = [], notIn = [] } = initiatedBy ?? {}
  const asked = initiators.filter(
    (initiator) => (included.length === 0 || included.includes(initiator)) && !notIn.includes(initiator),
  )
  return asked.length === initiators.length ? undefined : asked
}

export const selectPayments = (
  db: Db,
  scope: TenantScope,
  filter: IncomingPaymentFilter,
  page: Page,
): Promise<Paged<IncomingPaymentRow>> => {
  const values = initiatorsOf(filter)
  const where = [scopeSql(scope, tenantColumn), rawSql('p.deleted_at is null'), ...conditions(filter)]
  // One of them decides the order of reading; a wallet address has the fewer payments.
  const isWithinOne = filter.walletAddressId !== undefined
  if (isWithinOne && values) where.push(sql`p.initiated_by = any(${values}::text[])`)
  return listPage(
    db,
    {
      map: toRow,
      columns,
      tables: [table],
      alias: 'p',
      joins,
      where,
      ...(values && !isWithinOne && { anyOf: { column: 'initiated_by', type: 'text', values } }),
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )
}

export interface NewIncomingPayment {
  id: string
  tenantId: string
  walletAddressId: string
  incomingAmount?: Amount
  metadata?: Record<string, unknown>
  client?: string
  initiatedBy: Initiator
  senderWalletAddress?: string
  expiresAt: Date
  createdAt: Date
}

/** Appends to the story of a payment, as part of the statement that makes the change. */
const noted = (at: Date, note: HistoryNote): Sql =>
  sql`p.history || ${JSON.stringify([{ at, ...note }])}::jsonb`

/** A job that is due later than this is found by the workers' own look ahead; waking them for it would be work for nothing. */
const WAKE_WITHIN_MS = 60_000

interface Creation {
  payment: NewIncomingPayment
  event: NewWebhookEvent
}

const wakesNow = ({ payment }: Creation) =>
  payment.expiresAt.getTime() - payment.createdAt.getTime() < WAKE_WITHIN_MS

const creations: BatchedStatement<Creation, true> = {
  query: (items, requestIds) => sql`
    with given as materialized (
      select given.*, w.asset_id
      from ${rowsSql(
        items.map(({ payment }, index) => ({
          place: index + 1,
          id: payment.id,
          tenant_id: payment.tenantId,
          wallet_address_id: payment.walletAddressId,
          client: payment.client,
          incoming_amount: payment.incomingAmount?.value.toString(),
          metadata: payment.metadata,
          initiated_by: payment.initiatedBy,
          sender_wallet_address: payment.senderWalletAddress,
          expires_at: payment.expiresAt,
          created_at: payment.createdAt,
        })),
        `given (place bigint, id uuid, tenant_id uuid, wallet_address_id uuid, client text, incoming_amount numeric, metadata jsonb,
          initiated_by text, sender_wallet_address text, expires_at timestamptz, created_at timestamptz)`,
      )}
      cross join lateral (
        select x.asset_id from wallet_addresses x
        where x.id = given.wallet_address_id and x.tenant_id = given.tenant_id and x.deactivated_at is null
        limit 1) w
    ), payment as (
      insert into incoming_payments (id, tenant_id, wallet_address_id, asset_id, client, incoming_amount, metadata, initiated_by,
        sender_wallet_address, expires_at, process_at, created_at, updated_at)
      select id, tenant_id, wallet_address_id, asset_id, client, incoming_amount, metadata, initiated_by,
        sender_wallet_address, expires_at, expires_at, created_at, created_at
      from given
    ), job as (${insertJobs(QUEUE, rawSql('select id, tenant_id, expires_at from given'), rawSql('source.expires_at'), noRequest)}),
    ${insertEvents(
      items.map(({ event }) => event),
      rawSql('select place from given'),
      requestIds,
    )}
    select place, ${items.some(wakesNow) ? sql`(select ${notifyJobs(QUEUE)} from job limit 1)` : rawSql('null')} as woken,
      ${notifyDeliveries} as notified
    from given`,
  map: () => true,
}

/** The row, its event and its job, due at expiry, in one statement. `false`, and nothing is written, when the wallet address is not there or not active at this moment, whatever a cache said. */
export const insertPayment = async (
  db: Db,
  payment: NewIncomingPayment,
  event: NewWebhookEvent,
): Promise<boolean> => (await db.batched(creations, { payment, event })) ?? false

/** Closes open payments; the announcement is due, and its job runs, at `processAt`. The ids that this call closed. */
export const closePayments = (
  db: Db,
  scope: TenantScope,
  payments: {
    ids: readonly string[]
    state: 'COMPLETED' | 'EXPIRED'
    reason: CloseReason
    processAt: Date
    now: Date
    unexpired?: boolean
  },
): Promise<string[]> => {
  const inTime = payments.unexpired ? sql`p.expires_at > ${payments.now}::timestamptz` : rawSql('true')
  const job = insertJobs(QUEUE, rawSql('select id, tenant_id from closed'), payments.processAt)
  return db.many(
    (row) => row.id as string,
    sql`with closed as (
        update incoming_payments p set state = ${payments.state}, process_at = ${payments.processAt}::timestamptz,
          updated_at = ${payments.now}::timestamptz,
          history = ${noted(payments.now, { kind: 'state', state: payments.state, reason: payments.reason })}
        where p.id = any(${payments.ids}::uuid[]) and ${open} and ${inTime} and ${scopeSql(scope, tenantColumn)}
        returning p.id, p.tenant_id),
      job as (${job})
      select id, ${notifyJobs(QUEUE)} from closed`,
  )
}

/** What was noted of a payment that the scope may see, and the stamps of its row. */
export const selectHistory = (
  db: Db,
  scope: TenantScope,
  id: string,
): Promise<IncomingPaymentHistory | undefined> =>
  db.maybe(
    (row) => ({
      asset: { id: row.asset_id, code: row.asset_code, scale: row.asset_scale, ledger: row.asset_ledger },
      createdAt: row.created_at as Date,
      notes: row.history as StoredNote[],
      ...present({
        incomingAmount: row.incoming_amount as bigint | null,
        approvedAt: row.approved_at as Date | null,
        cancelledAt: row.cancelled_at as Date | null,
        cancellationReason: row.cancellation_reason as string | null,
      }),
    }),
    sql`select p.created_at, p.incoming_amount, p.approved_at, p.cancelled_at, p.cancellation_reason, p.history,
        a.id as asset_id, a.code as asset_code, a.scale as asset_scale, a.ledger as asset_ledger
      from incoming_payments p join assets a on a.id = p.asset_id
      where p.id = ${id} and p.deleted_at is null and ${scopeSql(scope, tenantColumn)}`,
  )

const unannounced = `p.announced_at is null and p.state in ('COMPLETED', 'EXPIRED')`

/** An end that needs no announcement. Nothing happens when it had one. */
export const markFinished = (db: Db, payment: { id: string; hide: boolean; now: Date }): Promise<number> =>
  db.execute(sql`
    update incoming_payments p set announced_at = ${payment.now}::timestamptz,
      deleted_at = case when ${payment.hide}::boolean then ${payment.now}::timestamptz else p.deleted_at end, updated_at = ${payment.now}::timestamptz
    where p.id = ${payment.id} and ${rawSql(unannounced)}`)

interface Announcement {
  id: string
  now: Date
  event: NewWebhookEvent
}

const announcements: BatchedStatement<Announcement, true> = {
  query: (items, requestIds) => sql`
    with marked as (
      update incoming_payments p set announced_at = once.now, updated_at = once.now
      from (
        select distinct on (id) * from unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ now }) => now)}::timestamptz[])
          with ordinality asked (id, now, place) order by id, place
      ) once
      where p.id = any(${items.map(({ id }) => id)}::uuid[]) and p.id = once.id and ${rawSql(unannounced)}
      returning once.place
    ), ${insertEvents(
      items.map(({ event }) => event),
      rawSql('select place from marked'),
      requestIds,
    )}
    select place, ${notifyDeliveries} as notified from marked`,
  map: () => true,
}

/** The one moment at which an end is announced, and its event, in one statement. The update locks the row: of several announcers one writes, the others find it done. */
export const recordAnnouncement = async (db: Db, announcement: Announcement): Promise<boolean> =>
  (await db.batched(announcements, announcement)) ?? false

/** A payment that disappeared and has money after all. Locks the row: what is announced late is announced by one worker. */
export const showAgain = (db: Db, payment: { id: string; now: Date }): Promise<number> =>
  db.execute(
    sql`update incoming_payments p set deleted_at = null, updated_at = ${payment.now} where p.id = ${payment.id}`,
  )

/** Stamps the wallet's decision once, on a pending payment that has no other decision. */
export async function stampDecision(
  db: Db,
  scope: TenantScope,
  decision: { id: string; approve: boolean; reason?: string; now: Date },
): Promise<boolean> {
  const column = rawSql(decision.approve ? 'approved_at' : 'cancelled_at')
  const stamped = await db.execute(sql`
    update incoming_payments p set ${column} = ${decision.now}, cancellation_reason = ${decision.reason}, updated_at = ${decision.now}
    where p.id = ${decision.id} and p.state = 'PENDING' and p.deleted_at is null and p.approved_at is null and p.cancelled_at is null
      and ${scopeSql(scope, tenantColumn)}`)
  return stamped === 1
}

export const findDecision = (db: Db, id: string): Promise<'approved' | 'cancelled' | undefined> =>
  db.maybe(
    (row) => (row.cancelled_at ? 'cancelled' : row.approved_at ? 'approved' : undefined),
    sql`select p.approved_at, p.cancelled_at from incoming_payments p where p.id = ${id}`,
  )

export async function setMetadata(
  db: Db,
  scope: TenantScope,
  payment: { id: string; metadata: Record<string, unknown>; now: Date },
): Promise<boolean> {
  const updated = await db.execute(sql`
    update incoming_payments p set metadata = ${JSON.stringify(payment.metadata)}::jsonb, updated_at = ${payment.now}
    where p.id = ${payment.id} and p.deleted_at is null and ${scopeSql(scope, tenantColumn)}`)
  return updated === 1
}

/** Open payments of a wallet address end by `latest`; their jobs move with them. */
export const shortenOpenPayments = (
  db: Db,
  input: { walletAddressId: string; latest: Date; now: Date },
): Promise<number> =>
  db.execute(sql`
    with shortened as (
      update incoming_payments p set expires_at = ${input.latest}::timestamptz, process_at = ${input.latest}::timestamptz,
        updated_at = ${input.now}::timestamptz,
        history = ${noted(input.now, { kind: 'expiry_moved', expiresAt: input.latest.toISOString(), reason: 'wallet_address_deactivated' })}
      where p.wallet_address_id = ${input.walletAddressId} and ${open} and p.expires_at > ${input.latest}::timestamptz
      returning p.id, p.tenant_id)
    ${insertJobs(QUEUE, rawSql('select id, tenant_id from shortened'), input.latest)}`)

/** Asks again for the next step of every payment that is overdue since `before`: its job was lost. */
export const enqueueDue = (db: Db, before: Date, limit: number): Promise<string[]> =>
  db.many(
    (row) => row.id as string,
    sql`with due as (
        select p.id, p.tenant_id from incoming_payments p
        where p.announced_at is null and p.deleted_at is null and p.process_at <= ${before} order by p.process_at limit ${limit}),
      job as (${insertJobs(QUEUE, rawSql('select id, tenant_id from due'))})
      select id, ${notifyJobs(QUEUE)} from due`,
  )

/** Open payments that wait for a certain amount, in the order of ids. */
export const selectOpenWithAmount = (
  db: Db,
  after: string,
  limit: number,
): Promise<{ id: string; incomingAmount: bigint }[]> =>
  db.many(
    (row) => ({ id: row.id as string, incomingAmount: row.incoming_amount as bigint }),
    sql`select p.id, p.incoming_amount from incoming_payments p
      where ${open} and p.incoming_amount is not null and p.id > ${after} order by p.id limit ${limit}`,
  )
