import {
  LiquidityRefusal,
  type Withdrawal,
  withdrawAfterRelease,
  withdrawLiquidity,
} from '../assets/index.ts'
import { deriveTransferId, type Ledger } from '../ledger/index.ts'
import { AMOUNT_MAX, minimum } from '../money/index.ts'
import { assert, type Db, isUuid } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findWithdrawals } from '../webhooks/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { unknownIncomingPayment } from './read-incoming-payments.ts'
import { paymentById } from './store.ts'

type Context = { db: Db; ledger: Ledger }

export interface WithdrawIncomingPaymentInput {
  incomingPaymentId: string
  /** 0: at once. More: reserved until it is posted, voided or so many seconds have passed. */
  timeoutSeconds: number
}

/**
 * Takes out what the completed or expired event announced, and what a later one did for money that came behind the first. The
 * transfer's id is the event's, so an exact repeat is success and nothing is withdrawn twice; post and void name it by that id. Throws {@link IncomingPaymentRefusal} `unknown_incoming_payment`,
 * `nothing_to_withdraw` or `withdrawal_released`; LiquidityRefusal.
 */
export async function withdrawIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  input: WithdrawIncomingPaymentInput,
): Promise<{ transferId: string; amount: bigint }> {
  const { incomingPaymentId, timeoutSeconds } = input
  if (!isUuid(incomingPaymentId)) throw unknownIncomingPayment()
  const [payment, withdrawals] = await Promise.all([
    ctx.db.batched(paymentById, { id: incomingPaymentId, scope }),
    findWithdrawals(ctx.db, {
      incomingPaymentId,
      types: ['incoming_payment.completed', 'incoming_payment.expired'],
    }),
  ])
  if (!payment) throw unknownIncomingPayment()
  if (withdrawals.length === 0)
    throw new IncomingPaymentRefusal('nothing_to_withdraw', {
      message: 'the incoming payment has no completed or expired event',
    })
  // What came late must not be stuck behind a first withdrawal that was made in another way.
  const parts = withdrawals.flatMap((announced) => partsOf(announced, timeoutSeconds))
  const outcomes = await Promise.allSettled(
    parts.map((part) =>
      withdraw(ctx, {
        ...part,
        accountId: payment.id,
        tenantId: payment.tenantId,
        ledger: payment.asset.ledger,
        timeoutSeconds,
        acceptRepeat: true,
        mayBeClosed: true,
      }),
    ),
  )
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  const last = outcomes.at(-1)
  assert(last?.status === 'fulfilled', 'every withdrawal was made')
  return { transferId: last.value, amount: parts.reduce((sum, { amount }) => sum + amount, 0n) }
}

/**
 * What an event announced as transfers, its own last. Earlier versions announced in one event what no transfer can carry: the rest goes
 * under ids that follow from the event's. Post and void could not name those, so a reservation leaves the rest.
 */
function partsOf(
  { eventId, amount }: { eventId: string; amount: bigint },
  timeoutSeconds: number,
): Pick<Withdrawal, 'transferId' | 'amount'>[] {
  const parts = [{ transferId: eventId, amount: minimum(amount, AMOUNT_MAX) }]
  if (timeoutSeconds > 0) return parts
  for (let rest = amount - AMOUNT_MAX; rest > 0n; rest -= AMOUNT_MAX)
    parts.unshift({
      transferId: deriveTransferId('withdrawal-of-rest', eventId, parts.length),
      amount: minimum(rest, AMOUNT_MAX),
    })
  return parts
}

/** The id of the transfer that holds or took the money. */
async function withdraw(ctx: Context, withdrawal: Withdrawal): Promise<string> {
  let refusal: LiquidityRefusal | undefined
  try {
    if ((await withdrawLiquidity(ctx, withdrawal)) === 'created') return withdrawal.transferId
  } catch (error) {
    if (!(error instanceof LiquidityRefusal && error.code === 'duplicate_transfer')) throw error
    refusal = error
  }
  // Something is there under the event's id. Behind a reservation that was voided or ran out a withdrawal in one step may follow,
  // under another id. A second reservation may not: post and void could not name it.
  const [first] = await ctx.ledger.lookupTransfers([withdrawal.transferId])
  const released = first?.kind === 'pending' && (first.state === 'voided' || first.state === 'expired')
  if (!released) {
    if (refusal !== undefined) throw refusal
    return withdrawal.transferId
  }
  if (withdrawal.timeoutSeconds > 0)
    throw new IncomingPaymentRefusal('withdrawal_released', {
      message: 'the reserved withdrawal was voided or ran out; withdraw with timeoutSeconds 0',
    })
  return await withdrawAfterRelease(ctx, withdrawal)
}
