import { type Db, type Row, sql } from '../../shared/platform/index.ts'
import { insertEvent, type NewWebhookEvent, notifyDeliveries } from '../../shared/webhooks/index.ts'

/** An asset or a peer whose wallet wants to know when its balance is low. */
export interface WatchedAccount {
  kind: 'asset' | 'peer'
  /** The asset's or peer's, and its ledger account's. */
  id: string
  tenantId: string
  asset: { id: string; code: string; scale: number }
  threshold: bigint
  /** It was low when it was last looked at, and the wallet was told. */
  isAnnounced: boolean
}

const toWatched = (row: Row): WatchedAccount => ({
  kind: row.kind,
  id: row.id,
  tenantId: row.tenant_id,
  asset: { id: row.asset_id, code: row.code, scale: row.scale },
  threshold: row.liquidity_threshold,
  isAnnounced: row.is_announced,
})

/** All of them. Few: only those with a threshold. */
export const selectWatched = (db: Db): Promise<WatchedAccount[]> =>
  db.many(
    toWatched,
    sql`select watched.*, exists (select from low_liquidity l where l.account_id = watched.id) as is_announced
      from (
        select 'asset' as kind, a.id, a.tenant_id, a.liquidity_threshold, a.id as asset_id, a.code, a.scale
        from assets a where a.liquidity_threshold is not null and a.deleted_at is null
        union all
        select 'peer', p.id, p.tenant_id, p.liquidity_threshold, a.id, a.code, a.scale
        from peers p join assets a on a.id = p.asset_id where p.liquidity_threshold is not null
      ) watched`,
  )

/** Notes that an account has become low, with its event, in one statement; once, whoever else looks at the same time. */
export const announceLow = (
  db: Db,
  account: WatchedAccount,
  event: NewWebhookEvent,
  now: Date,
): Promise<number> =>
  db.execute(sql`
    with crossed as (
      insert into low_liquidity (account_id, threshold, since) values (${account.id}, ${account.threshold}, ${now})
      on conflict do nothing returning account_id
    ), ${insertEvent(event, sql`select from crossed`)}
    select ${notifyDeliveries} from crossed`)

/** These are above their thresholds again: the next crossing is announced. So is that of accounts that have no threshold any more. */
export const rearm = (db: Db, recoveredIds: readonly string[]): Promise<number> =>
  db.execute(sql`
    delete from low_liquidity l where l.account_id = any(${recoveredIds}::uuid[]) or not (
      exists (select from assets a where a.id = l.account_id and a.liquidity_threshold is not null and a.deleted_at is null)
      or exists (select from peers p where p.id = l.account_id and p.liquidity_threshold is not null))`)
