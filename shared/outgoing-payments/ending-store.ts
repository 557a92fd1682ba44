import { type BatchedStatement, type Db, type Row, rawSql, rowsSql, sql } from '../platform/index.ts'
import { finishLeases, type Job, type JobOutcome, leaseColumns, outcomeOf } from '../queue/index.ts'
import { insertEvents, type NewWebhookEvent, notifyDeliveries } from '../webhooks/index.ts'
import { endedColumns, returnSpending } from './grant-spending-store.ts'
import { failureNote, type Note, type NotedFailure, noteText } from './history.ts'
import { inState } from './store.ts'

export interface PaymentEnd {
  state: 'COMPLETED' | 'FAILED'
  sentAmount: bigint
  deliveredAmount: bigint
  /** Present when it failed. */
  failure?: NotedFailure
  /** Present when it failed and a grant counts it: what it still counts, at least. */
  spent?: { debit: bigint; receive: bigint }
  /** Attempts that failed, this one included. */
  stateAttempts: number
  now: Date
}

const ended = ({ state, sentAmount, deliveredAmount, failure }: PaymentEnd): Note => ({
  kind: 'state',
  state,
  sentAmount: sentAmount.toString(),
  deliveredAmount: deliveredAmount.toString(),
  ...(failure && failureNote(failure)),
})

interface Ending {
  job: Job
  end: PaymentEnd
  event: NewWebhookEvent
}

const toAsked = ({ end }: Ending, index: number) => ({
  place: index + 1,
  state: end.state,
  sent: end.sentAmount.toString(),
  delivered: end.deliveredAmount.toString(),
  attempts: end.stateAttempts,
  error_code: end.failure?.code,
  error: end.failure?.message,
  now: end.now,
  spent_debit: end.spent?.debit.toString(),
  spent_receive: end.spent?.receive.toString(),
})

const endings: BatchedStatement<Ending, Row> = {
  query: (items, requestIds) => {
    const hasSpent = items.some(({ end }) => end.spent)
    return sql`
      with ${finishLeases(items.map(({ job }) => job))}, asked as (
        select asked.*, note from ${rowsSql(
          items.map(toAsked),
          `asked (place bigint, state text, sent numeric, delivered numeric, attempts int, error_code text, error text, now timestamptz,
            spent_debit numeric, spent_receive numeric)`,
        )} join unnest(${items.map(({ end }) => noteText(end.now, ended(end)))}::jsonb[]) with ordinality as noted (note, place) using (place)
      ), ended as (
        update outgoing_payments p set state = asked.state, sent_amount = asked.sent,
          delivered_amount = greatest(p.delivered_amount, asked.delivered), state_attempts = asked.attempts,
          error_code = asked.error_code, error = asked.error, updated_at = asked.now, history = p.history || asked.note
          ${hasSpent ? countsLess : rawSql('')}
        from leases join asked using (place)
        where p.id = leases.key and p.id = any(array(select key from leases)) and ${inState('SENDING')}
        returning ${endedColumns}, asked.place
      ), ${hasSpent ? sql`${returnSpending}, ` : rawSql('')}${insertEvents(
        items.map(({ event }) => event),
        rawSql('select place from ended'),
        requestIds,
      )}
      select ${leaseColumns}, ${notifyDeliveries} as notified from leases`
  },
  map: (row) => row,
}

/** Of those that failed. */
const countsLess = rawSql(`,
  spent_debit_amount = least(p.spent_debit_amount, asked.spent_debit),
  spent_receive_amount = case when asked.spent_receive is null then p.spent_receive_amount
    else least(p.spent_receive_amount, greatest(asked.spent_receive, p.delivered_amount, asked.delivered)) end`)

/**
 * SENDING → its end, the event, and the end of the job, in one statement, with what returns to the grant of a payment that failed.
 * A payment that had ended before keeps its first end. Throws LeaseLost, and writes nothing, when the lease is another worker's.
 */
export const endPayment = async (
  db: Db,
  job: Job,
  end: PaymentEnd,
  event: NewWebhookEvent,
): Promise<JobOutcome> => outcomeOf(job, await db.batched(endings, { job, end, event }))

const finalSentById: BatchedStatement<string, bigint> = {
  query: (ids) => sql`
    select asked.place, p.sent_amount
    from unnest((select ${ids}::uuid[])) with ordinality asked (id, place)
    cross join lateral (select * from outgoing_payments x where x.id = asked.id limit 1) p
    where p.sent_amount is not null`,
  map: (row) => row.sent_amount as bigint,
}

/** What was sent in all. `undefined` until the payment has ended. */
export const findFinalSentAmount = (db: Db, id: string): Promise<bigint | undefined> =>
  db.batched(finalSentById, id)
