import {
  type CreateTransferStatus,
  deriveTransferId,
  moveThroughClosed,
  type PostTransfer,
  type Transfer,
  transferCode,
  type VoidTransfer,
} from '../ledger/index.ts'
import { assert, isUuid } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { type AccountScopeContext, isAccountInScope } from './account-scope.ts'
import { OutgoingPaymentRefusal, type OutgoingPaymentRefusalCode } from './errors.ts'

/**
 * Makes a reserved withdrawal final: of an asset, a peer, a wallet address or a payment. A repeat is success. Throws
 * {@link OutgoingPaymentRefusal} `unknown_withdrawal`, `withdrawal_already_voided` or `withdrawal_expired`.
 */
export const postWithdrawal = (
  ctx: AccountScopeContext,
  scope: TenantScope,
  withdrawalId: string,
): Promise<void> => resolve(ctx, scope, { withdrawalId, kind: 'post' })

/** Gives a reserved withdrawal back. A repeat is success. Throws as {@link postWithdrawal}, with `withdrawal_already_posted`. */
export const voidWithdrawal = (
  ctx: AccountScopeContext,
  scope: TenantScope,
  withdrawalId: string,
): Promise<void> => resolve(ctx, scope, { withdrawalId, kind: 'void' })

const unknown = () => refusal('unknown_withdrawal', 'unknown withdrawal')
const refusal = (code: OutgoingPaymentRefusalCode, message: string) =>
  new OutgoingPaymentRefusal(code, { message })

async function resolve(
  ctx: AccountScopeContext,
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
  const id = deriveTransferId(`withdrawal-${kind}`, withdrawalId)
  const { userData128, userData64 } = withdrawal
  const event = { kind, id, pendingId: withdrawalId, userData128, userData64 }
  checkStatus(await apply(ctx, withdrawal, event), input)
}

/** Of what an ended payment holds, only a void passes by itself. */
async function apply(
  ctx: AccountScopeContext,
  withdrawal: Transfer,
  event: PostTransfer | VoidTransfer,
): Promise<CreateTransferStatus> {
  const [account] = event.kind === 'post' ? await ctx.ledger.lookupAccounts([withdrawal.debitAccountId]) : []
  if (account?.closed) return await moveThroughClosed(ctx, account, event)
  const [status] = await ctx.ledger.createTransfers([event])
  assert(status !== undefined, 'one result per transfer')
  return status
}

const alreadyPosted = () => refusal('withdrawal_already_posted', 'the withdrawal is posted already')

function checkStatus(
  status: CreateTransferStatus,
  { withdrawalId, kind }: { withdrawalId: string; kind: 'post' | 'void' },
): void {
  switch (status) {
    case 'created':
    case 'exists':
      return
    // A repeat may come after a version that had another id for it.
    case 'pending_transfer_already_posted':
      if (kind === 'post') return
      throw alreadyPosted()
    case 'pending_transfer_already_voided':
      if (kind === 'void') return
      throw refusal('withdrawal_already_voided', 'the withdrawal is voided already')
    case 'pending_transfer_expired':
      throw refusal('withdrawal_expired', 'the withdrawal has run out')
    default:
      assert(false, 'the ledger refused to resolve a withdrawal', { status, withdrawalId })
  }
}

/** Whose account pays, his is the withdrawal. */
async function isInScopeOf(
  ctx: AccountScopeContext,
  scope: TenantScope,
  withdrawal: Transfer,
): Promise<boolean> {
  if (scope === 'all') return true
  const [account] = await ctx.ledger.lookupAccounts([withdrawal.debitAccountId])
  return account !== undefined && (await isAccountInScope(ctx, scope, account))
}
