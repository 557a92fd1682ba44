import { type Db, type Row, sql } from '../platform/index.ts'

/** What is wrong with what a grant, or one of its payments, counts. */
export interface GrantFinding {
  tenantId: string
  grantId: string
  message: string
}

const toFinding = (row: Row): GrantFinding => ({
  tenantId: row.tenant_id,
  grantId: row.grant_id,
  message: row.message,
})

/**
 * Compares what grants have spent with their payments, computed anew from the state and the amounts of each. Of what creation and end
 * have noted only one figure is believed, within bounds: how much of a failed payment arrived, because a report of more may come
 * after its end. One statement, so that payments under way do not look wrong. Reads every payment of every grant.
 */
export async function auditGrants(db: Db): Promise<{ counters: number; findings: GrantFinding[] }> {
  const findings = await db.many(
    toFinding,
    sql`
    with granted as (
      select p.*, a.code, a.scale, q.debit_amount, q.receive_amount, q.receive_asset_code, q.receive_asset_scale,
        least(q.receive_amount, div(q.receive_amount * p.sent_amount, q.source_amount)) as receive_least
      from outgoing_payments p join quotes q on q.id = p.id join assets a on a.id = q.asset_id
      where p.grant_interval_start is not null
    ), counted as (
      select *,
        case state when 'CANCELLED' then 0 when 'FAILED' then sent_amount else debit_amount end as debit,
        case state when 'CANCELLED' then 0
          when 'FAILED' then greatest(receive_least, least(spent_receive_amount, receive_amount, delivered_amount))
          else receive_amount end as receive
      from granted
    ), expected as (
      select c.tenant_id, c.grant_id, c.grant_interval_start as interval_start, s.side, s.asset_code, s.asset_scale, sum(s.amount) as amount
      from counted c cross join lateral (values
        ('DEBIT', c.code, c.scale, c.debit), ('RECEIVE', c.receive_asset_code, c.receive_asset_scale, c.receive)
      ) as s (side, asset_code, asset_scale, amount)
      group by c.tenant_id, c.grant_id, c.grant_interval_start, s.side, s.asset_code, s.asset_scale
    )
    select tenant_id, grant_id, format('interval from %s: %s %s (scale %s) counts %s, its payments %s', interval_start, side,
      asset_code, asset_scale, coalesce(g.amount::text, 'nothing'), coalesce(e.amount::text, 'nothing')) as message
    from expected e full join grant_spending g using (tenant_id, grant_id, interval_start, side, asset_code, asset_scale)
    where g.amount is distinct from e.amount
    union all
    select tenant_id, grant_id, format('payment %s (%s) counts %s and %s, not %s and %s', id, state, spent_debit_amount,
      spent_receive_amount, debit, receive)
    from counted where spent_debit_amount <> debit or spent_receive_amount <> receive
    order by 1, 2, 3`,
  )
  const counters = await db.one((row) => Number(row.count), sql`select count(*) as count from grant_spending`)
  return { counters, findings }
}
