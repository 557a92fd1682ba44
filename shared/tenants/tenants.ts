import {
  assert,
  type Cache,
  type Clock,
  type Db,
  isUuid,
  type Page,
  type Paged,
  type SecretBox,
  uuidv7,
} from '../platform/index.ts'
import { TenantRefusal } from './errors.ts'
import {
  checkSetting,
  type Tenant,
  type TenantDefaults,
  type TenantSetting,
  tenantSettingKeys,
} from './model.ts'
import {
  insertTenant,
  markTenantDeleted,
  patchTenant,
  selectTenant,
  selectTenants,
  type TenantPatch,
  upsertOperator,
  upsertSettings,
} from './store.ts'

type ReadContext = { db: Db; secretBox: SecretBox; cache: Cache }
type WriteContext = ReadContext & {
  clock: Clock
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'ilpAddress'>
}

const tenantCacheKey = (id: string): string => `tenant:${id}`
export const settingsCacheKey = (id: string): string => `tenant-settings:${id}`

/** A tenant that is not deleted. Cached for LOCAL_CACHE_DURATION_MS: a rotated secret is dead on other processes by then. */
export async function findTenant(ctx: ReadContext, id: string): Promise<Tenant | undefined> {
  if (!isUuid(id)) return undefined
  const tenant = await ctx.cache.get(tenantCacheKey(id), () => selectTenant(ctx, id))
  return tenant?.deletedAt === undefined ? tenant : undefined
}

/** As {@link findTenant}; throws {@link TenantRefusal} `unknown_tenant`. */
export async function getTenant(ctx: ReadContext, id: string): Promise<Tenant> {
  const tenant = await findTenant(ctx, id)
  if (!tenant) throw new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })
  return tenant
}

/** All tenants, deleted ones included (the operator's list). */
export const listTenants = (ctx: Pick<ReadContext, 'db' | 'secretBox'>, page: Page): Promise<Paged<Tenant>> =>
  selectTenants(ctx, page)

/** Every start makes the operator's row exist and its secret equal to ADMIN_API_SECRET (tenancy.md §5). */
export async function ensureOperatorTenant(
  ctx: { db: Db; secretBox: SecretBox; clock: Clock; cache: Cache },
  operator: { id: string; apiSecret: string },
): Promise<void> {
  await upsertOperator(ctx, { ...operator, now: ctx.clock.now() })
  ctx.cache.delete(tenantCacheKey(operator.id))
}

export interface CreateTenantInput {
  id?: string
  apiSecret: string
  email?: string
  publicName?: string
  idpConsentUrl?: string
  idpSecret?: string
  settings?: readonly TenantSetting[]
}

/** Later entries win over earlier ones with the same key. */
function checkSettings(settings: readonly TenantSetting[]): TenantSetting[] {
  for (const setting of settings) {
    assert(tenantSettingKeys.includes(setting.key), 'settings have known keys', setting.key)
    checkSetting(setting)
  }
  return [...new Map(settings.map((setting) => [setting.key, setting])).values()]
}

/**
 * Inserts a tenant and its settings together; a bad setting refuses both. Without an ILP_ADDRESS among them the tenant gets
 * `<node>.<tenant id>`. Nothing else is stored by default, so later changes of the node's values reach it.
 */
export async function createTenant(ctx: WriteContext, input: CreateTenantInput): Promise<Tenant> {
  const id = input.id ?? uuidv7(ctx.clock.nowMs())
  const settings = checkSettings([
    { key: 'ILP_ADDRESS', value: `${ctx.settings.ilpAddress}.${id}` },
    ...(input.settings ?? []),
  ])
  return await ctx.db.tx(async (db) => {
    const tenant = await insertTenant({ ...ctx, db }, { ...input, id, createdAt: ctx.clock.now() })
    await upsertSettings(db, id, settings, ctx.clock.now())
    return tenant
  })
}

/** Fields that are absent stay. Throws {@link TenantRefusal} `unknown_tenant`. */
export async function updateTenant(ctx: WriteContext, id: string, patch: TenantPatch): Promise<Tenant> {
  const tenant = await patchTenant(ctx, id, patch, ctx.clock.now())
  ctx.cache.delete(tenantCacheKey(id))
  if (!tenant) throw new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })
  return tenant
}

/** Closes a tenant's access; its payments and addresses go on. The operator cannot be deleted. Throws {@link TenantRefusal} `unknown_tenant`. */
export async function deleteTenant(ctx: WriteContext, id: string): Promise<void> {
  const deletable = id !== ctx.settings.operatorTenantId
  const deleted = deletable && (await markTenantDeleted(ctx.db, id, ctx.clock.now()))
  ctx.cache.delete(tenantCacheKey(id))
  ctx.cache.delete(settingsCacheKey(id))
  if (!deleted) throw new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })
}

/** Writes settings of one tenant. Throws {@link TenantRefusal} `invalid_setting` or `duplicate_wallet_address_prefix`. */
export async function setTenantSettings(
  ctx: Pick<WriteContext, 'db' | 'cache' | 'clock'>,
  tenantId: string,
  settings: readonly TenantSetting[],
): Promise<void> {
  await upsertSettings(ctx.db, tenantId, checkSettings(settings), ctx.clock.now())
  ctx.cache.delete(settingsCacheKey(tenantId))
}
