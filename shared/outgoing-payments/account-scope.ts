import { findAsset } from '../assets/index.ts'
import { findIncomingPayment } from '../incoming-payments/index.ts'
import { type Account, accountCode, type Ledger } from '../ledger/index.ts'
import { findPeer } from '../peers/index.ts'
import type { Cache, Db, SecretBox } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findWalletAddress } from '../wallet-addresses/index.ts'
import { selectPayment } from './store.ts'

export interface AccountScopeContext {
  db: Db
  ledger: Ledger
  cache: Cache
  secretBox: SecretBox
}

/** Whether a ledger account is one of the scope's: an account belongs to a row, and the row to a tenant. */
export async function isAccountInScope(
  ctx: AccountScopeContext,
  scope: TenantScope,
  account: Pick<Account, 'id' | 'code' | 'userData128'>,
): Promise<boolean> {
  if (scope === 'all') return true
  const { id } = account
  switch (account.code) {
    case accountCode.assetLiquidity:
      return (await findAsset(ctx, scope, id)) !== undefined
    case accountCode.settlement:
      return (await findAsset(ctx, scope, account.userData128)) !== undefined
    case accountCode.peer:
      return (await findPeer(ctx, scope, id)) !== undefined
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
