import { findLiquidity, LiquidityRefusal, withdrawLiquidity } from '../assets/index.ts'
import { type Ledger, transferCode } from '../ledger/index.ts'
import { AMOUNT_MAX, minimum } from '../money/index.ts'
import type { Db } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { WalletAddressRefusal } from './errors.ts'
import type { WalletAddress } from './model.ts'
import { getWalletAddress } from './wallet-addresses.ts'

/** What packets to the address itself brought and nobody has withdrawn yet; `undefined` before the first. */
export const findWalletAddressLiquidity = (
  ctx: { ledger: Ledger },
  walletAddressId: string,
): Promise<bigint | undefined> => findLiquidity(ctx, walletAddressId)

export interface WithdrawWalletAddressInput {
  walletAddressId: string
  /** Names the withdrawal, also when it is posted or voided. */
  transferId: string
  /** 0: at once. More: reserved until it is posted, voided or so many seconds have passed. */
  timeoutSeconds: number
  /** The caller cannot know whether it asked before: a withdrawal with this id is this one. */
  acceptRepeat?: boolean
}

/**
 * Takes out all that packets to the address itself brought (SPSP), as far as one transfer carries it. Payments under an incoming payment are not here. Throws
 * {@link WalletAddressRefusal} `unknown_wallet_address` or `empty_wallet_address`; LiquidityRefusal.
 */
export async function withdrawWalletAddress(
  ctx: { db: Db; ledger: Ledger },
  scope: TenantScope,
  input: WithdrawWalletAddressInput,
): Promise<{ transferId: string; amount: bigint; walletAddress: WalletAddress }> {
  const { walletAddressId, transferId, timeoutSeconds } = input
  const walletAddress = await getWalletAddress(ctx, scope, walletAddressId)
  const [balance = 0n, [known]] = await Promise.all([
    findWalletAddressLiquidity(ctx, walletAddress.id),
    ctx.ledger.lookupTransfers([transferId]),
  ])
  // A repeat would take what has arrived since: another amount, under an id that says it was taken.
  const isThisOne = known?.code === transferCode.withdrawal && known.debitAccountId === walletAddress.id
  if (isThisOne && input.acceptRepeat) return { transferId, amount: known.amount, walletAddress }
  if (known)
    throw new LiquidityRefusal('duplicate_transfer', { message: 'a transfer with this id exists already' })
  const amount = minimum(balance, AMOUNT_MAX)
  if (amount === 0n)
    throw new WalletAddressRefusal('empty_wallet_address', { message: 'there is nothing to withdraw' })
  await withdrawLiquidity(ctx, {
    accountId: walletAddress.id,
    tenantId: walletAddress.tenantId,
    ledger: walletAddress.asset.ledger,
    transferId,
    amount,
    timeoutSeconds,
  })
  return { transferId, amount, walletAddress }
}
