import { assert, deriveId, Fault } from '../platform/index.ts'
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
const closeId = (accountId: LedgerId, number: number): LedgerId => deriveId('close', accountId, number)
const reopenId = (accountId: LedgerId, number: number): LedgerId => deriveId('reopen', accountId, number)
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
  assert(status !== undefined && isSuccess(status), 'an account can be closed', { account, status })
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
      { kind: 'void', id: reopenId(account.id, last), pendingId: closeId(account.id, last), linked: true },
      { ...movement, linked: true },
      closeOf(account, last + 1),
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

async function findLastClose(ctx: { ledger: Ledger }, { id }: ClosedAccount): Promise<number> {
  for (let from = 0; ; from += CLOSES_PER_READ) {
    const ids = Array.from({ length: CLOSES_PER_READ }, (_, index) => closeId(id, from + index))
    const found = await ctx.ledger.lookupTransfers(ids)
    const count = found.filter((transfer) => transfer !== undefined).length
    if (count === CLOSES_PER_READ) continue
    assert(from + count > 0, 'a closed account has the transfer that closed it', id)
    return from + count - 1
  }
}
