import type { Cache, Db } from '../platform/index.ts'
import { TenantRefusal } from './errors.ts'
import {
  prefixBase,
  resolveSettings,
  type TenantDefaults,
  type TenantSetting,
  type TenantSettings,
} from './model.ts'
import { PREFIXES_CACHE_KEY, settingsCacheKey } from './notice.ts'
import { selectSettings, selectWalletAddressPrefixes } from './store.ts'

type Context = { db: Db; cache: Cache; settings: TenantDefaults }

/** What is stored for the tenant, as the Admin API shows it. */
export const listTenantSettings = async (ctx: { db: Db }, tenantId: string): Promise<TenantSetting[]> =>
  (await selectSettings(ctx.db, tenantId)).map(({ key, value }) => ({ key, value }))

/** What applies to the tenant: its own settings over the node's. Cached for LOCAL_CACHE_DURATION_MS as it is resolved. */
export const getTenantSettings = (ctx: Context, tenantId: string): Promise<Readonly<TenantSettings>> =>
  ctx.cache.get(settingsCacheKey(tenantId), async () =>
    resolveSettings(tenantId, await selectSettings(ctx.db, tenantId), ctx.settings),
  )

/** The same for who is asked at every packet: undefined when it has to be waited for. */
export const tenantSettingsAtHand = (
  ctx: Pick<Context, 'cache'>,
  tenantId: string,
): Readonly<TenantSettings> | undefined => ctx.cache.atHand(settingsCacheKey(tenantId))

/** The prefix of the tenant's wallet addresses. Throws {@link TenantRefusal} `missing_wallet_address_prefix`. */
export async function getWalletAddressPrefix(ctx: Context, tenantId: string): Promise<string> {
  const { walletAddressUrl } = await getTenantSettings(ctx, tenantId)
  if (walletAddressUrl === undefined)
    throw new TenantRefusal('missing_wallet_address_prefix', {
      message: 'the tenant has no WALLET_ADDRESS_URL setting',
    })
  return walletAddressUrl
}

/** Whether `url` is `prefix` or lies below it. Compared by path segment: `https://a.example/x` does not hold `https://a.example/xy`. */
export function isBelowPrefix(url: string, prefix: string): boolean {
  const base = prefixBase(prefix)
  const candidate = url.toLowerCase()
  return candidate === base || candidate.startsWith(`${base}/`)
}

const listPrefixes = (ctx: Context) =>
  ctx.cache.get(PREFIXES_CACHE_KEY, () => selectWalletAddressPrefixes(ctx.db))

/** Who answers for a wallet address that does not exist: the tenant with the longest prefix above it, else the operator. */
export async function findTenantByWalletAddressUrl(ctx: Context, url: string): Promise<string> {
  const prefixes = await listPrefixes(ctx)
  const matching = prefixes
    .filter(({ prefix }) => isBelowPrefix(url, prefix))
    .sort((a, b) => b.prefix.length - a.prefix.length)
  return matching[0]?.tenantId ?? ctx.settings.operatorTenantId
}

/** Whether an address of the tenant's would lie below another tenant's prefix, inside its own. */
export async function isBelowLongerPrefix(ctx: Context, tenantId: string, url: string): Promise<boolean> {
  const own = await getWalletAddressPrefix(ctx, tenantId)
  const prefixes = await listPrefixes(ctx)
  return prefixes.some(
    (other) =>
      other.tenantId !== tenantId && other.prefix.length > own.length && isBelowPrefix(url, other.prefix),
  )
}
