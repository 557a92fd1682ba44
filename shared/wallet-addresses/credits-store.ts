import type { AssetRef } from '../assets/index.ts'
import { type Db, joinById, present, type Row, rawSql, type Sql, sql } from '../platform/index.ts'
import { scopeSql, type TenantScope } from '../tenants/index.ts'

/** An address that packets may have credited, or whose money is to be announced. */
export interface CreditedAddress {
  id: string
  tenantId: string
  asset: AssetRef
  withdrawalThreshold?: bigint
  /** All that was announced so far. */
  announced: bigint
  announceAt?: Date
  creditsExpectedUntil?: Date
  createdAt: Date
}

const toCreditedAddress = (row: Row): CreditedAddress => ({
  id: row.id,
  tenantId: row.tenant_id,
  asset: { id: row.asset_id, code: row.asset_code, scale: row.asset_scale, ledger: row.asset_ledger },
  announced: row.total_events_amount,
  createdAt: row.created_at,
  ...present({
    withdrawalThreshold: row.withdrawal_threshold as bigint | null,
    announceAt: row.announce_at as Date | null,
    creditsExpectedUntil: row.credits_expected_until as Date | null,
  }),
})

/** Moves the end forward, unless it is at or past `renewBefore` already: one write for many packets. */
export const expectCredits = (
  db: Db,
  id: string,
  times: { until: Date; renewBefore: Date },
): Promise<number> =>
  db.execute(sql`
    update wallet_addresses set credits_expected_until = ${times.until}
    where id = ${id} and (credits_expected_until is null or credits_expected_until < ${times.renewBefore})`)

const tenantColumn = rawSql('w.tenant_id')

/**
 * In the order of ids, from `after` on. Those of either kind along the index of their own: both in one condition would be looked for among
 * all addresses, and so would those that are due in the order of ids, which is why they are fenced off by the offset.
 */
export const selectCredited = (
  db: Db,
  scope: TenantScope,
  input: { after: string; now: Date; limit: number },
): Promise<CreditedAddress[]> => {
  const inScope = scopeSql(scope, tenantColumn)
  return db.many(
    toCreditedAddress,
    sql`select w.id, w.tenant_id, w.total_events_amount, w.announce_at, w.credits_expected_until, w.created_at,
        a.id as asset_id, a.code as asset_code, a.scale as asset_scale, a.ledger as asset_ledger, a.withdrawal_threshold
      from (
        (select w.* from wallet_addresses w where w.credits_expected_until is not null and w.id > ${input.after} and ${inScope}
          order by w.id limit ${input.limit})
        union all
        (select w.* from (select * from wallet_addresses where announce_at <= ${input.now} offset 0) w
          where w.credits_expected_until is null and w.id > ${input.after} and ${inScope} order by w.id limit ${input.limit})
      ) w ${joinById('assets', 'a', 'w.asset_id')}
      order by w.id limit ${input.limit}`,
  )
}

/** False when somebody else has announced since `announced` was read. */
export async function addAnnounced(
  db: Db,
  input: { id: string; announced: bigint; amount: bigint; now: Date },
): Promise<boolean> {
  const updated = await db.execute(sql`
    update wallet_addresses
    set total_events_amount = total_events_amount + ${input.amount}::numeric, announce_at = null, updated_at = ${input.now}
    where id = ${input.id} and total_events_amount = ${input.announced}`)
  return updated === 1
}

/** Notes when what waits is announced, and ends the watch over addresses that no packet can have credited since `now`. */
export async function settleCredited(
  db: Db,
  addresses: readonly { id: string; announceAt?: Date }[],
  now: Date,
): Promise<void> {
  if (addresses.length === 0) return
  const ids: Sql = sql`${addresses.map(({ id }) => id)}::uuid[]`
  const times: Sql = sql`${addresses.map(({ announceAt }) => announceAt ?? null)}::timestamptz[]`
  await db.execute(sql`
    update wallet_addresses w
    set announce_at = coalesce(w.announce_at, s.announce_at),
      credits_expected_until = case when w.credits_expected_until > ${now} then w.credits_expected_until end
    from unnest(${ids}, ${times}) as s (id, announce_at)
    where w.id = any(${ids}) and w.id = s.id
      and (w.credits_expected_until <= ${now} or (w.announce_at is null and s.announce_at is not null))`)
}
