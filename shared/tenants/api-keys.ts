import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  assert,
  type Clock,
  type Db,
  isUuid,
  present,
  type Row,
  rawSql,
  sql,
  uuidv7,
} from '../platform/index.ts'
import { TenantRefusal } from './errors.ts'
import { isInScope, scopeSql, type TenantScope } from './scope.ts'

/** A bearer key of the Admin API, for tools that cannot sign. The key itself is told once; its SHA-256 is kept. */
export interface TenantApiKey {
  id: string
  tenantId: string
  name?: string
  createdAt: Date
  revokedAt?: Date
}

const columns = rawSql('k.id, k.tenant_id, k.name, k.created_at, k.revoked_at')

const toApiKey = (row: Row): TenantApiKey => ({
  id: row.id,
  tenantId: row.tenant_id,
  createdAt: row.created_at,
  ...present({ name: row.name as string | null, revokedAt: row.revoked_at as Date | null }),
})

const SECRET_BYTES = 32
/** `upesi_<id>_<secret>`: the beginning lets scanners of leaked secrets know it, the id finds the row. */
const KEY = /^upesi_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/

const secretHash = (secret: string): Buffer => hash('sha256', secret, 'buffer')

const dashed = (id: string): string => id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/** A new key of a tenant that exists and is not deleted. Throws {@link TenantRefusal} `unknown_tenant`. */
export async function createApiKey(
  ctx: { db: Db; clock: Clock },
  scope: TenantScope,
  input: { tenantId: string; name?: string },
): Promise<{ apiKey: TenantApiKey; key: string }> {
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const id = uuidv7(ctx.clock.nowMs())
  const apiKey = isInScope(scope, input)
    ? await ctx.db.maybe(
        toApiKey,
        sql`insert into tenant_api_keys as k (id, tenant_id, name, secret_hash, created_at)
          select ${id}, t.id, ${input.name ?? null}, ${secretHash(secret)}, ${ctx.clock.now()} from tenants t
          where t.id = ${input.tenantId} and t.deleted_at is null and not t.is_opening for share
          returning ${columns}`,
      )
    : undefined
  if (!apiKey) throw new TenantRefusal('unknown_tenant', { message: 'unknown tenant' })
  return { apiKey, key: `upesi_${id.replaceAll('-', '')}_${secret}` }
}

/** Good for nothing from the next request on. A repeat changes nothing. Throws {@link TenantRefusal} `unknown_api_key`. */
export async function revokeApiKey(
  ctx: { db: Db; clock: Clock },
  scope: TenantScope,
  id: string,
): Promise<TenantApiKey> {
  const apiKey = await ctx.db.maybe(
    toApiKey,
    sql`update tenant_api_keys k set revoked_at = coalesce(k.revoked_at, ${ctx.clock.now()})
      where k.id = ${id} and ${scopeSql(scope, rawSql('k.tenant_id'))} returning ${columns}`,
  )
  if (!apiKey) throw new TenantRefusal('unknown_api_key', { message: 'unknown API key' })
  return apiKey
}

/** A tenant's keys, revoked ones too, newest first. */
export const listApiKeys = (ctx: { db: Db }, tenantId: string): Promise<TenantApiKey[]> =>
  ctx.db.many(
    toApiKey,
    sql`select ${columns} from tenant_api_keys k where k.tenant_id = ${tenantId} order by k.created_at desc, k.id desc`,
  )

const NOBODYS_HASH = Buffer.alloc(32)

/**
 * The tenant whose key this is; `undefined` for everything else. Asked of the database each time, so that a revoked key is dead at
 * once, in every process. The secret part is compared in constant time.
 */
export async function findTenantByApiKey(ctx: { db: Db }, key: string): Promise<string | undefined> {
  const [, compactId = '', secret = ''] = KEY.exec(key) ?? []
  const id = dashed(compactId)
  if (!isUuid(id)) return undefined
  const known = await ctx.db.maybe(
    (row) => ({ tenantId: row.tenant_id as string, hash: row.secret_hash as Buffer }),
    sql`select k.tenant_id, k.secret_hash from tenant_api_keys k join tenants t on t.id = k.tenant_id
      where k.id = ${id} and k.revoked_at is null and t.deleted_at is null and not t.is_opening`,
  )
  const isSame = timingSafeEqual(secretHash(secret), known?.hash ?? NOBODYS_HASH)
  if (!known || !isSame) return undefined
  assert(isUuid(known.tenantId), 'a key belongs to a tenant')
  return known.tenantId
}
