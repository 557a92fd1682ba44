import {
  availableCredit,
  type CreateTransferStatus,
  type Ledger,
  type LedgerId,
  moveThroughClosed,
  type NewAccount,
  settlementAccountId,
  type TransferEvent,
  tenantSurrogate,
  transferCode,
  ZERO_ID,
} from '../ledger/index.ts'
import { assert, Fault, isUuid, unreachable } from '../platform/index.ts'
import { LiquidityRefusal } from './errors.ts'

/** An account of this node that money can be brought to or taken from: an asset's, a peer's, a payment's. */
export interface LiquidityAccount {
  accountId: LedgerId
  tenantId: string
  ledger: number
}

export interface Deposit extends LiquidityAccount {
  transferId: LedgerId
  amount: bigint
  /** Whether the same transfer again is success (movements that belong to an event) or {@link LiquidityRefusal} `duplicate_transfer`. */
  acceptRepeat?: boolean
  /** The account, where it may be missing: it is made with the movement. */
  newAccount?: NewAccount
}

export interface Withdrawal extends Deposit {
  /** 0 takes the money out at once; more reserves it until it is posted, voided or so many seconds have passed. */
  timeoutSeconds: number
  /** The account may have been closed when its resource ended. */
  mayBeClosed?: boolean
}

/** Whether this call moved the money, or found that an earlier one had. */
export type Movement = 'created' | 'exists'

const TIMEOUT_SECONDS_MAX = 2 ** 31 - 1

function checkMovement(input: Deposit): void {
  if (!isUuid(input.transferId) || input.transferId === ZERO_ID)
    throw new LiquidityRefusal('invalid_transfer_id', { message: 'id must be a UUID' })
  assert(input.amount >= 0n, 'amounts are not negative', input.amount)
  if (input.amount === 0n)
    throw new LiquidityRefusal('zero_amount', { message: 'amount must be greater than 0' })
}

const insufficient = () =>
  new LiquidityRefusal('insufficient_liquidity', { message: 'the account has less than this amount' })

function toMovement(status: CreateTransferStatus, input: Deposit): Movement {
  switch (status) {
    case 'created':
      return 'created'
    case 'exists':
      if (input.acceptRepeat) return 'exists'
      throw new LiquidityRefusal('duplicate_transfer', { message: 'a transfer with this id exists' })
    case 'exists_with_different_fields':
      throw new LiquidityRefusal('duplicate_transfer', { message: 'another transfer with this id exists' })
    case 'exceeds_credits':
    case 'exceeds_debits':
    // TigerBeetle remembers an id whose transfer lacked money; only a new id can try again.
    case 'id_already_failed':
      throw insufficient()
    case 'debit_account_not_found':
    case 'credit_account_not_found':
      // The row exists and its accounts do not (yet): a crash came between. The check at start, or the next deposit, repairs it.
      throw new Fault('ledger_account_missing', {
        retryable: true,
        message: 'the ledger has no account for this yet',
        details: { accountId: input.accountId, status },
      })
    case 'overflows':
      throw new LiquidityRefusal('insufficient_liquidity', {
        message: 'the balance would exceed what the ledger can hold',
      })
    case 'needed_account_refused':
      assert(false, 'the account of a deposit can be made', input)
      break
    case 'linked_event_failed':
    case 'linked_event_chain_open':
    case 'id_must_not_be_zero':
    case 'accounts_must_be_different':
    case 'accounts_must_have_the_same_ledger':
    case 'transfer_must_have_the_same_ledger_as_accounts':
    case 'amount_must_not_be_zero':
    case 'debit_account_already_closed':
    case 'credit_account_already_closed':
    case 'timeout_must_not_be_zero':
    case 'code_must_not_be_zero':
    case 'pending_transfer_not_found':
    case 'pending_transfer_not_pending':
    case 'pending_transfer_already_posted':
    case 'pending_transfer_already_voided':
    case 'pending_transfer_expired':
    case 'exceeds_pending_transfer_amount':
      assert(false, 'the ledger refused a transfer that we made wrongly', { status, input })
      break
    default:
      return unreachable(status)
  }
}

async function move(ctx: { ledger: Ledger }, event: TransferEvent, input: Deposit): Promise<Movement> {
  const [status] = await ctx.ledger.createTransfers([event])
  assert(status !== undefined, 'one result per transfer')
  return toMovement(status, input)
}

/** Brings money in: settlement → account, at once. Throws {@link LiquidityRefusal}. */
export async function depositLiquidity(ctx: { ledger: Ledger }, input: Deposit): Promise<Movement> {
  checkMovement(input)
  return await move(
    ctx,
    {
      kind: 'posted',
      id: input.transferId,
      debitAccountId: settlementAccountId(input.ledger),
      creditAccountId: input.accountId,
      ledger: input.ledger,
      code: transferCode.deposit,
      amount: input.amount,
      userData128: input.accountId,
      userData64: tenantSurrogate(input.tenantId),
      ...(input.newAccount && { needs: [input.newAccount] }),
    },
    input,
  )
}

/** Runs `move`, and once more after `makeAccounts` when a crash had left out the account that money is to go to. */
export async function withAccounts<T>(makeAccounts: () => Promise<void>, move: () => Promise<T>): Promise<T> {
  try {
    return await move()
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'ledger_account_missing')) throw error
    await makeAccounts()
    return await move()
  }
}

/** Takes money out: account → settlement, at once or reserved. The id of a reserved one posts or voids it. Throws {@link LiquidityRefusal}. */
export async function withdrawLiquidity(ctx: { ledger: Ledger }, input: Withdrawal): Promise<Movement> {
  checkMovement(input)
  assert(
    Number.isInteger(input.timeoutSeconds) &&
      input.timeoutSeconds >= 0 &&
      input.timeoutSeconds <= TIMEOUT_SECONDS_MAX,
    'a timeout is a number of whole seconds',
    input.timeoutSeconds,
  )
  const movement = {
    id: input.transferId,
    debitAccountId: input.accountId,
    creditAccountId: settlementAccountId(input.ledger),
    ledger: input.ledger,
    code: transferCode.withdrawal,
    amount: input.amount,
    userData128: input.accountId,
    userData64: tenantSurrogate(input.tenantId),
  }
  const event: TransferEvent =
    input.timeoutSeconds === 0
      ? { ...movement, kind: 'posted' }
      : { ...movement, kind: 'pending', timeoutSeconds: input.timeoutSeconds }
  // Asked first: a refusal by a closed account would cost the transfer its id.
  if (input.mayBeClosed && (await isClosed(ctx, input.accountId)))
    return toMovement(
      await moveThroughClosed(ctx, { id: input.accountId, ledger: input.ledger }, event),
      input,
    )
  return await move(ctx, event, input)
}

async function isClosed(ctx: { ledger: Ledger }, accountId: LedgerId): Promise<boolean> {
  const [account] = await ctx.ledger.lookupAccounts([accountId])
  return account?.closed === true
}

/** What the account can still pay; `undefined` where the ledger has no such account. */
export async function findLiquidity(
  ctx: { ledger: Ledger },
  accountId: LedgerId,
): Promise<bigint | undefined> {
  const [account] = await ctx.ledger.lookupAccounts([accountId])
  return account && availableCredit(account)
}
