import {
  type Db,
  present,
  type Row,
  rawSql,
  type Sql,
  sql,
  uuidv7,
  violatedConstraint,
} from '../platform/index.ts'
import { listPage, type Page, type Paged, scopeSql, type TenantScope } from '../tenants/index.ts'
import { AssetRefusal } from './errors.ts'
import type { Asset, Fee, FeeType } from './model.ts'

const columns = rawSql(
  'a.id, a.tenant_id, a.code, a.scale, a.ledger, a.liquidity_threshold, a.withdrawal_threshold, a.created_at, a.deleted_at',
)
const tenantColumn = rawSql('a.tenant_id')

const toAsset = (row: Row): Asset => ({
  id: row.id,
  tenantId: row.tenant_id,
  code: row.code,
  scale: row.scale,
  ledger: row.ledger,
  createdAt: row.created_at,
  ...present({
    liquidityThreshold: row.liquidity_threshold as bigint | null,
    withdrawalThreshold: row.withdrawal_threshold as bigint | null,
    deletedAt: row.deleted_at as Date | null,
  }),
})

const selectOne = (db: Db, where: Sql) =>
  db.maybe(toAsset, sql`select ${columns} from assets a where ${where}`)

export const selectAsset = (db: Db, id: string): Promise<Asset | undefined> =>
  selectOne(db, sql`a.id = ${id}`)

/** Deleted ones too: the pair is unique per tenant with them. */
export const selectAssetByCodeAndScale = (
  db: Db,
  scope: TenantScope,
  asset: { code: string; scale: number },
): Promise<Asset | undefined> =>
  selectOne(
    db,
    sql`${scopeSql(scope, tenantColumn)} and a.code = ${asset.code} and a.scale = ${asset.scale} order by a.created_at limit 1`,
  )

export const selectAssets = (db: Db, scope: TenantScope, page: Page): Promise<Paged<Asset>> =>
  listPage(
    db,
    {
      map: toAsset,
      columns,
      alias: 'a',
      tables: ['assets'],
      where: [scopeSql(scope, tenantColumn), rawSql('a.deleted_at is null')],
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )

/** In the order of ids, from `after` on: for the check at start that walks over all. */
export const selectAssetsAfter = (db: Db, after: string, limit: number): Promise<Asset[]> =>
  db.many(toAsset, sql`select ${columns} from assets a where a.id > ${after} order by a.id limit ${limit}`)

export interface NewAsset {
  id: string
  tenantId: string
  code: string
  scale: number
  liquidityThreshold?: bigint
  withdrawalThreshold?: bigint
  createdAt: Date
}

/** Inserts, or brings a deleted twin back as it was. Throws {@link AssetRefusal} `duplicate_asset`. */
export async function insertAsset(db: Db, asset: NewAsset): Promise<Asset> {
  const inserted = await db.maybe(
    toAsset,
    sql`insert into assets as a (id, tenant_id, code, scale, liquidity_threshold, withdrawal_threshold, created_at, updated_at)
      values (${asset.id}, ${asset.tenantId}, ${asset.code}, ${asset.scale}, ${asset.liquidityThreshold},
        ${asset.withdrawalThreshold}, ${asset.createdAt}, ${asset.createdAt})
      on conflict (tenant_id, code, scale) do update set deleted_at = null, updated_at = excluded.updated_at
        where a.deleted_at is not null
      returning ${columns}`,
  )
  if (!inserted)
    throw new AssetRefusal('duplicate_asset', {
      message: `the tenant has an asset ${asset.code} with scale ${asset.scale}`,
    })
  return inserted
}

/** Replaces both thresholds. */
export const setThresholds = (
  db: Db,
  scope: TenantScope,
  asset: { id: string; liquidityThreshold?: bigint; withdrawalThreshold?: bigint; now: Date },
): Promise<Asset | undefined> =>
  db.maybe(
    toAsset,
    sql`update assets a set liquidity_threshold = ${asset.liquidityThreshold}, withdrawal_threshold = ${asset.withdrawalThreshold},
        updated_at = ${asset.now}
      where a.id = ${asset.id} and a.deleted_at is null and ${scopeSql(scope, tenantColumn)} returning ${columns}`,
  )

/**
 * Holds off the asset's deletion until the transaction ends: for what is being created with it. Throws {@link AssetRefusal}
 * `unknown_asset` when it was deleted before.
 */
export async function lockAsset(db: Db, id: string): Promise<void> {
  const locked = await db.execute(
    sql`select 1 from assets a where a.id = ${id} and a.deleted_at is null for key share`,
  )
  if (locked === 0) throw new AssetRefusal('unknown_asset', { message: 'unknown asset' })
}

/** Only where nothing uses it; waits for what is being created with it ({@link lockAsset}). */
export async function markAssetDeleted(
  db: Db,
  scope: TenantScope,
  asset: { id: string; now: Date },
): Promise<Asset> {
  return await db.tx(async (tx) => {
    const locked = await tx.execute(
      sql`select 1 from assets a
        where a.id = ${asset.id} and a.deleted_at is null and ${scopeSql(scope, tenantColumn)} for update`,
    )
    if (locked === 0) throw new AssetRefusal('unknown_asset', { message: 'unknown asset' })
    // A statement of its own: it sees what was committed while the lock was waited for.
    const { isUsed } = await tx.one(
      (row) => ({ isUsed: row.is_used as boolean }),
      sql`select exists(select 1 from peers p where p.asset_id = ${asset.id})
        or exists(select 1 from wallet_addresses w where w.asset_id = ${asset.id}) as is_used`,
    )
    if (isUsed)
      throw new AssetRefusal('asset_in_use', { message: 'a peer or a wallet address uses the asset' })
    return await tx.one(
      toAsset,
      sql`update assets a set deleted_at = ${asset.now}, updated_at = ${asset.now} where a.id = ${asset.id} returning ${columns}`,
    )
  })
}

const feeColumns = rawSql('f.id, f.asset_id, f.type, f.fixed, f.basis_points, f.created_at')
const toFee = (row: Row): Fee => ({
  id: row.id,
  assetId: row.asset_id,
  type: row.type as FeeType,
  fixed: row.fixed,
  basisPoints: row.basis_points,
  createdAt: row.created_at,
})

export const selectLatestFee = (db: Db, assetId: string, type: FeeType): Promise<Fee | undefined> =>
  db.maybe(
    toFee,
    sql`select ${feeColumns} from fees f where f.asset_id = ${assetId} and f.type = ${type}
      order by f.created_at desc, f.id desc limit 1`,
  )

export const selectFees = (db: Db, assetId: string, page: Page): Promise<Paged<Fee>> =>
  listPage(
    db,
    {
      map: toFee,
      columns: feeColumns,
      alias: 'f',
      tables: ['fees'],
      where: [sql`f.asset_id = ${assetId}`],
      cursorWhere: [sql`f.asset_id = ${assetId}`],
    },
    page,
  )

export async function insertFee(
  db: Db,
  scope: TenantScope,
  fee: { assetId: string; type: FeeType; fixed: bigint; basisPoints: number; createdAt: Date },
): Promise<Fee> {
  const inserted = await db
    .maybe(
      toFee,
      sql`insert into fees as f (id, asset_id, type, fixed, basis_points, created_at)
        select ${uuidv7(fee.createdAt.getTime())}, a.id, ${fee.type}, ${fee.fixed}, ${fee.basisPoints},
          -- The last one set is the one that counts, also when this replica's clock is behind that of the one before.
          greatest(${fee.createdAt}::timestamptz, (select max(o.created_at) + interval '1 millisecond' from fees o
            where o.asset_id = a.id and o.type = ${fee.type}))
        from assets a where a.id = ${fee.assetId} and a.deleted_at is null and ${scopeSql(scope, tenantColumn)}
        returning ${feeColumns}`,
    )
    .catch((error: unknown) => {
      if (violatedConstraint(error)) throw new AssetRefusal('invalid_fee', { cause: error })
      throw error
    })
  if (!inserted) throw new AssetRefusal('unknown_asset', { message: 'unknown asset' })
  return inserted
}
