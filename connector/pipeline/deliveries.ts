import { accountCode, isSuccess, type Ledger, tenantSurrogate } from '../../shared/ledger/index.ts'
import { assert, type Clock, isUuid } from '../../shared/platform/index.ts'
import type { LedgerAsset } from '../routing/index.ts'

/** An incoming payment as packets need it. Its id is its ledger account. */
export interface ReceivingPayment {
  id: string
  tenantId: string
  asset: LedgerAsset
  state: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'EXPIRED'
  incomingAmount?: bigint
  expiresAt: Date
}

export interface ReceivingPayments {
  /** `undefined`: unknown, or deleted. */
  findReceivingPayment(id: string): Promise<ReceivingPayment | undefined>
}

export interface DeliveriesContext {
  payments: ReceivingPayments
  ledger: Ledger
  clock: Clock
}

/**
 * Money on its way into one payment. What was received counts in memory from the ledger's figure on; what is being credited is
 * reserved, so that packets at the same time cannot all be "the one that reaches the amount".
 */
export interface Delivery {
  readonly payment: ReceivingPayment
  /** When the payment's state was read. A credit must be decided soon after that (`canReceive` of shared/incoming-payments). */
  readonly readAtMs: number
  /** The ledger account is there and its total is known. */
  open(): Promise<void>
  /** False when the payment has, or is about to have, all that it asked for. */
  reserve(amount: bigint): boolean
  /** `unchanged`: nothing was credited. `uncertain`: it may have been, now or before; the total is read again. */
  settle(amount: bigint, outcome: 'credited' | 'unchanged' | 'uncertain'): void
  /**
   * The received total, when it is one to record: the first money of a PENDING payment, or all that was asked for. The latter
   * only when nothing more is on its way, because the payment's end is announced with the total at that moment. Needs `open`.
   */
  takeReport(): bigint | undefined
}

export interface Deliveries {
  /** The payment with its state as it was at most {@link STATE_LIFE_MS} ago. */
  find(paymentId: string): Promise<Delivery | undefined>
  /** Its state has changed: the next packet reads it again. */
  forgetState(paymentId: string): void
}

const STATE_LIFE_MS = 500
/** Payments that are remembered. A forgotten one costs two lookups at its next packet. */
const DELIVERIES_MAX = 10_000

interface Entry extends Delivery {
  payment: ReceivingPayment
  readAtMs: number
  received: bigint
  reserved: bigint
  /** How often something was reserved: tells a reading of the ledger that it may be out of date. */
  reservations: number
  hasAccount: boolean
  /** The total in memory may be too low. It is read again when nothing is on its way. */
  needsReading: boolean
  reading: Promise<void> | undefined
  reported: boolean
}

export function createDeliveries(ctx: DeliveriesContext): Deliveries {
  // In order of use: the first is the one that was not needed for longest.
  const entries = new Map<string, Entry>()
  const reading = new Map<string, Promise<Entry | undefined>>()

  const remember = (id: string, entry: Entry) => {
    entries.delete(id)
    entries.set(id, entry)
    if (entries.size <= DELIVERIES_MAX) return
    for (const [oldId, old] of entries) {
      // One with money on its way stays: its reservation must be seen by the next packet.
      if (old.reserved > 0n) continue
      entries.delete(oldId)
      return
    }
  }

  const read = async (id: string): Promise<Entry | undefined> => {
    const readAtMs = ctx.clock.nowMs()
    const payment = await ctx.payments.findReceivingPayment(id)
    if (!payment) {
      entries.delete(id)
      return undefined
    }
    const entry = entries.get(id) ?? createEntry(ctx, payment)
    entry.payment = payment
    entry.readAtMs = readAtMs
    // Payments within this node credit the same account from other processes: the total is read again with the state.
    entry.needsReading = true
    remember(id, entry)
    return entry
  }

  return {
    async find(paymentId) {
      // Tags of other kinds, and what only looks like ours, are no incoming payments.
      if (!isUuid(paymentId)) return undefined
      const known = entries.get(paymentId)
      const ageMs = known ? ctx.clock.nowMs() - known.readAtMs : Number.NaN
      // A clock that was set back must not make a state live on.
      if (known && ageMs >= 0 && ageMs < STATE_LIFE_MS) return known
      let pending = reading.get(paymentId)
      if (!pending) {
        pending = read(paymentId).finally(() => reading.delete(paymentId))
        reading.set(paymentId, pending)
      }
      return await pending
    },
    forgetState(paymentId) {
      const entry = entries.get(paymentId)
      if (entry) entry.readAtMs = Number.NEGATIVE_INFINITY
    },
  }
}

function createEntry(ctx: DeliveriesContext, payment: ReceivingPayment): Entry {
  const entry: Entry = {
    payment,
    readAtMs: Number.NEGATIVE_INFINITY,
    received: 0n,
    reserved: 0n,
    reservations: 0,
    hasAccount: false,
    needsReading: true,
    reading: undefined,
    reported: false,
    async open() {
      if (!entry.reading && entry.needsReading && entry.reserved === 0n)
        entry.reading = readTotal(ctx, entry).finally(() => {
          entry.reading = undefined
        })
      await entry.reading
    },
    reserve(amount) {
      assert(entry.hasAccount, 'a payment is opened before money is reserved', entry.payment.id)
      const { incomingAmount } = entry.payment
      if (incomingAmount !== undefined && entry.received + entry.reserved >= incomingAmount) return false
      entry.reserved += amount
      entry.reservations++
      return true
    },
    settle(amount, outcome) {
      entry.reserved -= amount
      assert(entry.reserved >= 0n, 'what is settled was reserved', { reserved: entry.reserved, amount })
      if (outcome === 'credited') entry.received += amount
      if (outcome === 'uncertain') entry.needsReading = true
    },
    takeReport() {
      const { state, incomingAmount } = entry.payment
      const isFirst = state === 'PENDING' && !entry.reported && entry.received > 0n
      const isReached =
        incomingAmount !== undefined && entry.received >= incomingAmount && entry.reserved === 0n
      if (!isFirst && !isReached) return undefined
      entry.reported = true
      return entry.received
    },
  }
  return entry
}

/**
 * The ledger's total. The account is made with the first packet; that it exists already is as good. What is on its way may or may
 * not be in the figure, so a reading counts only if nothing was from its beginning to its end; otherwise the next one will.
 */
async function readTotal(ctx: DeliveriesContext, entry: Entry): Promise<void> {
  const { reservations, hasAccount } = entry
  const [account] = await Promise.all([
    ctx.ledger.lookupAccounts([entry.payment.id]).then(([found]) => found),
    hasAccount || createAccount(ctx, entry.payment),
  ])
  entry.hasAccount = true
  if (entry.reservations !== reservations) return
  // All that was ever credited: withdrawals do not make room for more.
  entry.received = account?.creditsPosted ?? 0n
  entry.needsReading = false
}

async function createAccount(
  ctx: DeliveriesContext,
  { id, tenantId, asset }: ReceivingPayment,
): Promise<void> {
  const [status] = await ctx.ledger.createAccounts([
    {
      id,
      ledger: asset.ledger,
      code: accountCode.incomingPayment,
      debitsMustNotExceedCredits: true,
      userData128: asset.id,
      userData64: tenantSurrogate(tenantId),
    },
  ])
  const exists = status !== undefined && (isSuccess(status) || status === 'exists_with_different_fields')
  assert(exists, 'an incoming payment gets its account', { id, status })
}
