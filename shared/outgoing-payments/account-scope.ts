import { findAnyAsset } from '../assets/index.ts'
import { findIncomingPayment } from '../incoming-payments/index.ts'
import { type Account, accountCode, type Ledger } from '../ledger/index.ts'
import type { Cache, Db } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findWalletAddress } from '../wallet-addresses/index.ts'
import { selectPayment } from './store.ts'

export interface AccountScopeContext {
  db: Db
  ledger: Ledger
  cache: Cache
}

/**
 * Whether a ledger account is one of the scope's: an account belongs to a row, and the row to a tenant. Assets and peers may be deleted
 * while money is reserved on their accounts; a peer's account says which asset it is of, and that is of the same tenant.
 */
export async function isAccountInScope(
  ctx: AccountScopeContext,
  scope: TenantScope,
  account: Pick<Account, 'id' | 'code' | 'userData128'>,
): Promise<boolean> {
  if (scope === 'all') return true
  const { id } = account
  switch (account.code) {
    case accountCode.assetLiquidity:
      return (await findAnyAsset(ctx, scope, id)) !== undefined
    case accountCode.settlement:
    case accountCode.peer:
      return (await findAnyAsset(ctx, scope, account.userData128)) !== undefined
    case accountCode.incomingPayment:
      return (await findIncomingPayment(ctx, scope, id)) !== undefined
    case accountCode.outgoingPayment:
      return (await selectPayment(ctx.db, scope, id)) !== undefined
    case accountCode.webMonetization:
      return (await findWalletAddress(ctx, scope, id)) !== undefined
    default:
      return false
  }
}
