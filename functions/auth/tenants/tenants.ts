import {
  type BatchedStatement,
  type Clock,
  type Db,
  type SealedColumn,
  type SecretBox,
  sql,
} from '../../../shared/platform/index.ts'

export interface TenantContext {
  db: Db
  secretBox: SecretBox
}

/** Good besides the present one, until then. */
export interface PreviousApiSecret {
  secret: string
  until: Date
}

export interface NewTenant {
  id: string
  apiSecret: string
  previousApiSecret?: PreviousApiSecret | null
  idpConsentUrl?: string | null
  idpSecret?: string | null
}

/** Absent members stay as they are, null clears. */
export interface TenantChange {
  /** The one before ends with it, unless it comes along. */
  apiSecret?: string
  previousApiSecret?: PreviousApiSecret | null
  idpConsentUrl?: string | null
  idpSecret?: string | null
}

const IDP_SECRETS = 'auth-tenants:idp-secret'

type SecretField = 'api-secret' | 'idp-secret'

/** What a tenant's secret is sealed for. */
export const secretPurpose = (field: SecretField, id: string) => `auth-tenant:${id}:${field}`

const seal = (ctx: TenantContext, field: SecretField, id: string, value?: string | null) =>
  value === undefined || value === null ? null : ctx.secretBox.seal(value, secretPurpose(field, id))

/** Tenants' own; keyed hashes of what an identity provider shows come beside. */
export const sealedTenantColumns: readonly SealedColumn[] = (
  [
    ['api_secret_sealed', 'api-secret'],
    ['previous_api_secret_sealed', 'api-secret'],
    ['idp_secret_sealed', 'idp-secret'],
  ] as const
).map(([column, field]) => ({
  table: 'tenants',
  column,
  key: 'id',
  keyType: 'uuid',
  place: (row) => secretPurpose(field, row.id),
}))

/** By which the tenants of an identity provider are found. */
export const idpSecretHash = ({ secretBox }: Pick<TenantContext, 'secretBox'>, secret: string): Buffer =>
  secretBox.fingerprint(secret, IDP_SECRETS)

/** By every key, while keys change. */
export const idpSecretHashes = ({ secretBox }: Pick<TenantContext, 'secretBox'>, secret: string): Buffer[] =>
  secretBox.fingerprints(secret, IDP_SECRETS)

const hashOrNull = (ctx: TenantContext, secret?: string | null) =>
  secret === undefined || secret === null ? null : idpSecretHash(ctx, secret)

interface KnownTenant {
  id: string
  hasIdp: boolean
}

const tenantById: BatchedStatement<string, KnownTenant> = {
  query: (ids) => sql`
    select asked.place, t.id, t.idp_consent_url is not null and t.idp_secret_sealed is not null as has_idp
    from unnest((select ${ids}::uuid[])) with ordinality asked (id, place)
    cross join lateral (select * from tenants x where x.id = asked.id and x.deleted_at is null limit 1) t`,
  map: (row) => ({ id: row.id as string, hasIdp: row.has_idp as boolean }),
}

/** A tenant that grants may be asked of. `undefined`: there is none (any more). */
export const findTenant = (ctx: Pick<TenantContext, 'db'>, id: string): Promise<KnownTenant | undefined> =>
  ctx.db.batched(tenantById, id)

/** What a tenant signs its requests with; two while it changes. None: there is no such tenant (any more). */
export const findApiSecrets = async (
  ctx: TenantContext & { clock: Clock },
  id: string,
): Promise<readonly string[]> => {
  const open = (sealed: string) => ctx.secretBox.open(sealed, secretPurpose('api-secret', id))
  const isGood = (until: Date | null) => until !== null && until > ctx.clock.now()
  const secrets = await ctx.db.maybe(
    (row) => [
      open(row.api_secret_sealed),
      ...(isGood(row.previous_api_secret_until) ? [open(row.previous_api_secret_sealed)] : []),
    ],
    sql`select api_secret_sealed, previous_api_secret_sealed, previous_api_secret_until
      from tenants where id = ${id} and deleted_at is null`,
  )
  return secrets ?? []
}

/** A repeat replaces: the node may call again when it did not hear the answer. False: the tenant was deleted, for good. */
export async function createTenant(ctx: TenantContext, tenant: NewTenant): Promise<boolean> {
  const { id, apiSecret, previousApiSecret, idpConsentUrl = null, idpSecret } = tenant
  const created = await ctx.db.execute(sql`
    insert into tenants (id, api_secret_sealed, previous_api_secret_sealed, previous_api_secret_until, idp_consent_url,
      idp_secret_sealed, idp_secret_hash)
    values (${id}, ${seal(ctx, 'api-secret', id, apiSecret)}, ${seal(ctx, 'api-secret', id, previousApiSecret?.secret)},
      ${previousApiSecret?.until ?? null}, ${idpConsentUrl}, ${seal(ctx, 'idp-secret', id, idpSecret)},
      ${hashOrNull(ctx, idpSecret)})
    on conflict (id) do update set api_secret_sealed = excluded.api_secret_sealed,
      previous_api_secret_sealed = excluded.previous_api_secret_sealed,
      previous_api_secret_until = excluded.previous_api_secret_until, idp_consent_url = excluded.idp_consent_url, idp_secret_sealed = excluded.idp_secret_sealed,
      idp_secret_hash = excluded.idp_secret_hash, updated_at = now()
    where tenants.deleted_at is null`)
  return created === 1
}

/** False: there is no such tenant. */
export async function updateTenant(ctx: TenantContext, id: string, change: TenantChange): Promise<boolean> {
  const { apiSecret, previousApiSecret, idpConsentUrl, idpSecret } = change
  const isKept = apiSecret === undefined && previousApiSecret === undefined
  const updated = await ctx.db.execute(sql`
    update tenants set
      api_secret_sealed = coalesce(${seal(ctx, 'api-secret', id, apiSecret)}, api_secret_sealed),
      previous_api_secret_sealed = case when ${isKept} then previous_api_secret_sealed
        else ${seal(ctx, 'api-secret', id, previousApiSecret?.secret)} end,
      previous_api_secret_until = case when ${isKept} then previous_api_secret_until else ${previousApiSecret?.until ?? null} end,
      idp_consent_url = case when ${idpConsentUrl === undefined} then idp_consent_url else ${idpConsentUrl ?? null} end,
      idp_secret_sealed = case when ${idpSecret === undefined} then idp_secret_sealed else ${seal(ctx, 'idp-secret', id, idpSecret)} end,
      idp_secret_hash = case when ${idpSecret === undefined} then idp_secret_hash else ${hashOrNull(ctx, idpSecret)} end,
      updated_at = now()
    where id = ${id} and deleted_at is null`)
  return updated === 1
}

export async function deleteTenant(
  ctx: Pick<TenantContext, 'db'>,
  id: string,
  deletedAt: Date,
): Promise<boolean> {
  const deleted = await ctx.db.execute(
    sql`update tenants set deleted_at = ${deletedAt}, updated_at = now() where id = ${id} and deleted_at is null`,
  )
  return deleted === 1
}

/**
 * The operator's row: its secret follows the environment at each start, its identity provider only when the row is made
 * (contracts/admin/tenancy.md §5).
 */
export async function ensureOperatorTenant(ctx: TenantContext, tenant: NewTenant): Promise<void> {
  const { id, apiSecret, idpConsentUrl = null, idpSecret } = tenant
  await ctx.db.execute(sql`
    insert into tenants (id, api_secret_sealed, idp_consent_url, idp_secret_sealed, idp_secret_hash)
    values (${id}, ${seal(ctx, 'api-secret', id, apiSecret)}, ${idpConsentUrl}, ${seal(ctx, 'idp-secret', id, idpSecret)},
      ${hashOrNull(ctx, idpSecret)})
    on conflict (id) do update set api_secret_sealed = excluded.api_secret_sealed, previous_api_secret_sealed = null,
      previous_api_secret_until = null, updated_at = now()`)
}
