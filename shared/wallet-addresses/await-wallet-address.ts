import { setTimeout as sleep } from 'node:timers/promises'
import type { Cache, Clock, Db } from '../platform/index.ts'
import { eventRecipients, findTenantByWalletAddressUrl, type TenantDefaults } from '../tenants/index.ts'
import { recordEvent } from '../webhooks/index.ts'
import { normaliseAddress } from './address.ts'
import type { WalletAddress } from './model.ts'
import { findWalletAddressByUrl } from './wallet-addresses.ts'

type Context = {
  db: Db
  cache: Cache
  clock: Clock
  settings: TenantDefaults & {
    /** How long a wallet has to create an address that somebody asked for. */
    walletAddressLookupTimeoutMs: number
    walletAddressPollingFrequencyMs: number
  }
}

/**
 * The wallet address, or, when there is none: tells the wallet (`wallet_address.not_found`) and waits for it to create one. However
 * many ask for the same address at once, one event is written and one wait runs.
 */
export async function findOrAwaitWalletAddress(
  ctx: Context,
  url: string,
): Promise<WalletAddress | undefined> {
  const found = await findWalletAddressByUrl(ctx, 'all', url)
  const address = normaliseAddress(url)
  if (found || address === undefined) return found
  return await ctx.cache.get(`awaited-wallet-address:${address}`, () => askAndWait(ctx, address))
}

async function askAndWait(ctx: Context, address: string): Promise<WalletAddress | undefined> {
  const { operatorTenantId, walletAddressLookupTimeoutMs, walletAddressPollingFrequencyMs } = ctx.settings
  await recordEvent(ctx.db, {
    tenantId: operatorTenantId,
    type: 'wallet_address.not_found',
    data: { walletAddressUrl: address },
    recipientTenantIds: eventRecipients(ctx.settings, await findTenantByWalletAddressUrl(ctx, address)),
  })
  const deadlineMs = ctx.clock.nowMs() + walletAddressLookupTimeoutMs
  while (ctx.clock.nowMs() < deadlineMs) {
    await sleep(walletAddressPollingFrequencyMs)
    const created = await findWalletAddressByUrl(ctx, 'all', address)
    if (created) return created
  }
  return undefined
}
