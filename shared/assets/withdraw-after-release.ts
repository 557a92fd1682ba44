import {
  deriveTransferId,
  formerTransferId,
  type Ledger,
  type LedgerId,
  transferCode,
} from '../ledger/index.ts'
import { type Withdrawal, withdrawLiquidity } from './liquidity.ts'

const PURPOSE = 'withdrawal-after-release'

/**
 * The withdrawal in one step that may follow a reserved one, `released`, that was voided or ran out: its id is taken for ever, and the
 * money must not be stuck behind that. The id, which follows from the first one's. Repeats are success. Throws LiquidityRefusal.
 */
export async function withdrawAfterRelease(ctx: { ledger: Ledger }, released: Withdrawal): Promise<LedgerId> {
  const former = formerTransferId(PURPOSE, released.transferId)
  const transferId = deriveTransferId(PURPOSE, released.transferId)
  if (former !== transferId && (await isWithdrawnBy(ctx, former, released))) return former
  await withdrawLiquidity(ctx, { ...released, transferId, timeoutSeconds: 0, acceptRepeat: true })
  return transferId
}

/** Whether an earlier version withdrew it under that id, which can also be somebody else's. */
async function isWithdrawnBy(ctx: { ledger: Ledger }, id: LedgerId, released: Withdrawal): Promise<boolean> {
  const [transfer] = await ctx.ledger.lookupTransfers([id])
  return (
    transfer?.kind === 'posted' &&
    transfer.code === transferCode.withdrawal &&
    transfer.debitAccountId === released.accountId &&
    transfer.amount === released.amount
  )
}
