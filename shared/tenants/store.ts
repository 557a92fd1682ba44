import {
  type Db,
  listPage,
  type Page,
  type Paged,
  present,
  type Row,
  rawSql,
  type SecretBox,
  sql,
  violatedConstraint,
} from '../platform/index.ts'
import { TenantRefusal } from './errors.ts'
import {
  previousApiSecretOf,
  type StoredSetting,
  type Tenant,
  type TenantSetting,
  type TenantSettingKey,
} from './model.ts'

type Context = { db: Db; secretBox: SecretBox }

const columns = rawSql(
  't.id, t.email, t.public_name, t.api_secret_sealed, t.previous_api_secret_sealed, t.previous_api_secret_until, t.idp_consent_url, t.idp_secret_sealed, t.created_at, t.deleted_at',
)

// The place a secret belongs to is part of its seal: copied to another row, it does not open.
export const apiSecretPlace = (id: string) => `tenant:${id}:api-secret`
export const idpSecretPlace = (id: string) => `tenant:${id}:idp-secret`

const toTenant =
  (secretBox: SecretBox) =>
  (row: Row): Tenant => ({
    id: row.id,
    apiSecret: secretBox.open(row.api_secret_sealed, apiSecretPlace(row.id)),
    createdAt: row.created_at,
    ...present({
      email: row.email as string | null,
      publicName: row.public_name as string | null,
      idpConsentUrl: row.idp_consent_url as string | null,
      idpSecret: row.idp_secret_sealed ? secretBox.open(row.idp_secret_sealed, idpSecretPlace(row.id)) : null,
      deletedAt: row.deleted_at as Date | null,
    }),
    ...(row.previous_api_secret_sealed !== null && {
      previousApiSecret: {
        secret: secretBox.open(row.previous_api_secret_sealed, apiSecretPlace(row.id)),
        until: row.previous_api_secret_until as Date,
      },
    }),
  })

export const selectTenant = (ctx: Context, id: string): Promise<Tenant | undefined> =>
  ctx.db.maybe(
    toTenant(ctx.secretBox),
    sql`select ${columns} from tenants t where t.id = ${id} and not t.is_opening`,
  )

export const selectTenants = (ctx: Context, page: Page): Promise<Paged<Tenant>> =>
  listPage(
    ctx.db,
    {
      map: toTenant(ctx.secretBox),
      columns,
      alias: 't',
      tables: ['tenants'],
      where: [rawSql('not t.is_opening')],
      cursorWhere: [rawSql('not t.is_opening')],
    },
    page,
  )

export interface NewTenant {
  id: string
  apiSecret: string
  email?: string
  publicName?: string
  idpConsentUrl?: string
  idpSecret?: string
  createdAt: Date
  /** Nobody's until it is opened. */
  isOpening: boolean
}

export async function insertTenant(ctx: Context, tenant: NewTenant): Promise<Tenant> {
  try {
    return await ctx.db.one(
      toTenant(ctx.secretBox),
      sql`insert into tenants as t (id, api_secret_sealed, email, public_name, idp_consent_url, idp_secret_sealed, is_opening, created_at, updated_at)
        values (${tenant.id}, ${ctx.secretBox.seal(tenant.apiSecret, apiSecretPlace(tenant.id))}, ${tenant.email},
          ${tenant.publicName}, ${tenant.idpConsentUrl},
          ${tenant.idpSecret === undefined ? undefined : ctx.secretBox.seal(tenant.idpSecret, idpSecretPlace(tenant.id))},
          ${tenant.isOpening}, ${tenant.createdAt}, ${tenant.createdAt})
        returning ${columns}`,
    )
  } catch (error) {
    if (violatedConstraint(error) === 'tenants_pkey')
      throw new TenantRefusal('duplicate_tenant', { message: 'a tenant with this id exists', cause: error })
    throw error
  }
}

/** Makes the row exist and its secret be this one. Safe for processes that start at once: the last one writes, and all write the same. */
export async function upsertOperator(
  ctx: Context,
  operator: { id: string; apiSecret: string; now: Date },
): Promise<void> {
  const sealed = ctx.secretBox.seal(operator.apiSecret, apiSecretPlace(operator.id))
  await ctx.db.execute(sql`
    insert into tenants (id, api_secret_sealed, public_name, created_at, updated_at)
    values (${operator.id}, ${sealed}, null, ${operator.now}, ${operator.now})
    on conflict (id) do update set api_secret_sealed = excluded.api_secret_sealed, previous_api_secret_sealed = null,
      previous_api_secret_until = null, updated_at = excluded.updated_at, deleted_at = null`)
}

/** Absent members stay, null clears. */
export interface TenantPatch {
  email?: string | null
  publicName?: string | null
  idpConsentUrl?: string | null
  idpSecret?: string | null
  apiSecret?: string
  /** For how long the one before stays good; absent: not at all. */
  apiSecretOverlapSeconds?: number
}

const selectForUpdate = (ctx: Context, id: string): Promise<Tenant | undefined> =>
  ctx.db.maybe(
    toTenant(ctx.secretBox),
    sql`select ${columns} from tenants t where t.id = ${id} and t.deleted_at is null and not t.is_opening for update`,
  )

/** In the caller's transaction. */
export async function patchTenant(
  ctx: Context,
  id: string,
  patch: TenantPatch,
  now: Date,
): Promise<Tenant | undefined> {
  const tenant = await selectForUpdate(ctx, id)
  if (!tenant) return undefined
  const seal = (secret: string) => ctx.secretBox.seal(secret, apiSecretPlace(id))
  const apiSecret = patch.apiSecret === undefined ? null : seal(patch.apiSecret)
  const previous =
    patch.apiSecret === undefined
      ? tenant.previousApiSecret
      : previousApiSecretOf(tenant, {
          apiSecret: patch.apiSecret,
          overlapSeconds: patch.apiSecretOverlapSeconds ?? 0,
          now,
        })
  const idpSecret = patch.idpSecret == null ? null : ctx.secretBox.seal(patch.idpSecret, idpSecretPlace(id))
  const stays = (value: unknown) => value === undefined
  return await ctx.db.maybe(
    toTenant(ctx.secretBox),
    sql`update tenants t set
        email = case when ${stays(patch.email)} then t.email else ${patch.email ?? null} end,
        public_name = case when ${stays(patch.publicName)} then t.public_name else ${patch.publicName ?? null} end,
        idp_consent_url = case when ${stays(patch.idpConsentUrl)} then t.idp_consent_url else ${patch.idpConsentUrl ?? null} end,
        idp_consent_url_written = t.idp_consent_url_written or ${!stays(patch.idpConsentUrl)},
        idp_secret_sealed = case when ${stays(patch.idpSecret)} then t.idp_secret_sealed else ${idpSecret} end,
        idp_secret_written = t.idp_secret_written or ${!stays(patch.idpSecret)},
        api_secret_sealed = coalesce(${apiSecret}, t.api_secret_sealed),
        previous_api_secret_sealed = ${previous ? seal(previous.secret) : null}, previous_api_secret_until = ${previous?.until ?? null},
        updated_at = ${now}
      where t.id = ${id} and t.deleted_at is null and not t.is_opening returning ${columns}`,
  )
}

/** The row stays, for payments that refer to it; its settings and keys go. In the caller's transaction. */
export async function markTenantDeleted(tx: Db, id: string, now: Date): Promise<boolean> {
  const marked = await tx.execute(
    sql`update tenants set deleted_at = ${now}, updated_at = ${now}
      where id = ${id} and deleted_at is null and not is_opening`,
  )
  if (marked === 0) return false
  await tx.execute(sql`delete from tenant_settings where tenant_id = ${id}`)
  await tx.execute(
    sql`update tenant_api_keys set revoked_at = ${now} where tenant_id = ${id} and revoked_at is null`,
  )
  return true
}

/** Everything about a tenant that the authorization server has to know, whatever becomes of the tenant here. */
export interface TenantMirror extends Tenant {
  isOpening: boolean
  /** Members that were written here at least once. */
  written: { idpConsentUrl: boolean; idpSecret: boolean }
}

export const selectTenantMirror = (ctx: Context, id: string): Promise<TenantMirror | undefined> =>
  ctx.db.maybe(
    (row) => ({
      ...toTenant(ctx.secretBox)(row),
      isOpening: row.is_opening as boolean,
      written: {
        idpConsentUrl: row.idp_consent_url_written as boolean,
        idpSecret: row.idp_secret_written as boolean,
      },
    }),
    sql`select ${columns}, t.is_opening, t.idp_consent_url_written, t.idp_secret_written from tenants t where t.id = ${id}`,
  )

/** Whether a creation is still under way; `undefined` when there is no such tenant (any more). */
export const selectIsOpening = (db: Db, id: string): Promise<boolean | undefined> =>
  db.maybe((row) => row.is_opening as boolean, sql`select is_opening from tenants where id = ${id}`)

export const openTenant = (tx: Db, id: string): Promise<number> =>
  tx.execute(sql`update tenants set is_opening = false where id = ${id} and is_opening`)

/** Leaves nothing of a creation. True: it was still under way. */
export const removeOpening = async (tx: Db, id: string): Promise<boolean> =>
  (await tx.execute(sql`delete from tenants where id = ${id} and is_opening`)) === 1

const toSetting = (row: Row): StoredSetting => ({
  key: row.key as TenantSettingKey,
  value: row.value,
  byOperator: row.by_operator,
})

export const selectSettings = (db: Db, tenantId: string): Promise<StoredSetting[]> =>
  db.many(
    toSetting,
    sql`select key, value, by_operator from tenant_settings where tenant_id = ${tenantId} order by key`,
  )

export async function upsertSettings(
  db: Db,
  tenantId: string,
  settings: readonly TenantSetting[],
  written: { at: Date; byOperator: boolean },
): Promise<void> {
  try {
    await db.execute(sql`
      insert into tenant_settings (tenant_id, key, value, by_operator, created_at, updated_at)
      select ${tenantId}, s.key, s.value, ${written.byOperator}::boolean, ${written.at}, ${written.at}
      from unnest(${settings.map(({ key }) => key)}::text[], ${settings.map(({ value }) => value)}::text[]) as s (key, value)
      on conflict (tenant_id, key) do update set value = excluded.value, updated_at = excluded.updated_at,
        by_operator = excluded.by_operator or (tenant_settings.by_operator and tenant_settings.value = excluded.value)`)
  } catch (error) {
    if (violatedConstraint(error)?.startsWith('tenant_settings_wallet_address_'))
      throw new TenantRefusal('duplicate_wallet_address_prefix', {
        message: 'another tenant has this WALLET_ADDRESS_URL',
        cause: error,
      })
    throw error
  }
}

/** Tenants' wallet address prefixes, for finding who answers for an unknown address. */
export const selectWalletAddressPrefixes = (db: Db): Promise<{ tenantId: string; prefix: string }[]> =>
  db.many(
    (row) => ({ tenantId: row.tenant_id as string, prefix: row.value as string }),
    sql`select s.tenant_id, s.value from tenant_settings s join tenants t on t.id = s.tenant_id
      where s.key = 'WALLET_ADDRESS_URL' and t.deleted_at is null and not t.is_opening`,
  )

/** Since when a tenant has an endpoint for webhooks that is not the node's. */
export const selectOwnEndpointSince = (
  db: Db,
  tenantId: string,
  nodeUrl: string,
): Promise<Date | undefined> =>
  db.maybe(
    (row) => row.created_at as Date,
    sql`select created_at from tenant_settings where tenant_id = ${tenantId} and key = 'WEBHOOK_URL' and value <> ${nodeUrl}`,
  )

/** One change of prefixes at a time: each is held against all others. */
export const lockPrefixes = (tx: Db): Promise<number> =>
  tx.execute(sql`select pg_advisory_xact_lock(hashtext('upesi-wallet-address-prefixes'))`)

/** All prefixes that are stored, those of tenants that are being opened too. */
export const selectStoredPrefixes = (db: Db): Promise<{ tenantId: string; prefix: string }[]> =>
  db.many(
    (row) => ({ tenantId: row.tenant_id as string, prefix: row.value as string }),
    sql`select tenant_id, value from tenant_settings where key = 'WALLET_ADDRESS_URL'`,
  )

/** Whether other tenants have wallet addresses at a prefix or below it, as after it was theirs. `base` is as addresses are: lower case. */
export const hasAddressesOfOthers = (db: Db, tenantId: string, base: string): Promise<boolean> =>
  db.one(
    (row) => row.is_there as boolean,
    sql`select exists (select from wallet_addresses w
      where w.tenant_id <> ${tenantId} and (w.address = ${base} or starts_with(w.address, ${`${base}/`}))) as is_there`,
  )
