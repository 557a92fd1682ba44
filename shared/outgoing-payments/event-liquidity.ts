import { getAsset, LiquidityRefusal, withdrawAfterRelease, withdrawLiquidity } from '../assets/index.ts'
import { withdrawIncomingPayment } from '../incoming-payments/index.ts'
import type { Ledger } from '../ledger/index.ts'
import { type Cache, type Db, isUuid } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import { findEvent, findPaymentEvent, type WebhookEvent } from '../webhooks/index.ts'
import type { OutgoingPaymentContext, ReadContext } from './context.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import { fundOutgoingPayment } from './fund-outgoing-payment.ts'
import { unknownPayment } from './read-outgoing-payments.ts'
import type { SideEventContext } from './side-events.ts'
import { selectPayment } from './store.ts'

const unknownEvent = (message: string) => new OutgoingPaymentRefusal('unknown_event', { message })

/** Throws {@link OutgoingPaymentRefusal} `unknown_event` for an event of another tenant too. */
async function getEvent(ctx: { db: Db }, scope: TenantScope, eventId: string): Promise<WebhookEvent> {
  const owner = scope === 'all' ? {} : scope
  const event = isUuid(eventId) ? await findEvent(ctx.db, { id: eventId, ...owner }) : undefined
  if (!event) throw unknownEvent('unknown event')
  return event
}

/** As {@link fundOutgoingPayment}, named by the `outgoing_payment.created` event. Repeats are success. */
export async function depositEventLiquidity(
  ctx: Pick<OutgoingPaymentContext, 'db' | 'ledger' | 'clock'> & SideEventContext,
  scope: TenantScope,
  eventId: string,
): Promise<void> {
  const event = await getEvent(ctx, scope, eventId)
  if (event.type !== 'outgoing_payment.created' || event.outgoingPaymentId === undefined)
    throw unknownEvent('only the outgoing_payment.created event asks for a deposit')
  await fundOutgoingPayment(ctx, scope, { outgoingPaymentId: event.outgoingPaymentId })
}

export interface WithdrawOutgoingPaymentInput {
  outgoingPaymentId: string
  /** 0: at once. More: reserved until it is posted, voided or so many seconds have passed. */
  timeoutSeconds: number
}

/**
 * Takes out what the completed or failed event announced: fee, play of the rate, or all of a payment that failed. The transfer's id is
 * the event's, so an exact repeat is success; post and void name it by that id. Throws {@link OutgoingPaymentRefusal}
 * `unknown_payment`, `wrong_state`, `nothing_to_withdraw` or `withdrawal_released`; LiquidityRefusal.
 */
export async function withdrawOutgoingPayment(
  ctx: ReadContext,
  scope: TenantScope,
  input: WithdrawOutgoingPaymentInput,
): Promise<{ transferId: string; amount: bigint }> {
  const { outgoingPaymentId } = input
  if (!isUuid(outgoingPaymentId)) throw unknownPayment()
  const [payment, event] = await Promise.all([
    selectPayment(ctx.db, scope, outgoingPaymentId),
    findPaymentEvent(ctx.db, {
      outgoingPaymentId,
      types: ['outgoing_payment.completed', 'outgoing_payment.failed'],
    }),
  ])
  if (!payment) throw unknownPayment()
  if (!event)
    throw new OutgoingPaymentRefusal('wrong_state', {
      message: 'the payment has not ended',
      details: { state: payment.state },
    })
  if (!event.withdrawal)
    throw new OutgoingPaymentRefusal('nothing_to_withdraw', { message: 'nothing of the payment is left' })
  const { amount } = event.withdrawal
  const transferId = await withdraw(ctx, {
    eventId: event.id,
    accountId: payment.id,
    tenantId: payment.tenantId,
    ledger: payment.walletAddress.asset.ledger,
    amount,
    timeoutSeconds: input.timeoutSeconds,
  })
  return { transferId, amount }
}

interface EventWithdrawal {
  eventId: string
  accountId: string
  tenantId: string
  ledger: number
  amount: bigint
  timeoutSeconds: number
}

async function withdraw(ctx: { ledger: Ledger }, input: EventWithdrawal): Promise<string> {
  const { eventId, ...withdrawal } = input
  let refusal: LiquidityRefusal | undefined
  try {
    const movement = await withdrawLiquidity(ctx, { ...withdrawal, transferId: eventId, acceptRepeat: true })
    if (movement === 'created') return eventId
  } catch (error) {
    if (!(error instanceof LiquidityRefusal && error.code === 'duplicate_transfer')) throw error
    refusal = error
  }
  const [first] = await ctx.ledger.lookupTransfers([eventId])
  const released = first?.kind === 'pending' && (first.state === 'voided' || first.state === 'expired')
  if (!released) {
    if (refusal !== undefined) throw refusal
    return eventId
  }
  // As for incoming payments: behind a reservation that ended the money must not be stuck. One withdrawal in one step may follow.
  if (input.timeoutSeconds > 0)
    throw new OutgoingPaymentRefusal('withdrawal_released', {
      message: 'the reserved withdrawal was voided or ran out; withdraw with timeoutSeconds 0',
    })
  return await withdrawAfterRelease(ctx, { ...withdrawal, transferId: eventId })
}

/** Takes out at once what an event announced, whatever it is about. Repeats are success. Throws {@link OutgoingPaymentRefusal} and LiquidityRefusal. */
export async function withdrawEventLiquidity(
  ctx: ReadContext & { cache: Cache },
  scope: TenantScope,
  eventId: string,
): Promise<void> {
  const event = await getEvent(ctx, scope, eventId)
  const { incomingPaymentId, outgoingPaymentId, withdrawal } = event
  if (!withdrawal) throw unknownEvent('the event announced nothing to withdraw')
  const timeoutSeconds = 0
  if (incomingPaymentId !== undefined)
    await withdrawIncomingPayment(ctx, scope, { incomingPaymentId, timeoutSeconds })
  else if (outgoingPaymentId !== undefined)
    await withdrawOutgoingPayment(ctx, scope, { outgoingPaymentId, timeoutSeconds })
  else {
    const { ledger, tenantId } = await getAsset(ctx, scope, withdrawal.assetId)
    const { accountId, amount } = withdrawal
    await withdraw(ctx, { eventId, accountId, tenantId, ledger, amount, timeoutSeconds })
  }
}
