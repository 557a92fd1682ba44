import {
  type BatchedStatement,
  type Db,
  oncePerId,
  type Row,
  rawSql,
  rowsSql,
  type Sql,
  sql,
} from '../platform/index.ts'
import { insertJobs, noRequest, notifyJobs } from '../queue/index.ts'
import type { HistoryNote } from './history.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPaymentState } from './model.ts'
import { open, QUEUE, SEVERAL } from './store.ts'

/** What is to be written of a payment, once in a statement however many say it. */
interface Credit {
  id: string
  /** The ledger's total. 0: not known. */
  received: bigint
  now: Date
}

/** Of one payment what came last counts: totals only grow. In the order of ids, in which everybody locks rows. */
function creditsByPayment(credits: readonly Credit[]) {
  const rows = oncePerId(
    credits.map((credit) => ({ ...credit, count: 1 })),
    (known, next) => ({
      id: known.id,
      received: known.received > next.received ? known.received : next.received,
      now: known.now > next.now ? known.now : next.now,
      count: known.count + next.count,
    }),
  )
  return rowsSql(
    rows.map(({ received, now, ...row }) => ({
      ...row,
      now,
      received: received.toString(),
      first: [noteOf(now, { kind: 'state', state: 'PROCESSING', receivedAmount: received.toString() })],
      last: [
        noteOf(now, {
          kind: 'state',
          state: 'COMPLETED',
          reason: 'amount_received',
          receivedAmount: received.toString(),
        }),
      ],
    })),
    'credit (id uuid, received numeric, now timestamptz, count integer, first jsonb, last jsonb)',
  )
}

const noteOf = (at: Date, note: HistoryNote) => ({ at, ...note })

/** When a payment that has just been completed is announced: after a grace when somebody else may still be crediting it. */
const announceAt = (othersMayCredit: string): Sql => sql`credit.now
  + case when ${rawSql(othersMayCredit)} then ${ANNOUNCE_GRACE_MS}::float8 * interval '1 millisecond' else interval '0' end`

/**
 * `moved` is an update that returns id, tenant_id, state and the time of the credit; the job that announces a completed one comes with
 * it. The state, if it changed.
 */
const moveAndAnnounce = (moved: Sql, credits: readonly Credit[]): Sql => sql`
  with moved as (${moved}), job as (${insertJobs(
    QUEUE,
    rawSql(`select id, tenant_id, now from moved where state = 'COMPLETED'`),
    rawSql('source.now'),
    noRequest,
  )})
  select asked.place, moved.state, (select ${notifyJobs(QUEUE)} from job limit 1) as woken
  from unnest(${credits.map(({ id }) => id)}::uuid[]) with ordinality asked (id, place) join moved using (id)`

const toState = (row: Row) => row.state as IncomingPaymentState
/** The ids once more: look-ups in the index, however few rows there were when this was planned. */
const isCredited = (credits: readonly Credit[]): Sql =>
  sql`p.id = any(${credits.map(({ id }) => id)}::uuid[]) and p.id = credit.id and ${open}`

const receipts: BatchedStatement<Credit, IncomingPaymentState> = {
  query(credits) {
    const reached = rawSql('p.incoming_amount <= credit.received')
    const processAt = announceAt(`p.paid_locally or p.paid_by_connector = '${SEVERAL}'::uuid`)
    return moveAndAnnounce(
      sql`
        update incoming_payments p set state = case when ${reached} then 'COMPLETED' else 'PROCESSING' end,
          process_at = case when ${reached} then ${processAt} else p.process_at end, updated_at = credit.now,
          history = p.history || case when ${reached} then credit.last else credit.first end
        from ${creditsByPayment(credits)}
        where ${isCredited(credits)} and (p.state = 'PENDING' or ${reached})
        returning p.id, p.tenant_id, p.state, credit.now`,
      credits,
    )
  },
  map: toState,
}

/**
 * PENDING → PROCESSING at the first credit, → COMPLETED when the amount is reached, then with the job that announces it. One
 * statement: it stands beside every packet. The new state, if it changed.
 */
export const recordReceived = (
  db: Db,
  payment: { id: string; received: bigint; now: Date },
): Promise<IncomingPaymentState | undefined> => db.batched(receipts, payment)

/**
 * A piece for the `with` clause of the statement that makes payments of this node: from now on they may credit those of `ids`, a query.
 * Such credits do not pass the connector, so a packet that reaches the amount no longer is the last credit; see `ANNOUNCE_GRACE_MS`.
 * The index gives the ids in their order.
 */
export const expectLocalCredits = (ids: Sql): Sql => sql`
  update incoming_payments p set paid_locally = true where p.id = any(array(${ids})) and ${open} and not p.paid_locally`

const registrations: BatchedStatement<{ id: string; now: Date }, true> = {
  query(payments) {
    const ids = payments.map(({ id }) => id)
    return sql`
      with asked as (
        select * from unnest(${ids}::uuid[], ${payments.map(({ now }) => now)}::timestamptz[]) with ordinality asked (id, now, place)
      ), registered as (
        update incoming_payments p set local_credits = p.local_credits + credit.count, paid_locally = true
        from (select id, max(now) as now, count(*)::integer as count from asked group by id order by id) credit
        where p.id = any(${ids}::uuid[]) and p.id = credit.id and ${open} and p.expires_at > credit.now
        returning p.id
      )
      select asked.place from asked join registered using (id)`
  },
  map: () => true,
}

/** A payment of this node is about to credit an open one; counted under the row's lock. */
export const registerLocalCredit = async (db: Db, payment: { id: string; now: Date }): Promise<boolean> =>
  (await db.batched(registrations, payment)) ?? false

const endedCredits: BatchedStatement<Credit, IncomingPaymentState> = {
  query(credits) {
    const reached = rawSql('p.incoming_amount <= credit.received')
    const processAt = announceAt('p.paid_by_connector is not null or p.local_credits > credit.count')
    return moveAndAnnounce(
      sql`
        update incoming_payments p set local_credits = greatest(p.local_credits - credit.count, 0),
          state = case when ${reached} then 'COMPLETED' when credit.received > 0 then 'PROCESSING' else p.state end,
          process_at = case when ${reached} then ${processAt} else p.process_at end, updated_at = credit.now,
          history = case when ${reached} then p.history || credit.last
            when credit.received > 0 and p.state = 'PENDING' then p.history || credit.first else p.history end
        from ${creditsByPayment(credits)}
        where ${isCredited(credits)}
        returning p.id, p.tenant_id, p.state, credit.now`,
      credits,
    )
  },
  map: toState,
}

/** The end of a registered credit, with the ledger's total where it is known. The new state, if it changed. */
export const recordLocalCredit = (
  db: Db,
  payment: { id: string; received?: bigint; now: Date },
): Promise<IncomingPaymentState | undefined> =>
  db.batched(endedCredits, { ...payment, received: payment.received ?? 0n })
