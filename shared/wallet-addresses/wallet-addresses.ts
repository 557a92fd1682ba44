import { getAsset } from '../assets/index.ts'
import { type Cache, type Clock, type Db, isUuid, uuidv7 } from '../platform/index.ts'
import {
  getWalletAddressPrefix,
  isBelowLongerPrefix,
  isInScope,
  type Page,
  type Paged,
  type TenantDefaults,
  type TenantScope,
} from '../tenants/index.ts'
import { addressBelow, normaliseAddress } from './address.ts'
import { WalletAddressRefusal } from './errors.ts'
import { type AdditionalProperty, propertiesOf, type WalletAddress } from './model.ts'
import {
  insertWalletAddress,
  patchWalletAddress,
  selectWalletAddress,
  selectWalletAddressByUrl,
  selectWalletAddresses,
} from './store.ts'

type ReadContext = { db: Db; cache: Cache }

const walletAddressCacheKey = (address: string): string => `wallet-address:${address}`
const unknown = () =>
  new WalletAddressRefusal('unknown_wallet_address', { message: 'unknown wallet address' })

/** Throws {@link WalletAddressRefusal} `unknown_wallet_address`. */
export async function getWalletAddress(
  ctx: { db: Db },
  scope: TenantScope,
  id: string,
): Promise<WalletAddress> {
  const walletAddress = await findWalletAddress(ctx, scope, id)
  if (!walletAddress) throw unknown()
  return walletAddress
}

export const findWalletAddress = async (
  ctx: { db: Db },
  scope: TenantScope,
  id: string,
): Promise<WalletAddress | undefined> =>
  isUuid(id) ? await selectWalletAddress(ctx.db, scope, id) : undefined

/**
 * By its public URL, however written (case, trailing slash, query). Cached for LOCAL_CACHE_DURATION_MS when it exists; an address
 * that does not exist is looked up each time, so that a new one works at once.
 */
export async function findWalletAddressByUrl(
  ctx: ReadContext,
  scope: TenantScope,
  url: string,
): Promise<WalletAddress | undefined> {
  const address = normaliseAddress(url)
  if (address === undefined) return undefined
  const walletAddress = await ctx.cache.get(walletAddressCacheKey(address), () =>
    selectWalletAddressByUrl(ctx.db, address),
  )
  return walletAddress && isInScope(scope, walletAddress) ? walletAddress : undefined
}

export const listWalletAddresses = (
  ctx: { db: Db },
  scope: TenantScope,
  page: Page,
): Promise<Paged<WalletAddress>> => selectWalletAddresses(ctx.db, scope, page)

export interface CreateWalletAddressInput {
  tenantId: string
  assetId: string
  /** A full URL below the tenant's prefix, or a path to put behind it. */
  address: string
  publicName?: string
  additionalProperties?: readonly AdditionalProperty[]
}

/**
 * Throws {@link WalletAddressRefusal} `invalid_wallet_address`, `invalid_property` or `duplicate_wallet_address`; AssetRefusal
 * `unknown_asset` when the asset is not the tenant's; TenantRefusal `missing_wallet_address_prefix`.
 */
export async function createWalletAddress(
  ctx: ReadContext & { clock: Clock; settings: TenantDefaults },
  input: CreateWalletAddressInput,
): Promise<WalletAddress> {
  const address = addressBelow(await getWalletAddressPrefix(ctx, input.tenantId), input.address)
  // A prefix may lie below another one, as tenants' do below the operator's; what is below both belongs to the longer.
  if (await isBelowLongerPrefix(ctx, input.tenantId, address))
    throw new WalletAddressRefusal('invalid_wallet_address', {
      message: "the address lies below another tenant's prefix",
    })
  const properties = propertiesOf(input.additionalProperties ?? [])
  const asset = await getAsset(ctx, { tenantId: input.tenantId }, input.assetId)
  return await insertWalletAddress(ctx.db, {
    id: uuidv7(ctx.clock.nowMs()),
    tenantId: input.tenantId,
    assetId: asset.id,
    address,
    properties,
    createdAt: ctx.clock.now(),
    ...(input.publicName !== undefined && { publicName: input.publicName }),
  })
}

export interface UpdateWalletAddressInput {
  id: string
  /** Null clears. */
  publicName?: string | null
  status?: 'ACTIVE' | 'INACTIVE'
  /** Replaces all. */
  additionalProperties?: readonly AdditionalProperty[]
}

/**
 * Fields that are absent stay. Deactivation must also shorten the open incoming payments: callers outside this room use
 * `updateWalletAddress` of incoming-payments, which does both. Throws {@link WalletAddressRefusal}.
 */
export async function patchWalletAddressRow(
  ctx: ReadContext & { clock: Clock },
  scope: TenantScope,
  input: UpdateWalletAddressInput,
): Promise<WalletAddress> {
  if (!isUuid(input.id)) throw unknown()
  const walletAddress = await patchWalletAddress(
    ctx.db,
    scope,
    input.id,
    {
      ...(input.publicName !== undefined && { publicName: input.publicName }),
      ...(input.status !== undefined && { active: input.status === 'ACTIVE' }),
      ...(input.additionalProperties && { properties: propertiesOf(input.additionalProperties) }),
    },
    ctx.clock.now(),
  )
  if (!walletAddress) throw unknown()
  ctx.cache.delete(walletAddressCacheKey(walletAddress.address))
  return walletAddress
}
