import { type Clock, type Db, isUuid, uuidv7 } from '../platform/index.ts'
import type { Page, Paged, TenantScope } from '../tenants/index.ts'
import { WalletAddressRefusal } from './errors.ts'
import { parseJwk, type WalletAddressKey } from './model.ts'
import { insertKey, revokeKey, selectActiveKeys, selectKeys } from './store.ts'

const unknownWalletAddress = () =>
  new WalletAddressRefusal('unknown_wallet_address', { message: 'unknown wallet address' })

/** Throws {@link WalletAddressRefusal} `invalid_key`, `duplicate_key` or `unknown_wallet_address`. */
export async function createWalletAddressKey(
  ctx: { db: Db; clock: Clock },
  scope: TenantScope,
  input: { walletAddressId: string; jwk: unknown },
): Promise<WalletAddressKey> {
  const jwk = parseJwk(input.jwk)
  if (!isUuid(input.walletAddressId)) throw unknownWalletAddress()
  const key = await insertKey(ctx.db, scope, {
    id: uuidv7(ctx.clock.nowMs()),
    walletAddressId: input.walletAddressId,
    jwk,
    createdAt: ctx.clock.now(),
  })
  if (!key) throw unknownWalletAddress()
  return key
}

/** A repeat returns the same row. Throws {@link WalletAddressRefusal} `unknown_key`. */
export async function revokeWalletAddressKey(
  ctx: { db: Db; clock: Clock },
  scope: TenantScope,
  id: string,
): Promise<WalletAddressKey> {
  const key = isUuid(id) ? await revokeKey(ctx.db, scope, id, ctx.clock.now()) : undefined
  if (!key) throw new WalletAddressRefusal('unknown_key', { message: 'unknown key' })
  return key
}

/** The keys that are not revoked: what `jwks.json` shows. */
export const listWalletAddressKeys = (
  ctx: { db: Db },
  walletAddressId: string,
): Promise<WalletAddressKey[]> => selectActiveKeys(ctx.db, walletAddressId)

/** All keys, revoked ones included, for the Admin API. */
export const pageWalletAddressKeys = (
  ctx: { db: Db },
  walletAddressId: string,
  page: Page,
): Promise<Paged<WalletAddressKey>> => selectKeys(ctx.db, walletAddressId, page)
