import { type accountCode, type Ledger, type NewAccount, tenantSurrogate } from '../../shared/ledger/index.ts'
import { assert, type Clock, isUuid } from '../../shared/platform/index.ts'
import type { LedgerAsset } from '../routing/index.ts'

/**
 * Whom a packet pays: an incoming payment, or a wallet address, whose credentials SPSP gives out. Its id is its ledger account. A
 * wallet address takes any amount for as long as it is `ACTIVE`.
 */
export interface Payee {
  id: string
  tenantId: string
  asset: LedgerAsset
  state: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'EXPIRED' | 'ACTIVE' | 'INACTIVE'
  /** What its ledger account is for. */
  accountCode: typeof accountCode.incomingPayment | typeof accountCode.webMonetization
  incomingAmount?: bigint
  expiresAt?: Date
  /** Payments within this node, or another connector, credit it too: its total is not what this connector counts. */
  othersMayCredit?: boolean
}

export interface Payees {
  /** By the tag of its credentials. `undefined`: unknown, or deleted. */
  findPayee(id: string): Promise<Payee | undefined>
}

export interface DeliveriesContext {
  payees: Payees
  ledger: Ledger
  clock: Clock
}

/**
 * Money on its way to one payee. What was received counts in memory from the ledger's figure on; what is being credited is
 * reserved, so that packets at the same time cannot all be "the one that reaches the amount".
 */
export interface Delivery {
  readonly payee: Payee
  /** When the payee's state was read. A credit must be decided soon after that (`canReceive` of shared/incoming-payments). */
  readonly readAtMs: number
  /** The total on its ledger account is known. */
  open(): Promise<void>
  /** Its ledger account, as long as it may be missing: the first credit makes it. */
  newAccount(): NewAccount | undefined
  /**
   * `full`: the payee has, or is about to have, all that it asked for. `unclear`: it has if what may have been credited was, and that is not
   * known while other money is on its way. Only `reserved` reserves.
   */
  reserve(amount: bigint): 'reserved' | 'full' | 'unclear'
  /** It may be clear now, or can be read. */
  clearer(): Promise<void>
  /** `unchanged`: nothing was credited. `uncertain`: it may have been, now or before; the total is read again. */
  settle(amount: bigint, outcome: 'credited' | 'unchanged' | 'uncertain'): void
  /**
   * The received total, when it is one to record: the first money of a PENDING payment, or all that was asked for. The latter
   * only when nothing more is on its way, because the payment's end is announced with the total at that moment. Needs `open`.
   */
  takeReport(): bigint | undefined
  /** True once, for a payee that others credit: some of them may have counted alone until now, and missed the end. */
  takeSecondLook(): boolean
}

export interface Deliveries {
  /** The payee with its state as it was at most {@link STATE_LIFE_MS} ago. */
  find(payeeId: string): Promise<Delivery | undefined>
  /** Its state has changed: the next packet reads it again. */
  forgetState(payeeId: string): void
}

const STATE_LIFE_MS = 500
/** Payees that are remembered. A forgotten one costs two lookups at its next packet. */
const DELIVERIES_MAX = 10_000

interface Entry extends Delivery {
  payee: Payee
  readAtMs: number
  received: bigint
  reserved: bigint
  /** Credited perhaps, and perhaps not in `received`, until the total is read when nothing is on its way. */
  doubtful: bigint
  /** All that was ever reserved: tells a reading of the ledger what came in between. */
  everReserved: bigint
  isOpen: boolean
  hasAccount: boolean
  /** The total in memory may be too low. It is read again when nothing is on its way. */
  needsReading: boolean
  reading: Promise<void> | undefined
  clearing: PromiseWithResolvers<void> | undefined
  reported: boolean
  lookedAgain: boolean
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
    const payee = await ctx.payees.findPayee(id)
    if (!payee) {
      entries.delete(id)
      return undefined
    }
    const entry = entries.get(id) ?? createEntry(ctx, payee)
    entry.payee = payee
    entry.readAtMs = readAtMs
    // Payments within this node credit the same account from other processes: the total is read again with the state.
    entry.needsReading = true
    remember(id, entry)
    return entry
  }

  return {
    async find(payeeId) {
      // What only looks like a tag of ours names nobody.
      if (!isUuid(payeeId)) return undefined
      const known = entries.get(payeeId)
      const ageMs = known ? ctx.clock.nowMs() - known.readAtMs : Number.NaN
      // A clock that was set back must not make a state live on.
      if (known && ageMs >= 0 && ageMs < STATE_LIFE_MS) return known
      let pending = reading.get(payeeId)
      if (!pending) {
        pending = read(payeeId).finally(() => reading.delete(payeeId))
        reading.set(payeeId, pending)
      }
      return await pending
    },
    forgetState(payeeId) {
      const entry = entries.get(payeeId)
      if (entry) entry.readAtMs = Number.NEGATIVE_INFINITY
    },
  }
}

function createEntry(ctx: DeliveriesContext, payee: Payee): Entry {
  const entry: Entry = {
    payee,
    readAtMs: Number.NEGATIVE_INFINITY,
    received: 0n,
    reserved: 0n,
    doubtful: 0n,
    everReserved: 0n,
    isOpen: false,
    hasAccount: false,
    needsReading: true,
    reading: undefined,
    clearing: undefined,
    reported: false,
    lookedAgain: false,
    async open() {
      // Each needs a figure that is younger than its own question.
      if (isShared(entry.payee)) return await readTotal(ctx, entry)
      if (!entry.reading && entry.needsReading && entry.reserved === 0n)
        entry.reading = readTotal(ctx, entry).finally(() => {
          entry.reading = undefined
        })
      await entry.reading
    },
    newAccount: () => (entry.hasAccount ? undefined : accountOf(entry.payee)),
    reserve(amount) {
      assert(entry.isOpen, 'a payee is opened before money is reserved', entry.payee.id)
      const room = roomOf(entry)
      if (room !== 'open') return room
      entry.reserved += amount
      entry.everReserved += amount
      return 'reserved'
    },
    async clearer() {
      if (canClear(entry)) return
      entry.clearing ??= Promise.withResolvers()
      await entry.clearing.promise
    },
    settle(amount, outcome) {
      entry.reserved -= amount
      assert(entry.reserved >= 0n, 'what is settled was reserved', { reserved: entry.reserved, amount })
      if (outcome === 'credited') {
        entry.received += amount
        entry.hasAccount = true
      }
      if (outcome === 'uncertain') {
        entry.doubtful += amount
        entry.needsReading = true
      }
      if (!entry.clearing || !canClear(entry)) return
      entry.clearing.resolve()
      entry.clearing = undefined
    },
    takeReport() {
      const { state, incomingAmount } = entry.payee
      const isFirst = state === 'PENDING' && !entry.reported && entry.received > 0n
      const isReached =
        incomingAmount !== undefined && entry.received >= incomingAmount && entry.reserved === 0n
      if (!isFirst && !isReached) return undefined
      entry.reported = true
      return entry.received
    },
    takeSecondLook() {
      if (entry.lookedAgain || !isShared(entry.payee)) return false
      entry.lookedAgain = true
      return true
    },
  }
  return entry
}

function roomOf({ payee, received, reserved, doubtful }: Entry): 'open' | 'full' | 'unclear' {
  if (payee.incomingAmount === undefined || received + reserved + doubtful < payee.incomingAmount)
    return 'open'
  return received + reserved >= payee.incomingAmount ? 'full' : 'unclear'
}

const canClear = (entry: Entry): boolean => entry.reserved === 0n || roomOf(entry) !== 'unclear'

/** Only then somebody has to know when it is reached. */
const isShared = ({ othersMayCredit, incomingAmount }: Payee): boolean =>
  othersMayCredit === true && incomingAmount !== undefined

/**
 * The ledger's total. What is on its way may or may not be in the figure. If nothing was from its beginning to its end the figure
 * counts; otherwise at least what it says without that has been received, and the next reading will tell.
 */
async function readTotal(ctx: DeliveriesContext, entry: Entry): Promise<void> {
  const { everReserved, reserved } = entry
  const [account] = await ctx.ledger.lookupAccounts([entry.payee.id])
  entry.isOpen = true
  if (account) entry.hasAccount = true
  // All that was ever credited: withdrawals do not make room for more.
  const total = account?.creditsPosted ?? 0n
  const onItsWay = reserved + entry.everReserved - everReserved
  // Of several readings at once the last may be the oldest, and nothing that was received is ever taken back.
  if (total - onItsWay > entry.received) entry.received = total - onItsWay
  if (onItsWay > 0n) return
  entry.needsReading = false
  entry.doubtful = 0n
}

const accountOf = ({ id, tenantId, asset, accountCode: code }: Payee): NewAccount => ({
  id,
  ledger: asset.ledger,
  code,
  debitsMustNotExceedCredits: true,
  userData128: asset.id,
  userData64: tenantSurrogate(tenantId),
})
