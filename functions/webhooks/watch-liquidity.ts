import { availableCredit, type Ledger } from '../../shared/ledger/index.ts'
import type { Clock, Db, Logger } from '../../shared/platform/index.ts'
import { eventRecipients, type TenantDefaults } from '../../shared/tenants/index.ts'
import type { NewWebhookEvent } from '../../shared/webhooks/index.ts'
import { announceLow, rearm, selectWatched, type WatchedAccount } from './liquidity-store.ts'

interface Context {
  db: Db
  ledger: Ledger
  clock: Clock
  log: Logger
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator'>
}

/**
 * Compares balances with thresholds, and announces those that have come down to theirs since the last look: one event per crossing,
 * and none more until the balance has been above. A look costs two queries, whatever the traffic, and nothing on the path of a
 * packet; a balance that falls and recovers between two looks is not announced. Returns how many are low.
 */
export async function watchLiquidity(ctx: Context): Promise<number> {
  const watched = await selectWatched(ctx.db)
  const accounts = watched.length > 0 ? await ctx.ledger.lookupAccounts(watched.map(({ id }) => id)) : []
  const recoveredIds: string[] = []
  let low = 0
  for (const [index, account] of watched.entries()) {
    const found = accounts[index]
    // Not there yet: the row is written before the account.
    if (!found) continue
    const balance = availableCredit(found)
    if (balance > account.threshold) {
      if (account.isAnnounced) recoveredIds.push(account.id)
      continue
    }
    low++
    if (account.isAnnounced) continue
    await announceLow(ctx.db, account, lowEvent(ctx, account, balance), ctx.clock.now())
    ctx.log.warn(
      { [`${account.kind}Id`]: account.id, balance, threshold: account.threshold },
      'liquidity is low',
    )
  }
  await rearm(ctx.db, recoveredIds)
  return low
}

const lowEvent = (ctx: Context, account: WatchedAccount, balance: bigint): NewWebhookEvent => ({
  tenantId: account.tenantId,
  type: account.kind === 'asset' ? 'asset.liquidity_low' : 'peer.liquidity_low',
  data: {
    id: account.id,
    asset: account.asset,
    liquidityThreshold: account.threshold.toString(),
    balance: balance.toString(),
  },
  ...(account.kind === 'asset' ? { assetId: account.id } : { peerId: account.id }),
  recipientTenantIds: eventRecipients(ctx.settings, account.tenantId),
})
