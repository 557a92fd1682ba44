import { assert, Fault } from '../platform/index.ts'
import { deriveTransferId, formerTransferId } from './derived-ids.ts'
import {
  type CloseTransfer,
  type CreateTransferStatus,
  isSuccess,
  type Ledger,
  type LedgerId,
  type TransferEvent,
  transferCode,
} from './port.ts'

/** An account that is closed for good: no money comes in any more, and what it holds goes out by {@link moveThroughClosed} only. */
export interface ClosedAccount {
  id: LedgerId
  ledger: number
}

/** An account is closed again after each movement. Which close holds is read from the ledger: the last that is there. */
const closeId = (accountId: LedgerId, number: number): LedgerId =>
  deriveTransferId('close', accountId, number)
const formerCloseId = (accountId: LedgerId, number: number): LedgerId =>
  formerTransferId('close', accountId, number)
const reopenId = (accountId: LedgerId, number: number): LedgerId =>
  deriveTransferId('reopen', accountId, number)
const CLOSES_PER_READ = 8
/** Others that move money on the same account at the same time may be first so often. */
const ATTEMPTS_MAX = 20

const closeOf = ({ id, ledger }: ClosedAccount, number: number): CloseTransfer => ({
  kind: 'close',
  id: closeId(id, number),
  accountId: id,
  ledger,
  code: transferCode.transfer,
  userData128: id,
})

/** Repeats are success, and so is an account that was opened and closed since. The account and its ledger's settlement account exist. */
export async function closeForGood(ctx: { ledger: Ledger }, account: ClosedAccount): Promise<void> {
  const [status] = await ctx.ledger.createTransfers([closeOf(account, 0)])
  if (status !== undefined && isSuccess(status)) return
  // An earlier version closed it, under another id.
  const [current] = await ctx.ledger.lookupAccounts([account.id])
  assert(current?.closed, 'an account can be closed', { account, status })
}

/**
 * One movement on an account that {@link closeForGood} closed. It is open for this movement and nothing else: the void of the close
 * that holds, the movement and the next close are one chain. The movement's own status; a repeat of it is `exists`.
 */
export async function moveThroughClosed(
  ctx: { ledger: Ledger },
  account: ClosedAccount,
  movement: TransferEvent,
): Promise<CreateTransferStatus> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const last = await findLastClose(ctx, account)
    const [reopened, moved] = await ctx.ledger.createTransfers([
      { kind: 'void', id: reopenId(account.id, last.number), pendingId: last.id, linked: true },
      { ...movement, linked: true },
      closeOf(account, last.number + 1),
    ])
    assert(reopened !== undefined && moved !== undefined, 'one result per event')
    // Another movement was first: it voided this close, and made the next.
    if (moved !== 'linked_event_failed') return moved
  }
  throw new Fault('ledger_overloaded', {
    retryable: true,
    message: 'others moved money on this account all the time',
  })
}

interface Close {
  id: LedgerId
  number: number
}

async function findLastClose(ctx: { ledger: Ledger }, { id }: ClosedAccount): Promise<Close> {
  let last: Close | undefined
  for (let from = 0; ; from += CLOSES_PER_READ) {
    const numbers = Array.from({ length: CLOSES_PER_READ }, (_, index) => from + index)
    const ids = new Set(numbers.flatMap((number) => [closeId(id, number), formerCloseId(id, number)]))
    const found = await ctx.ledger.lookupTransfers([...ids])
    // A former id can be somebody's deposit.
    const known = new Set(found.flatMap((transfer) => (transfer?.kind === 'close' ? [transfer.id] : [])))
    for (const number of numbers) {
      const holding = [closeId(id, number), formerCloseId(id, number)].find((each) => known.has(each))
      if (holding === undefined) {
        assert(last, 'a closed account has the transfer that closed it', id)
        return last
      }
      last = { id: holding, number }
    }
  }
}
