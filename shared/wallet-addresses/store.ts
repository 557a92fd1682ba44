import { lockAsset } from '../assets/index.ts'
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
  violatedConstraint,
} from '../platform/index.ts'
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
import { WalletAddressRefusal } from './errors.ts'
import type { AdditionalProperty, Jwk, WalletAddress, WalletAddressKey } from './model.ts'

/**
 * Columns of a wallet address under the aliases `w` and `a` of {@link joinWalletAddress}; other rooms join them into their own rows. The
 * offset makes the question a look-up: with plans made while hardly any address had properties those of all would be read for it.
 */
export const walletAddressColumns = rawSql(
  `w.id as wallet_address_id, w.tenant_id as wallet_address_tenant_id, w.asset_id as wallet_address_asset_id, w.address as wallet_address,
  w.public_name as wallet_address_public_name, w.deactivated_at as wallet_address_deactivated_at, w.created_at as wallet_address_created_at,
  a.code as wallet_asset_code, a.scale as wallet_asset_scale, a.ledger as wallet_asset_ledger,
  case when exists (select from wallet_address_properties p where p.wallet_address_id = w.id offset 0) then
    (select json_agg(json_build_object('key', p.key, 'value', p.value, 'visibleInOpenPayments', p.visible_in_open_payments) order by p.key)
      from wallet_address_properties p where p.wallet_address_id = w.id) end as wallet_address_properties`,
)
const joins = joinById('assets', 'a', 'w.asset_id')
/** To a row that names its wallet address by `id`. */
export const joinWalletAddress = (id: string): Sql => sql`${joinById('wallet_addresses', 'w', id)} ${joins}`
const from = sql`wallet_addresses w ${joins}`
const tenantColumn = rawSql('w.tenant_id')

/** Maps {@link walletAddressColumns}. */
export const toWalletAddress = (row: Row): WalletAddress => ({
  id: row.wallet_address_id,
  tenantId: row.wallet_address_tenant_id,
  assetId: row.wallet_address_asset_id,
  asset: {
    id: row.wallet_address_asset_id,
    code: row.wallet_asset_code,
    scale: row.wallet_asset_scale,
    ledger: row.wallet_asset_ledger,
  },
  address: row.wallet_address,
  additionalProperties: (row.wallet_address_properties as AdditionalProperty[] | null) ?? [],
  createdAt: row.wallet_address_created_at,
  ...present({
    publicName: row.wallet_address_public_name as string | null,
    deactivatedAt: row.wallet_address_deactivated_at as Date | null,
  }),
})

/** Rows of these wallet addresses; what is no id is nobody's. */
export const inWalletAddresses = (ids: readonly string[]): AnyOf => ({
  column: 'wallet_address_id',
  type: 'uuid',
  values: ids.filter(isUuid),
})

const selectOne = (db: Db, where: Sql) =>
  db.maybe(toWalletAddress, sql`select ${walletAddressColumns} from ${from} where ${where}`)

const walletAddressById: BatchedStatement<ScopedId, WalletAddress> = {
  query: (asked) => sql`
    select asked.place, ${walletAddressColumns} from ${askedById(asked, { table: 'wallet_addresses', alias: 'w' })} ${joins}`,
  map: toWalletAddress,
}

export const selectWalletAddress = (db: Db, scope: TenantScope, id: string) =>
  db.batched(walletAddressById, { id, scope })

export const selectWalletAddressByUrl = (db: Db, address: string) =>
  selectOne(db, sql`w.address = ${address}`)

export const selectWalletAddresses = (
  db: Db,
  scope: TenantScope,
  page: Page,
): Promise<Paged<WalletAddress>> =>
  listPage(
    db,
    {
      map: toWalletAddress,
      columns: walletAddressColumns,
      joins,
      alias: 'w',
      tables: ['wallet_addresses'],
      where: [scopeSql(scope, tenantColumn)],
      cursorWhere: [scopeSql(scope, tenantColumn)],
    },
    page,
  )

export async function insertWalletAddress(
  db: Db,
  walletAddress: {
    id: string
    tenantId: string
    assetId: string
    address: string
    publicName?: string
    properties: readonly AdditionalProperty[]
    createdAt: Date
  },
): Promise<WalletAddress> {
  try {
    return await db.tx(async (tx) => {
      await lockAsset(tx, walletAddress.assetId)
      await tx.execute(sql`
        insert into wallet_addresses (id, tenant_id, asset_id, address, public_name, created_at, updated_at)
        values (${walletAddress.id}, ${walletAddress.tenantId}, ${walletAddress.assetId}, ${walletAddress.address},
          ${walletAddress.publicName}, ${walletAddress.createdAt}, ${walletAddress.createdAt})`)
      await replaceProperties(tx, walletAddress.id, walletAddress.properties)
      return await tx.one(
        toWalletAddress,
        sql`select ${walletAddressColumns} from ${from} where w.id = ${walletAddress.id}`,
      )
    })
  } catch (error) {
    if (violatedConstraint(error) === 'wallet_addresses_address_key')
      throw new WalletAddressRefusal('duplicate_wallet_address', {
        message: 'the wallet address exists already',
        cause: error,
      })
    throw error
  }
}

async function replaceProperties(
  db: Db,
  walletAddressId: string,
  properties: readonly AdditionalProperty[],
): Promise<void> {
  await db.execute(sql`delete from wallet_address_properties where wallet_address_id = ${walletAddressId}`)
  if (properties.length === 0) return
  await db.execute(sql`
    insert into wallet_address_properties (wallet_address_id, key, value, visible_in_open_payments)
    select ${walletAddressId}, p.key, p.value, p.visible
    from unnest(${properties.map(({ key }) => key)}::text[], ${properties.map(({ value }) => value)}::text[],
      ${properties.map(({ visibleInOpenPayments }) => visibleInOpenPayments)}::boolean[]) as p (key, value, visible)`)
}

export interface WalletAddressPatch {
  /** Null clears. */
  publicName?: string | null
  active?: boolean
  properties?: readonly AdditionalProperty[]
}

/** Fields that are absent stay; properties are replaced when given. A repeated deactivation keeps its first time. */
export async function patchWalletAddress(
  db: Db,
  scope: TenantScope,
  id: string,
  patch: WalletAddressPatch,
  now: Date,
): Promise<WalletAddress | undefined> {
  return await db.tx(async (tx) => {
    const status =
      patch.active === undefined
        ? sql`w.deactivated_at`
        : patch.active
          ? sql`null`
          : sql`coalesce(w.deactivated_at, ${now})`
    const name = patch.publicName === undefined ? sql`w.public_name` : sql`${patch.publicName}`
    const updated = await tx.execute(sql`
      update wallet_addresses w set public_name = ${name}, deactivated_at = ${status}, updated_at = ${now}
      where w.id = ${id} and ${scopeSql(scope, tenantColumn)}`)
    if (updated === 0) return undefined
    if (patch.properties) await replaceProperties(tx, id, patch.properties)
    return await tx.one(toWalletAddress, sql`select ${walletAddressColumns} from ${from} where w.id = ${id}`)
  })
}

const keyColumns = rawSql('k.id, k.wallet_address_id, k.kid, k.x, k.revoked_at, k.created_at')
const toKey = (row: Row): WalletAddressKey => ({
  id: row.id,
  walletAddressId: row.wallet_address_id,
  jwk: { kid: row.kid, x: row.x, alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519' },
  createdAt: row.created_at,
  ...present({ revokedAt: row.revoked_at as Date | null }),
})

export async function insertKey(
  db: Db,
  scope: TenantScope,
  key: { id: string; walletAddressId: string; jwk: Jwk; createdAt: Date },
): Promise<WalletAddressKey | undefined> {
  try {
    return await db.maybe(
      toKey,
      sql`insert into wallet_address_keys as k (id, wallet_address_id, kid, x, created_at)
        select ${key.id}, w.id, ${key.jwk.kid}, ${key.jwk.x}, ${key.createdAt}
        from wallet_addresses w where w.id = ${key.walletAddressId} and ${scopeSql(scope, tenantColumn)}
        returning ${keyColumns}`,
    )
  } catch (error) {
    if (violatedConstraint(error) === 'wallet_address_keys_active')
      throw new WalletAddressRefusal('duplicate_key', {
        message: 'the wallet address has an active key with this kid',
        cause: error,
      })
    throw error
  }
}

/** A repeat keeps the first time. */
export const revokeKey = (
  db: Db,
  scope: TenantScope,
  id: string,
  now: Date,
): Promise<WalletAddressKey | undefined> =>
  db.maybe(
    toKey,
    sql`update wallet_address_keys k set revoked_at = coalesce(k.revoked_at, ${now})
      where k.id = ${id}
        and exists (select from wallet_addresses w where w.id = k.wallet_address_id and ${scopeSql(scope, tenantColumn)} offset 0)
      returning ${keyColumns}`,
  )

/** Bounded: a key set is one document. */
const ACTIVE_KEYS_MAX = 1000

export const selectActiveKeys = (db: Db, walletAddressId: string): Promise<WalletAddressKey[]> =>
  db.many(
    toKey,
    sql`select ${keyColumns} from wallet_address_keys k where k.wallet_address_id = ${walletAddressId} and k.revoked_at is null
      order by k.created_at desc, k.id desc limit ${ACTIVE_KEYS_MAX}`,
  )

export const selectKeys = (db: Db, walletAddressId: string, page: Page): Promise<Paged<WalletAddressKey>> =>
  listPage(
    db,
    {
      map: toKey,
      columns: keyColumns,
      alias: 'k',
      tables: ['wallet_address_keys'],
      where: [sql`k.wallet_address_id = ${walletAddressId}`],
      cursorWhere: [sql`k.wallet_address_id = ${walletAddressId}`],
    },
    page,
  )
