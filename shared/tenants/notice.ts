import { type Cache, type Db, isUuid, type Listener, sql } from '../platform/index.ts'

export const TENANTS_CHANNEL = 'upesi_tenants'

const TENANT = 'tenant:'
const SETTINGS = 'tenant-settings:'
export const tenantCacheKey = (id: string): string => `${TENANT}${id}`
export const settingsCacheKey = (id: string): string => `${SETTINGS}${id}`
export const PREFIXES_CACHE_KEY = 'wallet-address-prefixes'

/** Forgets what this process remembers of a tenant. */
export function forgetTenantHere(cache: Cache, id: string): void {
  cache.delete(tenantCacheKey(id))
  cache.delete(settingsCacheKey(id))
  cache.delete(PREFIXES_CACHE_KEY)
}

/** Forgets all of them: which have changed is not known. */
function forgetTenantsHere(cache: Cache): void {
  cache.deleteAll(TENANT)
  cache.deleteAll(SETTINGS)
  cache.delete(PREFIXES_CACHE_KEY)
}

/** Tells the other processes, when the caller's transaction commits. */
export const announceTenant = (tx: Db, id: string): Promise<number> =>
  tx.execute(sql`select pg_notify(${TENANTS_CHANNEL}, ${id})`)

/**
 * Forgets tenants that change elsewhere, within milliseconds, and all of them when notifications may have been missed. One that is
 * lost otherwise costs LOCAL_CACHE_DURATION_MS, after which what is remembered ends anyway.
 */
export function forgetChangedTenants(ctx: { listener: Listener; cache: Cache }): void {
  ctx.listener.listen(TENANTS_CHANNEL, (id) => {
    if (id === undefined) forgetTenantsHere(ctx.cache)
    else if (isUuid(id)) forgetTenantHere(ctx.cache, id)
  })
}
