import { AMOUNT_MAX } from '../money/index.ts'
import {
  type BatchedStatement,
  type Db,
  noAnswer,
  oncePerId,
  rawSql,
  rowsSql,
  sql,
} from '../platform/index.ts'
import { storable } from './history.ts'
import type { OutgoingPaymentState, PacketRejects } from './model.ts'

export interface SendProgress {
  /** What the sender had sent when it counted the rest: a sender that starts anew compares it with the ledger. */
  sentAmount: bigint
  deliveredAmount: bigint
  packets: { sent: number; fulfilled: number; rejected: number }
  /** Of the rejected packets: by code and sender, most frequent first. */
  rejects: PacketRejects[]
}

/** `answered`: kept packets (`kept-packets`) that count in it. */
type Report = SendProgress & { id: string; answered?: readonly string[] }

const greater = <T extends bigint | number>(a: T, b: T): T => (a > b ? a : b)

const joined = (a: Report, b: Report): Report => ({
  id: a.id,
  sentAmount: greater(a.sentAmount, b.sentAmount),
  deliveredAmount: greater(a.deliveredAmount, b.deliveredAmount),
  packets: {
    sent: greater(a.packets.sent, b.packets.sent),
    fulfilled: greater(a.packets.fulfilled, b.packets.fulfilled),
    rejected: greater(a.packets.rejected, b.packets.rejected),
  },
  rejects: b.packets.rejected > a.packets.rejected ? b.rejects : a.rejects,
  answered: [...(a.answered ?? []), ...(b.answered ?? [])],
})

const reports: BatchedStatement<Report, never> = {
  query: (items) => {
    const rows = oncePerId(items, joined).map(({ id, sentAmount, deliveredAmount, packets, rejects }) => ({
      id,
      recorded: sentAmount.toString(),
      delivered: deliveredAmount.toString(),
      ...packets,
      rejects: rejects.map(({ code, triggeredBy, count }) => ({
        code: storable(code),
        triggeredBy: storable(triggeredBy),
        count,
      })),
    }))
    const answered = items.flatMap((item) => item.answered ?? []).sort()
    return sql`
      ${answered.length === 0 ? rawSql('') : sql`with forgotten as (delete from kept_packets where id = any(${answered}::uuid[]))`}
      update outgoing_payments p set recorded_sent_amount = greatest(p.recorded_sent_amount, r.recorded),
        delivered_amount = greatest(p.delivered_amount, r.delivered), packets_sent = greatest(p.packets_sent, r.sent),
        packets_fulfilled = greatest(p.packets_fulfilled, r.fulfilled),
        packet_rejects = case when p.packets_rejected < r.rejected then r.rejects else p.packet_rejects end,
        packets_rejected = greatest(p.packets_rejected, r.rejected)
      from ${rowsSql(rows, 'r (id uuid, recorded numeric, delivered numeric, sent int, fulfilled int, rejected int, rejects jsonb)')}
      where p.id = any(${rows.map(({ id }) => id)}::uuid[]) and p.id = r.id and (p.recorded_sent_amount < r.recorded or p.delivered_amount < r.delivered or p.packets_sent < r.sent
        or p.packets_fulfilled < r.fulfilled or p.packets_rejected < r.rejected)`
  },
  map: noAnswer,
}

/** Running totals only grow: an older report changes nothing. */
export const raiseProgress = async (db: Db, report: Report): Promise<void> =>
  void (await db.batched(reports, report))

export interface AnsweredPacket {
  /** Of the kept packet. */
  id: string
  sentAmount: bigint
  deliveredAmount: bigint
}

/**
 * Adds what fulfilled packets of another sender brought, and forgets them and the others that are `over`. Only those that are still there
 * count: whoever forgot one has counted it. Nothing counts when the payment would have sent more than `debitsPosted` says: somebody
 * counted without them. The payment's row is locked first, as by who records a sender's totals.
 */
export async function addAnswers(
  db: Db,
  input: { id: string; debitsPosted: bigint; answered: readonly AnsweredPacket[]; over: readonly string[] },
): Promise<void> {
  const rows = input.answered.map(({ id, sentAmount, deliveredAmount }) => ({
    id,
    sent: sentAmount.toString(),
    delivered: deliveredAmount.toString(),
  }))
  await db.execute(sql`
    with locked as materialized (select p.id from outgoing_payments p where p.id = ${input.id} for update),
    gone as (
      delete from kept_packets where id = any(${[...input.over].sort()}::uuid[]) and (select count(*) from locked) >= 0 returning id
    ), counted as (
      select count(*)::int as packets, coalesce(sum(a.sent), 0) as sent, coalesce(sum(a.delivered), 0) as delivered
      from ${rowsSql(rows, 'a (id uuid, sent numeric, delivered numeric)')} join gone using (id)
    )
    update outgoing_payments p set recorded_sent_amount = p.recorded_sent_amount + c.sent,
      delivered_amount = least(p.delivered_amount + c.delivered, ${AMOUNT_MAX}), packets_fulfilled = p.packets_fulfilled + c.packets,
      packets_sent = greatest(p.packets_sent, p.packets_fulfilled + p.packets_rejected + c.packets)
    from counted c
    where p.id = ${input.id} and c.packets > 0 and p.recorded_sent_amount + c.sent <= ${input.debitsPosted}`)
}

type StoredProgress = SendProgress & { state: OutgoingPaymentState }

const progressById: BatchedStatement<string, StoredProgress> = {
  query: (ids) => sql`
    select asked.place, p.state, p.recorded_sent_amount, p.delivered_amount, p.packets_sent, p.packets_fulfilled, p.packets_rejected,
      p.packet_rejects
    from unnest((select ${ids}::uuid[])) with ordinality asked (id, place)
    cross join lateral (select * from outgoing_payments x where x.id = asked.id limit 1) p`,
  map: (row) => ({
    state: row.state as OutgoingPaymentState,
    sentAmount: row.recorded_sent_amount as bigint,
    deliveredAmount: row.delivered_amount as bigint,
    packets: { sent: row.packets_sent, fulfilled: row.packets_fulfilled, rejected: row.packets_rejected },
    rejects: row.packet_rejects as PacketRejects[],
  }),
}

export const selectProgress = (db: Db, id: string): Promise<StoredProgress | undefined> =>
  db.batched(progressById, id)
