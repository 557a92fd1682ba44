import { setTimeout as sleep } from 'node:timers/promises'
import { toMoneyAsset } from '../assets/index.ts'
import type { Amount } from '../money/index.ts'
import { type Clock, type Db, uuidv7 } from '../platform/index.ts'
import { eventRecipients, type TenantDefaults } from '../tenants/index.ts'
import {
  findWalletAddress,
  isActive,
  type WalletAddress,
  WalletAddressRefusal,
} from '../wallet-addresses/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import {
  checkIncomingAmount,
  expiryOf,
  type IncomingPayment,
  type Initiator,
  toWebhookData,
} from './model.ts'
import { findDecision, insertPayment } from './store.ts'

type Context = {
  db: Db
  clock: Clock
  settings: Pick<TenantDefaults, 'operatorTenantId' | 'sendTenantWebhooksToOperator'> & {
    incomingPaymentExpiryMaxMs: number
  }
}

export interface CreateIncomingPaymentInput {
  /** For callers that must be able to repeat: the same id cannot make a second payment. */
  id?: string
  tenantId: string
  /** One of the two; the row saves a query. */
  walletAddressId?: string
  walletAddress?: WalletAddress
  incomingAmount?: Amount
  /** Default: the latest allowed. */
  expiresAt?: Date
  metadata?: Record<string, unknown>
  client?: string
  initiatedBy: Initiator
  senderWalletAddress?: string
}

const unknownWalletAddress = () =>
  new WalletAddressRefusal('unknown_wallet_address', { message: 'unknown wallet address' })
const inactiveWalletAddress = () =>
  new WalletAddressRefusal('inactive_wallet_address', { message: 'the wallet address is not active' })

/**
 * Writes the payment, its `incoming_payment.created` event and the job that closes it at expiry, in one statement. Throws
 * {@link IncomingPaymentRefusal} `invalid_amount` or `invalid_expiry`, WalletAddressRefusal `unknown_wallet_address` or
 * `inactive_wallet_address`.
 */
export async function createIncomingPayment(
  ctx: Context,
  input: CreateIncomingPaymentInput,
): Promise<IncomingPayment> {
  const walletAddress = await walletAddressOf(ctx, input)
  const now = ctx.clock.now()
  checkIncomingAmount(input.incomingAmount, walletAddress.asset)
  const expiresAt = expiryOf(input.expiresAt, { now, maxMs: ctx.settings.incomingPaymentExpiryMaxMs })
  const { walletAddress: _walletAddress, walletAddressId: _walletAddressId, ...given } = input
  const row = {
    ...given,
    id: input.id ?? uuidv7(now.getTime()),
    walletAddressId: walletAddress.id,
    expiresAt,
    createdAt: now,
  }
  const payment: IncomingPayment = {
    ...row,
    walletAddress,
    asset: walletAddress.asset,
    state: 'PENDING',
    receivedAmount: { value: 0n, ...toMoneyAsset(walletAddress.asset) },
  }
  // The row in hand may come from a cache; whether the address is active is decided by the insert itself.
  const inserted = await insertPayment(ctx.db, row, {
    tenantId: payment.tenantId,
    type: 'incoming_payment.created',
    data: toWebhookData(payment),
    incomingPaymentId: payment.id,
    recipientTenantIds: eventRecipients(ctx.settings, payment.tenantId),
  })
  if (!inserted) throw inactiveWalletAddress()
  return payment
}

async function walletAddressOf(ctx: { db: Db }, input: CreateIncomingPaymentInput): Promise<WalletAddress> {
  const walletAddress =
    input.walletAddress ??
    (input.walletAddressId === undefined
      ? undefined
      : await findWalletAddress(ctx, { tenantId: input.tenantId }, input.walletAddressId))
  if (!walletAddress || walletAddress.tenantId !== input.tenantId) throw unknownWalletAddress()
  if (!isActive(walletAddress)) throw inactiveWalletAddress()
  return walletAddress
}

/**
 * With POLL_INCOMING_PAYMENT_CREATED_WEBHOOK: waits, after the payment's transaction has ended, for the wallet to approve or cancel it. Throws
 * {@link IncomingPaymentRefusal} `action_not_performed` when it cancels or stays silent; the payment remains either way.
 */
export async function awaitIncomingPaymentApproval(
  ctx: {
    db: Db
    clock: Clock
    settings: {
      pollIncomingPaymentCreated: boolean
      incomingPaymentCreatedPollTimeoutMs: number
      incomingPaymentCreatedPollFrequencyMs: number
    }
  },
  payment: { id: string },
): Promise<void> {
  const { settings } = ctx
  if (!settings.pollIncomingPaymentCreated) return
  const deadlineMs = ctx.clock.nowMs() + settings.incomingPaymentCreatedPollTimeoutMs
  for (;;) {
    const decision = await findDecision(ctx.db, payment.id)
    if (decision === 'approved') return
    if (decision === 'cancelled' || ctx.clock.nowMs() >= deadlineMs)
      throw new IncomingPaymentRefusal('action_not_performed', {
        message:
          decision === 'cancelled'
            ? 'the incoming payment was cancelled'
            : 'the incoming payment was not approved in time',
      })
    await sleep(settings.incomingPaymentCreatedPollFrequencyMs)
  }
}
