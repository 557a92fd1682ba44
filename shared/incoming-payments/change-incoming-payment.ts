import type { Ledger } from '../ledger/index.ts'
import { type Cache, type Clock, type Db, isUuid } from '../platform/index.ts'
import type { TenantScope } from '../tenants/index.ts'
import {
  patchWalletAddressRow,
  type UpdateWalletAddressInput,
  type WalletAddress,
} from '../wallet-addresses/index.ts'
import { recordReceived } from './credits-store.ts'
import { IncomingPaymentRefusal } from './errors.ts'
import { ANNOUNCE_GRACE_MS, type IncomingPayment, type IncomingPaymentState } from './model.ts'
import { getIncomingPayment, unknownIncomingPayment } from './read-incoming-payments.ts'
import { closePayments, setMetadata, shortenOpenPayments, stampDecision } from './store.ts'

type Context = { db: Db; clock: Clock; ledger: Ledger }

/**
 * Closes an open payment by order of its client or its wallet. What arrived by then is announced after the grace of
 * `ANNOUNCE_GRACE_MS`, so that a packet in flight counts. Throws {@link IncomingPaymentRefusal} `unknown_incoming_payment` or `wrong_state`.
 */
export async function completeIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  id: string,
): Promise<IncomingPayment> {
  if (!isUuid(id)) throw unknownIncomingPayment()
  const now = ctx.clock.now()
  const closed = await closePayments(ctx.db, scope, {
    ids: [id],
    state: 'COMPLETED',
    reason: 'requested',
    processAt: new Date(now.getTime() + ANNOUNCE_GRACE_MS),
    now,
    unexpired: true,
  })
  const payment = await getIncomingPayment(ctx, scope, id)
  if (closed.length === 0)
    throw new IncomingPaymentRefusal('wrong_state', {
      message: 'the incoming payment is completed or expired already',
      details: { state: payment.state },
    })
  return payment
}

/**
 * After a credit was posted: the connector and local payments call this with the ledger's total. Repeats and late calls change
 * nothing. A call that is lost costs no money: a later credit, the reconciler or expiry makes it good.
 */
export async function recordIncomingProgress(
  ctx: { db: Db; clock: Clock },
  input: { incomingPaymentId: string; receivedAmount: bigint },
): Promise<{ changedTo?: IncomingPaymentState }> {
  const changedTo = await recordReceived(ctx.db, {
    id: input.incomingPaymentId,
    received: input.receivedAmount,
    now: ctx.clock.now(),
  })
  return changedTo === undefined ? {} : { changedTo }
}

async function decide(
  ctx: Context,
  scope: TenantScope,
  decision: { id: string; approve: boolean; reason?: string },
): Promise<IncomingPayment> {
  if (!isUuid(decision.id)) throw unknownIncomingPayment()
  await stampDecision(ctx.db, scope, { ...decision, now: ctx.clock.now() })
  const payment = await getIncomingPayment(ctx, scope, decision.id)
  if (decision.approve && payment.cancelledAt)
    throw new IncomingPaymentRefusal('already_cancelled', { message: 'the incoming payment is cancelled' })
  if (!decision.approve && payment.approvedAt)
    throw new IncomingPaymentRefusal('already_approved', { message: 'the incoming payment is approved' })
  if (!payment.approvedAt && !payment.cancelledAt)
    throw new IncomingPaymentRefusal('wrong_state', { message: 'the incoming payment is no longer pending' })
  return payment
}

/** Once, while pending; a repeat changes nothing. Throws {@link IncomingPaymentRefusal}. */
export const approveIncomingPayment = (
  ctx: Context,
  scope: TenantScope,
  id: string,
): Promise<IncomingPayment> => decide(ctx, scope, { id, approve: true })

/** Once, while pending; a repeat changes nothing. Throws {@link IncomingPaymentRefusal}. */
export const cancelIncomingPayment = (
  ctx: Context,
  scope: TenantScope,
  input: { id: string; reason?: string },
): Promise<IncomingPayment> => decide(ctx, scope, { ...input, approve: false })

/** Replaces the metadata. Throws {@link IncomingPaymentRefusal} `unknown_incoming_payment`. */
export async function updateIncomingPayment(
  ctx: Context,
  scope: TenantScope,
  input: { id: string; metadata: Record<string, unknown> },
): Promise<IncomingPayment> {
  const { db, clock } = ctx
  const updated = isUuid(input.id) && (await setMetadata(db, scope, { ...input, now: clock.now() }))
  if (!updated) throw unknownIncomingPayment()
  return await getIncomingPayment(ctx, scope, input.id)
}

/**
 * Changes a wallet address; fields that are absent stay. Deactivation lets open incoming payments receive for the grace period at
 * most (payments.md §4). It stands in this room because payments know of wallet addresses, not the other way round. Throws
 * WalletAddressRefusal.
 */
export async function updateWalletAddress(
  ctx: {
    db: Db
    cache: Cache
    clock: Clock
    settings: { walletAddressDeactivationGraceMs: number }
  },
  scope: TenantScope,
  input: UpdateWalletAddressInput,
): Promise<WalletAddress> {
  return await ctx.db.tx(async (db) => {
    const walletAddress = await patchWalletAddressRow({ ...ctx, db }, scope, input)
    if (input.status === 'INACTIVE')
      await shortenOpenPayments(db, {
        walletAddressId: walletAddress.id,
        latest: ctx.clock.fromNow(ctx.settings.walletAddressDeactivationGraceMs),
        now: ctx.clock.now(),
      })
    return walletAddress
  })
}
