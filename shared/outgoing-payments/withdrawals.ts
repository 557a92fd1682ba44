import { findAsset } from '../assets/index.ts'
import { findIncomingPayment } from '../incoming-payments/index.ts'
import {
  accountCode,
  type CreateTransferStatus,
  type Ledger,
  type Transfer,
  transferCode,
} from '../ledger/index.ts'
import { findPeer } from '../peers/index.ts'
import { assert, type Cache, type Db, deriveId, isUuid, type SecretBox } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findWalletAddress } from '../wallet-addresses/index.ts'
import { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'
import { selectPayment } from './store.ts'

interface Context {
  db: Db
  ledger: Ledger
  cache: Cache
  secretBox: SecretBox
}

/**
 * Makes a reserved withdrawal final: of an asset, a peer, a wallet address or a payment. A repeat is success. Throws
 * {@link OutgoingPaymentRefusal} `unknown_withdrawal`, `withdrawal_already_voided` or `withdrawal_expired`.
 */
export const postWithdrawal = (ctx: Context, scope: TenantScope, withdrawalId: string): Promise<void> =>
  resolve(ctx, scope, { withdrawalId, kind: 'post' })

/** Gives a reserved withdrawal back. A repeat is success. Throws as {@link postWithdrawal}, with `withdrawal_already_posted`. */
export const voidWithdrawal = (ctx: Context, scope: TenantScope, withdrawalId: string): Promise<void> =>
  resolve(ctx, scope, { withdrawalId, kind: 'void' })

const unknown = () => refusal('unknown_withdrawal', 'unknown withdrawal')
const refusal = (code: OutgoingPaymentRefusalCode, message: string) =>
  new OutgoingPaymentRefusal(code, { message })

async function resolve(
  ctx: Context,
  scope: TenantScope,
  input: { withdrawalId: string; kind: 'post' | 'void' },
): Promise<void> {
  const { withdrawalId, kind } = input
  const [withdrawal] = isUuid(withdrawalId) ? await ctx.ledger.lookupTransfers([withdrawalId]) : []
  if (withdrawal?.code !== transferCode.withdrawal || !(await isInScopeOf(ctx, scope, withdrawal)))
    throw unknown()
  // One that was made in one step is final already; posting it changes nothing.
  if (withdrawal.kind !== 'pending') {
    if (kind === 'post' && withdrawal.kind === 'posted') return
    throw withdrawal.kind === 'posted' ? alreadyPosted() : unknown()
  }
  const id = deriveId(`withdrawal-${kind}`, withdrawalId)
  const { userData128, userData64 } = withdrawal
  const [status] = await ctx.ledger.createTransfers([
    { kind, id, pendingId: withdrawalId, userData128, userData64 },
  ])
  assert(status !== undefined, 'one result per transfer')
  checkStatus(status, withdrawalId)
}

const alreadyPosted = () => refusal('withdrawal_already_posted', 'the withdrawal is posted already')

function checkStatus(status: CreateTransferStatus, withdrawalId: string): void {
  switch (status) {
    case 'created':
    case 'exists':
      return
    case 'pending_transfer_already_posted':
      throw alreadyPosted()
    case 'pending_transfer_already_voided':
      throw refusal('withdrawal_already_voided', 'the withdrawal is voided already')
    case 'pending_transfer_expired':
      throw refusal('withdrawal_expired', 'the withdrawal has run out')
    default:
      assert(false, 'the ledger refused to resolve a withdrawal', { status, withdrawalId })
  }
}

/** The account that pays belongs to a row, and the row to a tenant. */
async function isInScopeOf(ctx: Context, scope: TenantScope, withdrawal: Transfer): Promise<boolean> {
  if (scope === 'all') return true
  const id = withdrawal.debitAccountId
  const [account] = await ctx.ledger.lookupAccounts([id])
  switch (account?.code) {
    case accountCode.assetLiquidity:
      return (await findAsset(ctx, scope, id)) !== undefined
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
