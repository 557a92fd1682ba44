import { depositLiquidity, LiquidityRefusal } from '../assets/index.ts'
import { accountCode, type NewAccount, tenantSurrogate } from '../ledger/index.ts'
import { present } from '../platform/index.ts'
import type { ScopedId, TenantScope } from '../tenants/index.ts'
import type { OutgoingPaymentContext } from './context.ts'
import { OutgoingPaymentRefusal } from './errors.ts'
import { beginFunding, startSending } from './funding-store.ts'
import type { OutgoingPayment } from './model.ts'
import { getOutgoingPayment, unknownPayment } from './read-outgoing-payments.ts'
import { type SideEventContext, sideEvent } from './side-events.ts'
import { clearFundingStarted, type OutgoingPaymentRow, selectPayment, withSent } from './store.ts'

type Context = Pick<OutgoingPaymentContext, 'db' | 'ledger' | 'clock'> & SideEventContext

/**
 * Deposits the debit amount from settlement and starts sending. Three steps, each safe to repeat: the payment is marked, so that no
 * cancel passes; the ledger moves the money under the id of the `outgoing_payment.created` event; the payment becomes SENDING
 * together with its job. A crash in between is finished by the sweep. A repeat, however late, is success. Throws
 * {@link OutgoingPaymentRefusal} `unknown_payment`, `invalid_amount` or `wrong_state`.
 */
export async function fundOutgoingPayment(
  ctx: Context,
  scope: TenantScope,
  input: { outgoingPaymentId: string; amount?: bigint; sealedDataToTransmit?: string },
): Promise<OutgoingPayment> {
  const { outgoingPaymentId: id, amount, sealedDataToTransmit } = input
  if (amount !== undefined) await checkAmount(ctx, scope, { id, amount })
  const funded = await fundAndStart(ctx, { id, scope, ...present({ sealedDataToTransmit }) })
  if (funded) return withSent({ ...funded, state: 'SENDING', updatedAt: ctx.clock.now() }, 0n)
  const payment = await getOutgoingPayment(ctx, scope, id)
  if (payment.state === 'CANCELLED')
    throw new OutgoingPaymentRefusal('wrong_state', { message: 'the payment is cancelled' })
  // It was made between the two looks.
  if (payment.state === 'FUNDING') throw unknownPayment()
  return payment
}

async function checkAmount(
  ctx: Context,
  scope: TenantScope,
  { id, amount }: { id: string; amount: bigint },
): Promise<void> {
  const payment = await selectPayment(ctx.db, scope, id)
  if (!payment) throw unknownPayment()
  if (amount !== payment.debitAmount.value)
    throw new OutgoingPaymentRefusal('invalid_amount', { message: 'the amount must be the debit amount' })
}

/**
 * All steps, from wherever an earlier run stopped. `undefined`, and nothing is done, when the payment is not in FUNDING or not in this
 * scope.
 */
export async function fundAndStart(
  ctx: Context,
  input: ScopedId & { sealedDataToTransmit?: string },
): Promise<OutgoingPaymentRow | undefined> {
  const begun = await beginFunding(ctx.db, { ...input, now: ctx.clock.now() })
  if (!begun) return undefined
  const { payment, createdEventId } = begun
  await deposit(ctx, payment, createdEventId)
  const funded = await sideEvent(
    ctx,
    withSent({ ...payment, state: 'SENDING' }, 0n),
    'outgoing_payment.funded',
  )
  await startSending(ctx.db, { id: payment.id, now: ctx.clock.now(), ...(funded && { event: funded }) })
  return payment
}

const outgoingPaymentAccount = (
  payment: Pick<OutgoingPaymentRow, 'id' | 'tenantId' | 'walletAddress'>,
): NewAccount => ({
  id: payment.id,
  ledger: payment.walletAddress.asset.ledger,
  code: accountCode.outgoingPayment,
  debitsMustNotExceedCredits: true,
  userData128: payment.walletAddress.assetId,
  userData64: tenantSurrogate(payment.tenantId),
})

async function deposit(ctx: Context, payment: OutgoingPaymentRow, transferId: string): Promise<void> {
  try {
    await depositLiquidity(ctx, {
      accountId: payment.id,
      tenantId: payment.tenantId,
      ledger: payment.walletAddress.asset.ledger,
      transferId,
      amount: payment.debitAmount.value,
      acceptRepeat: true,
      newAccount: outgoingPaymentAccount(payment),
    })
  } catch (error) {
    // Only a definite refusal clears the mark; after anything else the money may have moved.
    if (error instanceof LiquidityRefusal)
      await clearFundingStarted(ctx.db, {
        id: payment.id,
        code: error.code,
        message: error.message,
        now: ctx.clock.now(),
      })
    throw error
  }
}
