import { withdrawLiquidity } from '../assets/index.ts'
import type { Ledger } from '../ledger/index.ts'
import { type Db, deriveId, isUuid } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findPaymentEvent } from '../webhooks/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { unknownIncomingPayment } from './read-incoming-payments.ts'
import type { IncomingPaymentRow } from './store.ts'
import { selectPayment } from './store.ts'

type Context = { db: Db; ledger: Ledger }

export interface WithdrawIncomingPaymentInput {
  incomingPaymentId: string
  /** 0: at once. More: reserved until it is posted, voided or so many seconds have passed. */
  timeoutSeconds: number
}

/**
 * Takes out what the completed or expired event announced. The transfer's id is the event's, so an exact repeat is success and
 * nothing is withdrawn twice; post and void name it by that id. Throws {@link IncomingPaymentRefusal} `unknown_incoming_payment`,
 * `nothing_to_withdraw` or `withdrawal_released`; LiquidityRefusal.
 */
export async function withdrawIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  input: WithdrawIncomingPaymentInput,
): Promise<{ transferId: string; amount: bigint }> {
  const payment = isUuid(input.incomingPaymentId)
    ? await selectPayment(ctx.db, scope, input.incomingPaymentId)
    : undefined
  if (!payment) throw unknownIncomingPayment()
  const event = await findPaymentEvent(ctx.db, {
    incomingPaymentId: payment.id,
    types: ['incoming_payment.completed', 'incoming_payment.expired'],
  })
  if (!event?.withdrawal)
    throw new IncomingPaymentRefusal('nothing_to_withdraw', {
      message: 'the incoming payment has no completed or expired event',
    })
  const { amount } = event.withdrawal
  const transferId = await withdraw(ctx, payment, { eventId: event.id, amount, ...input })
  return { transferId, amount }
}

async function withdraw(
  ctx: Context,
  payment: IncomingPaymentRow,
  input: { eventId: string; amount: bigint; timeoutSeconds: number },
): Promise<string> {
  const [first] = await ctx.ledger.lookupTransfers([input.eventId])
  const released = first?.kind === 'pending' && (first.state === 'voided' || first.state === 'expired')
  // The ledger keeps the id of a withdrawal that was voided or ran out. The money must not be stuck behind it: a withdrawal in one
  // step may follow, once, under an id that follows from the first. A second reservation could not be named by post and void.
  if (released && input.timeoutSeconds > 0)
    throw new IncomingPaymentRefusal('withdrawal_released', {
      message: 'the reserved withdrawal was voided or ran out; withdraw with timeoutSeconds 0',
    })
  // Posted in the meantime: repeating the request that reserved it is still a repeat.
  const transferId = released ? deriveId('withdrawal-after-release', input.eventId) : input.eventId
  await withdrawLiquidity(ctx, {
    accountId: payment.id,
    tenantId: payment.tenantId,
    ledger: payment.asset.ledger,
    transferId,
    amount: input.amount,
    timeoutSeconds: input.timeoutSeconds,
    acceptRepeat: true,
  })
  return transferId
}
