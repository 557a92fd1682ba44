import type { Amount, Asset } from '../money/index.ts'
import { type Db, type Row, rawSql, type Sql, sql } from '../platform/index.ts'
import type { Quote } from '../quotes/index.ts'
import type { Grant, GrantSpent, SpendingInterval } from './grant-spending.ts'

/** The column's value: a grant without an interval has one, that began always. */
export const intervalColumn = (interval: SpendingInterval): Sql =>
  sql`${interval ?? '-infinity'}::timestamptz`

/**
 * A piece for a `with` clause after `payment`, which has a row when the payment was inserted: counts it, debit side first, and
 * returns what was spent before. Passing the limit violates `grant_spending_within_limit`, which undoes the whole statement.
 */
export const countSpending = (
  grant: Grant,
  interval: SpendingInterval,
  { tenantId, debitAmount, receiveAmount }: Quote,
): Sql => sql`
  spending as (
    insert into grant_spending as s (tenant_id, grant_id, interval_start, side, asset_code, asset_scale, amount, amount_max)
    select ${tenantId}::uuid, ${grant.id}::text, ${intervalColumn(interval)}, c.side, c.asset_code, c.asset_scale, c.amount, c.amount_max
    from payment cross join (values
      ${sideRow('DEBIT', debitAmount, grant.limits?.debitAmount)}, ${sideRow('RECEIVE', receiveAmount, grant.limits?.receiveAmount)}
    ) as c (side, asset_code, asset_scale, amount, amount_max)
    order by c.side
    on conflict (tenant_id, grant_id, interval_start, side, asset_code, asset_scale)
    do update set amount = s.amount + excluded.amount, amount_max = excluded.amount_max, counted_at = clock_timestamp()
    returning s.side, s.amount
  )`

const sideRow = (side: 'DEBIT' | 'RECEIVE', amount: Amount, limit: Amount | undefined): Sql =>
  sql`(${side}::text, ${amount.assetCode}::text, ${amount.assetScale}::smallint, ${amount.value}::numeric, ${limit?.value}::numeric)`

/** The constraint that a payment violates which would pass the limit. */
export const LIMIT_CONSTRAINT = 'grant_spending_within_limit'

/** Totals with the payment that was just counted; of `spending`. */
export const spendingColumns = rawSql(
  `(select amount from spending where side = 'DEBIT') as spent_debit, (select amount from spending where side = 'RECEIVE') as spent_receive`,
)

/**
 * Pieces for a `with` clause after `ended`, which has the ids of payments that just failed or were cancelled, with what they count
 * now (null where there is no grant): what they no longer count returns to their grants. Rows are locked in the order of their key, as everywhere.
 */
export const returnSpending: Sql = rawSql(`
  unspent as (
    select e.tenant_id, e.grant_id, e.grant_interval_start as interval_start, u.side, u.asset_code, u.asset_scale, sum(u.amount) as amount
    from ended e join quotes q on q.id = e.id join assets a on a.id = q.asset_id
    cross join lateral (values
      ('DEBIT', a.code, a.scale, q.debit_amount - e.spent_debit_amount),
      ('RECEIVE', q.receive_asset_code, q.receive_asset_scale, q.receive_amount - e.spent_receive_amount)
    ) as u (side, asset_code, asset_scale, amount)
    where u.amount > 0
    group by e.tenant_id, e.grant_id, e.grant_interval_start, u.side, u.asset_code, u.asset_scale
  ), counters as materialized (
    select s.tenant_id, s.grant_id, s.interval_start, s.side, s.asset_code, s.asset_scale, u.amount
    from grant_spending s join unspent u using (tenant_id, grant_id, interval_start, side, asset_code, asset_scale)
    order by s.tenant_id, s.grant_id, s.interval_start, s.side, s.asset_code, s.asset_scale
    for no key update of s
  ), returned as (
    update grant_spending s set amount = s.amount - c.amount
    from counters c
    where s.tenant_id = c.tenant_id and s.grant_id = c.grant_id and s.interval_start = c.interval_start and s.side = c.side
      and s.asset_code = c.asset_code and s.asset_scale = c.asset_scale
  )`)

/** What {@link returnSpending} reads of `ended`. */
export const endedColumns = rawSql(
  'p.id, p.tenant_id, p.grant_id, p.grant_interval_start, p.spent_debit_amount, p.spent_receive_amount',
)

/**
 * What the grant has spent in the interval, in the assets that it paid with last; `undefined` when it never paid. An interval in which
 * it has not paid yet has the assets of its latest one.
 */
export async function selectSpent(
  db: Db,
  input: { tenantId: string; grantId: string; interval: SpendingInterval },
): Promise<GrantSpent | undefined> {
  const grant = sql`tenant_id = ${input.tenantId} and grant_id = ${input.grantId}`
  const rows = await db.many(
    toSide,
    sql`
    select distinct on (side) side, asset_code, asset_scale,
      case when interval_start = ${intervalColumn(input.interval)} then amount else 0 end as amount
    from grant_spending where ${grant} and interval_start = coalesce(
      (select interval_start from grant_spending where ${grant} and interval_start = ${intervalColumn(input.interval)} limit 1),
      (select max(interval_start) from grant_spending where ${grant}))
    order by side, counted_at desc`,
  )
  const debit = rows.find(({ side }) => side === 'DEBIT')
  const receive = rows.find(({ side }) => side === 'RECEIVE')
  return debit && receive && { debitAmount: debit.amount, receiveAmount: receive.amount }
}

const toSide = (row: Row): { side: string; amount: Amount } => {
  const asset: Asset = { assetCode: row.asset_code, assetScale: row.asset_scale }
  return { side: row.side, amount: { value: row.amount, ...asset } }
}
