import type { Logger } from '../../shared/platform/index.ts'
import type { Accounts } from './accounts.ts'
import { AdminApiError, type AdminClient } from './admin-client.ts'
import type { WalletEvent } from './webhook-signature.ts'

export interface EventContext {
  admin: AdminClient
  accounts: Accounts
  log: Logger
  /** Resolves when deposits may be made. */
  depositsAllowed(): Promise<void>
}

const DEPOSIT = `mutation Deposit($input: DepositOutgoingPaymentLiquidityInput!) {
  depositOutgoingPaymentLiquidity(input: $input) { success } }`
const CANCEL = `mutation Cancel($input: CancelOutgoingPaymentInput!) {
  cancelOutgoingPayment(input: $input) { payment { id } } }`
const WITHDRAW_OUTGOING = `mutation WithdrawOutgoing($input: CreateOutgoingPaymentWithdrawalInput!) {
  createOutgoingPaymentWithdrawal(input: $input) { success } }`
const WITHDRAW_INCOMING = `mutation WithdrawIncoming($input: CreateIncomingPaymentWithdrawalInput!) {
  createIncomingPaymentWithdrawal(input: $input) { success } }`

const textOf = (event: WalletEvent, field: string): string => {
  const value = event.data[field]
  if (typeof value !== 'string') throw new TypeError(`${event.type}: ${field} is missing`)
  return value
}

const amountOf = (event: WalletEvent, field: string): bigint => {
  const amount = event.data[field] as { value?: unknown } | undefined
  if (typeof amount?.value !== 'string') throw new TypeError(`${event.type}: ${field} is missing`)
  return BigInt(amount.value)
}

/**
 * What a wallet does about an event. The order inside each step is the lesson: first the node, under an idempotency key that
 * follows from the event, then our own books, once. Whatever fails before the books change fails the whole event, and the
 * node sends it again.
 */
export async function handleEvent(ctx: EventContext, event: WalletEvent): Promise<void> {
  switch (event.type) {
    case 'outgoing_payment.created':
      return await fundPayment(ctx, event)
    case 'outgoing_payment.completed':
    case 'outgoing_payment.failed':
      return await settlePayment(ctx, event)
    case 'incoming_payment.completed':
    case 'incoming_payment.expired':
      return await creditCustomer(ctx, event)
    default:
      // Every other event only informs. A type that we do not know is no reason to refuse it: the node would send it for days.
      ctx.log.debug({ eventId: event.id, type: event.type }, 'event noted')
  }
}

async function fundPayment(ctx: EventContext, event: WalletEvent): Promise<void> {
  const paymentId = textOf(event, 'id')
  const walletAddressId = textOf(event, 'walletAddressId')
  await ctx.depositsAllowed()
  if (!ctx.accounts.hold(walletAddressId, paymentId, amountOf(event, 'debitAmount'))) {
    await unlessFinal(ctx, event, () =>
      ctx.admin.graphql(CANCEL, { input: { id: paymentId, reason: 'insufficient funds' } }),
    )
    return
  }
  const funded = await unlessFinal(ctx, event, () =>
    ctx.admin.graphql(DEPOSIT, { input: { outgoingPaymentId: paymentId, idempotencyKey: event.id } }),
  )
  // Refused for good, such as for a payment that was cancelled meanwhile. After any other error the hold stays: the deposit
  // may have happened, and the next attempt tells.
  if (!funded) ctx.accounts.release(walletAddressId, paymentId)
}

/** `balance` is what the node still holds of the debit amount: what was not sent. The customer pays what was. */
async function settlePayment(ctx: EventContext, event: WalletEvent): Promise<void> {
  const paymentId = textOf(event, 'id')
  if (BigInt(textOf(event, 'balance')) > 0n)
    await unlessFinal(ctx, event, () =>
      ctx.admin.graphql(WITHDRAW_OUTGOING, {
        input: { outgoingPaymentId: paymentId, timeoutSeconds: 0, idempotencyKey: event.id },
      }),
    )
  ctx.accounts.settle(textOf(event, 'walletAddressId'), paymentId, amountOf(event, 'sentAmount'))
}

/** The withdrawal comes first: crediting a customer for money that the node still has would pay twice. */
async function creditCustomer(ctx: EventContext, event: WalletEvent): Promise<void> {
  const withdrawn = await unlessFinal(ctx, event, () =>
    ctx.admin.graphql(WITHDRAW_INCOMING, {
      input: { incomingPaymentId: textOf(event, 'id'), timeoutSeconds: 0, idempotencyKey: event.id },
    }),
  )
  if (withdrawn) ctx.accounts.credit(textOf(event, 'walletAddressId'), amountOf(event, 'receivedAmount'))
}

/** False when the node has refused for good: a person must look, and the event need not come again. Other errors pass through. */
async function unlessFinal(
  ctx: EventContext,
  event: WalletEvent,
  call: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (!(error instanceof AdminApiError) || !error.isFinal) throw error
    const { code, reason } = error
    ctx.log.error(
      { eventId: event.id, type: event.type, code, reason, message: error.message },
      'the node refused what an event asks for',
    )
    return false
  }
}
