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
import { enqueueJob } from '../queue/index.ts'
import { TenantRefusal } from './errors.ts'
import {
  checkApiSecret,
  checkApiSecretOverlap,
  checkConsentUrl,
  checkSetting,
  prefixBase,
  type Tenant,
  type TenantDefaults,
  type TenantSetting,
  tenantSettingKeys,
} from './model.ts'
import { announceTenant, forgetTenantHere, tenantCacheKey } from './notice.ts'
import { isBelowPrefix } from './settings.ts'
import {
  hasAddressesOfOthers,
  insertTenant,
  lockPrefixes,
  markTenantDeleted,
  patchTenant,
  selectStoredPrefixes,
  selectTenant,
  selectTenants,
  type TenantPatch,
  upsertOperator,
  upsertSettings,
} from './store.ts'

type ReadContext = { db: Db; secretBox: SecretBox; cache: Cache }
/** `adminApiSecret`: no tenant may have it. */
export type TenantWriteContext = ReadContext & {
  clock: Clock
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'ilpAddress'> & { adminApiSecret?: string }
}

/**
 * A tenant, deleted or not. Cached for LOCAL_CACHE_DURATION_MS; processes that listen (`forgetChangedTenants`) see a change
 * within milliseconds.
 */
export async function findAnyTenant(ctx: ReadContext, id: string): Promise<Tenant | undefined> {
  if (!isUuid(id)) return undefined
  return await ctx.cache.get(tenantCacheKey(id), () => selectTenant(ctx, id))
}

/** As {@link findAnyTenant}, one that is not deleted. */
export async function findTenant(ctx: ReadContext, id: string): Promise<Tenant | undefined> {
  const tenant = await findAnyTenant(ctx, id)
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
  forgetTenantHere(ctx.cache, operator.id)
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

function prepareTenant(ctx: Pick<TenantWriteContext, 'clock' | 'settings'>, input: CreateTenantInput) {
  const id = input.id ?? uuidv7(ctx.clock.nowMs())
  checkApiSecret(input.apiSecret, ctx.settings.adminApiSecret)
  checkConsentUrl(input.idpConsentUrl)
  const settings = checkSettings([
    { key: 'ILP_ADDRESS', value: `${ctx.settings.ilpAddress}.${id}` },
    ...(input.settings ?? []),
  ])
  return { id, settings }
}

/**
 * Inserts a tenant and its settings together; a bad setting refuses both. Both are the operator's word.
 * Without an ILP_ADDRESS among them the tenant gets `<node>.<tenant id>`. Nothing else is stored by default, so later changes of the node's values reach it. The authorization
 * server hears of it with the next change at the latest; `createMirroredTenant` waits for it.
 */
export async function createTenant(ctx: TenantWriteContext, input: CreateTenantInput): Promise<Tenant> {
  const { id, settings } = prepareTenant(ctx, input)
  const tenant = await ctx.db.tx(async (db) => {
    const inserted = await insertTenant(
      { ...ctx, db },
      { ...input, id, createdAt: ctx.clock.now(), isOpening: false },
    )
    await upsertSettings(db, id, settings, { at: ctx.clock.now(), byOperator: true })
    await announceTenant(db, id)
    return inserted
  })
  forgetTenantHere(ctx.cache, id)
  return tenant
}

/** As {@link createTenant}, with the job that brings it to the authorization server and opens it. Nobody's until then. */
export async function beginTenant(ctx: TenantWriteContext, input: CreateTenantInput): Promise<string> {
  const { id, settings } = prepareTenant(ctx, input)
  await ctx.db.tx(async (db) => {
    await enqueueJob(db, { queue: 'tenant-mirror', key: id })
    await insertTenant({ ...ctx, db }, { ...input, id, createdAt: ctx.clock.now(), isOpening: true })
    await upsertSettings(db, id, settings, { at: ctx.clock.now(), byOperator: true })
  })
  return id
}

const unknownTenant = () => new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })

/** Locks the job before the tenant, as the worker does. */
async function changeTenant<T>(
  ctx: TenantWriteContext,
  id: string,
  options: { isMirrored: boolean },
  change: (tx: Db) => Promise<T | undefined>,
): Promise<T> {
  try {
    return await ctx.db.tx(async (tx) => {
      if (options.isMirrored) await enqueueJob(tx, { queue: 'tenant-mirror', key: id })
      const changed = await change(tx)
      // Rolls the job back too.
      if (changed === undefined) throw unknownTenant()
      await announceTenant(tx, id)
      return changed
    })
  } finally {
    forgetTenantHere(ctx.cache, id)
  }
}

/**
 * Absent members stay, null clears. What the authorization server has to know reaches it by a job of the same transaction.
 * Throws {@link TenantRefusal} `unknown_tenant`, `invalid_tenant`, `operator_tenant` (its secret is the environment's).
 */
export async function updateTenant(ctx: TenantWriteContext, id: string, patch: TenantPatch): Promise<Tenant> {
  if (patch.apiSecret !== undefined) {
    if (id === ctx.settings.operatorTenantId)
      throw new TenantRefusal('operator_tenant', { message: "the operator's secret is ADMIN_API_SECRET" })
    checkApiSecret(patch.apiSecret, ctx.settings.adminApiSecret)
  }
  checkApiSecretOverlap(patch.apiSecretOverlapSeconds ?? 0)
  if (patch.apiSecretOverlapSeconds !== undefined && patch.apiSecret === undefined)
    throw new TenantRefusal('invalid_tenant', { message: 'apiSecretOverlapSeconds goes with an apiSecret' })
  checkConsentUrl(patch.idpConsentUrl ?? undefined)
  const isMirrored = 'apiSecret' in patch || 'idpConsentUrl' in patch || 'idpSecret' in patch
  return await changeTenant(ctx, id, { isMirrored }, (db) =>
    patchTenant({ ...ctx, db }, id, patch, ctx.clock.now()),
  )
}

/**
 * Closes a tenant's access, its keys included; its payments and addresses go on. Throws {@link TenantRefusal} `unknown_tenant`,
 * `operator_tenant`.
 */
export async function deleteTenant(ctx: TenantWriteContext, id: string): Promise<void> {
  if (id === ctx.settings.operatorTenantId)
    throw new TenantRefusal('operator_tenant', { message: 'the operator cannot be deleted' })
  await changeTenant(ctx, id, { isMirrored: true }, async (tx) =>
    (await markTenantDeleted(tx, id, ctx.clock.now())) ? true : undefined,
  )
}

/**
 * A tenant's own word takes no names from others: its prefix is not at, below or above one that another has, and nobody else's wallet
 * address is there. Who has which host is the operator's to know, so prefixes that it gives out may lie within each other. Below
 * OPEN_PAYMENTS_URL, where all tenants of a node with one host are, what nobody has is free; an operator that sets a prefix of its own keeps it.
 */
async function checkPrefixIsApart(
  tx: Db,
  tenantId: string,
  wanted: string,
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'openPaymentsUrl'>,
): Promise<void> {
  if (tenantId === settings.operatorTenantId) return
  await lockPrefixes(tx)
  const stored = await selectStoredPrefixes(tx)
  const isOwn = stored.some(
    ({ tenantId: owner, prefix }) => owner === tenantId && prefixBase(prefix) === prefixBase(wanted),
  )
  if (isOwn) return
  const others = stored.filter((other) => other.tenantId !== tenantId).map(({ prefix }) => prefix)
  const isAbove = (prefix: string) => isBelowPrefix(prefixBase(prefix), wanted)
  if (
    others.some((prefix) => isBelowPrefix(wanted, prefix)) ||
    [settings.openPaymentsUrl, ...others].some(isAbove) ||
    (await hasAddressesOfOthers(tx, tenantId, prefixBase(wanted)))
  )
    throw new TenantRefusal('duplicate_wallet_address_prefix', {
      message: 'this WALLET_ADDRESS_URL is, or lies below or above, what another tenant has',
    })
}

/**
 * Writes settings as the tenant itself wants them, and returns them as stored. Throws {@link TenantRefusal} `invalid_setting` or
 * `duplicate_wallet_address_prefix`.
 */
export async function setTenantSettings(
  ctx: Pick<TenantWriteContext, 'db' | 'cache' | 'clock'> & {
    settings: Pick<TenantDefaults, 'operatorTenantId' | 'openPaymentsUrl'>
  },
  tenantId: string,
  settings: readonly TenantSetting[],
): Promise<TenantSetting[]> {
  const checked = checkSettings(settings)
  const prefix = checked.find(({ key }) => key === 'WALLET_ADDRESS_URL')?.value
  await ctx.db.tx(async (tx) => {
    if (prefix !== undefined) await checkPrefixIsApart(tx, tenantId, prefix, ctx.settings)
    await upsertSettings(tx, tenantId, checked, { at: ctx.clock.now(), byOperator: false })
    await announceTenant(tx, tenantId)
  })
  forgetTenantHere(ctx.cache, tenantId)
  return checked
}
