import { type AssetRef, toMoneyAsset } from '../assets/index.ts'
import { accountCode, type NewAccount, tenantSurrogate } from '../ledger/index.ts'
import { type Amount, isSameAsset, toWireAmount } from '../money/index.ts'
import { present } from '../platform/index.ts'
import type { WalletAddress } from '../wallet-addresses/index.ts'
import { IncomingPaymentRefusal } from './errors.ts'

export const incomingPaymentStates = ['PENDING', 'PROCESSING', 'COMPLETED', 'EXPIRED'] as const
export type IncomingPaymentState = (typeof incomingPaymentStates)[number]
export const initiators = ['CARD', 'OPEN_PAYMENTS', 'ADMIN'] as const
export type Initiator = (typeof initiators)[number]

/** A promise to receive, and what has arrived on it. */
export interface IncomingPayment {
  id: string
  tenantId: string
  walletAddressId: string
  walletAddress: WalletAddress
  asset: AssetRef
  /** Who created it over Open Payments. */
  client?: string
  state: IncomingPaymentState
  /** Absent: any amount, until it is completed or expires. */
  incomingAmount?: Amount
  /** Always the ledger's figure: every credit that its account ever got. */
  receivedAmount: Amount
  metadata?: Record<string, unknown>
  initiatedBy: Initiator
  senderWalletAddress?: string
  expiresAt: Date
  approvedAt?: Date
  cancelledAt?: Date
  cancellationReason?: string
  createdAt: Date
  deletedAt?: Date
}

/** What a packet's decision needs to know; cheap to read. */
export interface ReceivingPayment {
  id: string
  tenantId: string
  state: IncomingPaymentState
  asset: AssetRef
  incomingAmount?: bigint
  expiresAt: Date
  /** For a connector: payments of this node, or another connector, are registered as its creditors too. */
  othersMayCredit?: boolean
}

export const isFinal = (state: IncomingPaymentState): boolean => state === 'COMPLETED' || state === 'EXPIRED'

/**
 * Whether money may still be credited. Past `expiresAt` the answer is no, even before the worker has closed the row. Decide on a
 * row read at most {@link CREDIT_DECISION_AGE_MAX_MS} ago.
 */
export const canReceive = (payment: Pick<ReceivingPayment, 'state' | 'expiresAt'>, now: Date): boolean =>
  !isFinal(payment.state) && payment.expiresAt > now

/**
 * The rule between credits and closing. A connector may post a credit only on a row that it read as open less than this ago;
 * a close that no packet caused is announced only after the longer {@link ANNOUNCE_GRACE_MS}. So a credit that was decided
 * before the close has reached the ledger before its total is read, and no money arrives behind the event's back. A credit that
 * reaches the amount closes the payment by itself and the event goes out at once, when nobody else can be crediting: creditors of
 * either kind are registered on the row before their first credit. A packet's connector refuses all later ones, so it waits only
 * where payments of this node (`expectLocalCredits`) or another connector are registered; a local payment waits only where packets
 * or other local credits are.
 *
 * The grace is short because a ledger call mostly takes milliseconds. One that hangs, a process that was stopped between decision
 * and call, or clocks that disagree can carry a credit past it all the same. So an end that others may have been crediting is
 * looked at once more, {@link LATE_CREDIT_MS} after it was announced, which is longer than any call to the ledger lives; what came
 * behind the announcement is then announced by an event of its own, with an amount of its own.
 */
export const CREDIT_DECISION_AGE_MAX_MS = 1_000
export const ANNOUNCE_GRACE_MS = 2_000
export const LATE_CREDIT_MS = 30_000

/** The payment's account; made when the first money comes. */
export const incomingPaymentAccount = (
  payment: Pick<ReceivingPayment, 'id' | 'tenantId' | 'asset'>,
): NewAccount => ({
  id: payment.id,
  ledger: payment.asset.ledger,
  code: accountCode.incomingPayment,
  debitsMustNotExceedCredits: true,
  userData128: payment.asset.id,
  userData64: tenantSurrogate(payment.tenantId),
})

/** Throws {@link IncomingPaymentRefusal} `invalid_amount`. */
export function checkIncomingAmount(amount: Amount | undefined, asset: AssetRef): void {
  if (!amount) return
  const invalid = (message: string) => new IncomingPaymentRefusal('invalid_amount', { message })
  if (!isSameAsset(amount, toMoneyAsset(asset)))
    throw invalid('incomingAmount must be in the asset of the wallet address')
  if (amount.value <= 0n) throw invalid('incomingAmount must be greater than 0')
}

/** The given expiry, or the latest allowed. Throws {@link IncomingPaymentRefusal} `invalid_expiry`. */
export function expiryOf(expiresAt: Date | undefined, limits: { now: Date; maxMs: number }): Date {
  const latest = new Date(limits.now.getTime() + limits.maxMs)
  if (!expiresAt) return latest
  // NaN fails both comparisons, so an invalid date is refused too.
  if (!(expiresAt > limits.now && expiresAt <= latest))
    throw new IncomingPaymentRefusal('invalid_expiry', {
      message: `expiresAt must be in the future and at most ${limits.maxMs} ms away`,
    })
  return expiresAt
}

/** The row as the worker sees it. */
export interface OpenOrClosed {
  state: IncomingPaymentState
  incomingAmount?: Amount
  expiresAt: Date
  /** When the next step is due. */
  processAt: Date
  announcedAt?: Date
  deletedAt?: Date
  /** Packets or local payments were about to credit it at some time. */
  hasCreditors: boolean
  /** All its credits are decided in one place, and none is under way there. */
  hasOneCreditor: boolean
  /** It was closed because its amount was in the ledger. */
  isFull: boolean
}

export type Step =
  /** The end was told. Money that has come since is told as well. */
  | { kind: 'look_again' }
  | { kind: 'wait'; until: Date }
  | { kind: 'close'; state: 'COMPLETED' | 'EXPIRED' }
  /** Tell the wallet and say what it may withdraw. */
  | { kind: 'announce'; type: 'incoming_payment.completed' | 'incoming_payment.expired' }
  /** Nothing arrived: there is nothing to tell. An expired payment disappears. */
  | { kind: 'finish'; hide: boolean }

/** What to do next, from the row, the ledger's total and the time. */
export function nextStep(payment: OpenOrClosed, received: bigint, now: Date): Step {
  if (payment.announcedAt || payment.deletedAt) return { kind: 'look_again' }
  if (!isFinal(payment.state)) {
    if (payment.incomingAmount && received >= payment.incomingAmount.value)
      return { kind: 'close', state: 'COMPLETED' }
    return payment.expiresAt <= now
      ? { kind: 'close', state: 'EXPIRED' }
      : { kind: 'wait', until: payment.expiresAt }
  }
  if (payment.processAt > now) return { kind: 'wait', until: payment.processAt }
  if (received === 0n) return { kind: 'finish', hide: payment.state === 'EXPIRED' }
  return {
    kind: 'announce',
    type: payment.state === 'COMPLETED' ? 'incoming_payment.completed' : 'incoming_payment.expired',
  }
}

/** Whether a credit that was decided before the end may still be on its way when the end is announced. */
export function mayBeCredited(payment: OpenOrClosed, received: bigint): boolean {
  const { incomingAmount, hasCreditors, hasOneCreditor } = payment
  if (received === 0n) return hasCreditors
  return !(hasOneCreditor && incomingAmount !== undefined && received >= incomingAmount.value)
}

/** `data` of the `incoming_payment.*` events (webhooks.md §3). */
export const toWebhookData = (payment: IncomingPayment): Record<string, unknown> => ({
  id: payment.id,
  walletAddressId: payment.walletAddressId,
  createdAt: payment.createdAt.toISOString(),
  expiresAt: payment.expiresAt.toISOString(),
  receivedAmount: toWireAmount(payment.receivedAmount),
  completed: payment.state === 'COMPLETED',
  ...present({
    client: payment.client,
    incomingAmount: payment.incomingAmount && toWireAmount(payment.incomingAmount),
    metadata: payment.metadata,
    approvedAt: payment.approvedAt?.toISOString(),
    cancelledAt: payment.cancelledAt?.toISOString(),
    deletedAt: payment.deletedAt?.toISOString(),
  }),
})

const withoutSlash = (url: string) => url.replace(/\/+$/, '')

/** The payment's public id: a URL below OPEN_PAYMENTS_URL (routes.md §1). */
export const incomingPaymentUrl = (
  openPaymentsUrl: string,
  payment: { id: string; tenantId: string },
): string => `${withoutSlash(openPaymentsUrl)}/${payment.tenantId}/incoming-payments/${payment.id}`
