import { type Account, settlementAccountId, type Transfer } from '../ledger/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { type AccountScopeContext, isAccountInScope } from './account-scope.ts'

/** What moved on an account, newest first on either side. Each movement stands once, with what became of it. */
export interface AccountTransfers {
  debits: Transfer[]
  credits: Transfer[]
}

const SEARCH_MAX = 8_192

/**
 * The last transfers of a ledger account, `limit` in all: of an asset, peer, payment or wallet address by its id, of settlement by
 * the ledger's number. Nothing for an account that is not there and for one of another tenant.
 */
export async function listAccountTransfers(
  ctx: AccountScopeContext,
  scope: TenantScope,
  input: { account: string | number; limit: number },
): Promise<AccountTransfers> {
  const id = typeof input.account === 'number' ? settlementAccountId(input.account) : input.account
  const [account] = await ctx.ledger.lookupAccounts([id])
  if (!account || !(await isAccountInScope(ctx, scope, account))) return { debits: [], credits: [] }
  const movements = await lastMovements(ctx, account, input.limit)
  return {
    debits: movements.filter(({ debitAccountId }) => debitAccountId === account.id),
    credits: movements.filter(({ creditAccountId }) => creditAccountId === account.id),
  }
}

/** Posts and voids are events of their own in the ledger; here they are what became of the transfer that they end. */
async function lastMovements(
  ctx: Pick<AccountScopeContext, 'ledger'>,
  account: Account,
  limit: number,
): Promise<Transfer[]> {
  for (let searched = 2 * limit; ; searched = Math.min(4 * searched, SEARCH_MAX)) {
    const found = await ctx.ledger.queryTransfers({ accountId: account.id, limit: searched, reversed: true })
    const movements = found.filter(({ kind }) => kind === 'posted' || kind === 'pending')
    if (movements.length >= limit || found.length < searched || searched >= SEARCH_MAX)
      return movements.slice(0, limit)
  }
}
