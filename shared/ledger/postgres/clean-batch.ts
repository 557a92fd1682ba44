import { transferRefusal } from '../checks.ts'
import { type LedgerId, type PendingTransfer, type TransferEvent, ZERO_ID } from '../port.ts'
import { type Bits, hasBit, setBit, zeroBits } from './binary.ts'
import type { Hold, Reservation, Reservations } from './reservations.ts'

/** Sums beyond do not fit the parameters; such a batch takes the other path. */
const BIGINT_MAX = 2n ** 63n - 1n
const KIND = { posted: 0, pending: 1, post: 2, void: 3 } as const
const LINKED = 4
const CODE_SHIFT = 3

/** What a batch does to one account, and which of its transfers an account or tag takes part in. */
export interface Subject {
  id: LedgerId
  /** 0: not an account. */
  ledger: number
  /** From 1, accounts first. */
  place: number
  debitsPending: bigint
  debitsPosted: bigint
  creditsPending: bigint
  creditsPosted: bigint
  /** How much more (or less) than before the batch can be debited and credited at this point of it. */
  debitRoom: bigint
  creditRoom: bigint
  /** The least room that the batch must find, for each of its events to pass in its turn. */
  debitNeed: bigint
  creditNeed: bigint
  /** Places of transfers in the batch, from 0. */
  debits: number[]
  credits: number[]
  tagged: number[]
}

export interface NewHold {
  ledger: number
  timeoutSeconds: number
  /** Places of its transfers in the batch, from 0. */
  members: number[]
}

interface Resolution {
  posted: Bits
  voided: Bits
}

/** A batch of which every event should succeed, summed up per account. */
export interface CleanBatch {
  events: readonly TransferEvent[]
  /** Of all amounts; nothing in the batch exceeds it. */
  total: bigint
  subjects: Map<LedgerId, Subject>
  newHolds: NewHold[]
  resolutions: Map<Hold, Resolution>
  /** Per event, what is stored. */
  debit: Subject[]
  credit: Subject[]
  tag: (Subject | undefined)[]
  meta: number[]
  amount: bigint[]
  userData64: bigint[]
  userData32: number[]
  pendingId: (LedgerId | undefined)[]
  /** Of pending transfers: seconds, place in {@link newHolds} from 1, and bit there. */
  timeout: (number | undefined)[]
  hold: (number | undefined)[]
  bit: (number | undefined)[]
}

function subjectOf(batch: CleanBatch, id: LedgerId): Subject {
  const known = batch.subjects.get(id)
  if (known) return known
  const subject: Subject = {
    id,
    ledger: 0,
    place: 0,
    debitsPending: 0n,
    debitsPosted: 0n,
    creditsPending: 0n,
    creditsPosted: 0n,
    debitRoom: 0n,
    creditRoom: 0n,
    debitNeed: 0n,
    creditNeed: 0n,
    debits: [],
    credits: [],
    tagged: [],
  }
  batch.subjects.set(id, subject)
  return subject
}

/**
 * Sums up what the events do. `undefined` when one of them cannot be part of a clean batch: it is refused by itself, or it
 * closes an account, or it
 * posts or voids what this process does not know to be open. Two events with one id are found by the ledger's key.
 */
export function planClean(
  events: readonly TransferEvent[],
  reservations: Reservations,
): CleanBatch | undefined {
  if (events.at(-1)?.linked) return undefined
  const batch: CleanBatch = {
    events,
    total: 0n,
    subjects: new Map(),
    newHolds: [],
    resolutions: new Map(),
    debit: [],
    credit: [],
    tag: [],
    meta: [],
    amount: [],
    userData64: [],
    userData32: [],
    pendingId: [],
    timeout: [],
    hold: [],
    bit: [],
  }
  for (let index = 0; index < events.length; index++)
    if (!addEvent(batch, events[index] as TransferEvent, index, reservations)) return undefined
  return batch
}

function addEvent(
  batch: CleanBatch,
  event: TransferEvent,
  index: number,
  reservations: Reservations,
): boolean {
  if (event.kind === 'close' || transferRefusal(event)) return false
  const isMovement = event.kind === 'posted' || event.kind === 'pending'
  const movement = isMovement ? event : reservations.get(event.pendingId)
  if (!movement) return false
  batch.total += movement.amount
  if (batch.total > BIGINT_MAX) return false
  const debit = subjectOf(batch, movement.debitAccountId)
  const credit = subjectOf(batch, movement.creditAccountId)
  if (!isOnLedger(debit, movement.ledger) || !isOnLedger(credit, movement.ledger)) return false
  if (isMovement) addMovement(debit, credit, event)
  else if (!addResolution(batch, debit, credit, event, movement as Reservation)) return false

  const inherited = isMovement ? undefined : movement
  batch.meta.push(KIND[event.kind] + (event.linked ? LINKED : 0) + (movement.code << CODE_SHIFT))
  batch.amount.push(event.kind === 'post' ? (event.amount ?? movement.amount) : movement.amount)
  batch.userData64.push(event.userData64 || (inherited?.userData64 ?? 0n))
  batch.userData32.push((event.userData32 || (inherited?.userData32 ?? 0)) | 0)
  batch.pendingId.push(inherited?.id)
  if (event.kind === 'pending') addToHold(batch, event, index)
  else {
    batch.timeout.push(undefined)
    batch.hold.push(undefined)
    batch.bit.push(undefined)
  }
  const tag = event.userData128 && event.userData128 !== ZERO_ID ? event.userData128 : inherited?.userData128
  addSubjects(batch, debit, credit, tag, index)
  return true
}

function addSubjects(
  batch: CleanBatch,
  debit: Subject,
  credit: Subject,
  tag: LedgerId | undefined,
  index: number,
): void {
  const tagged = tag === undefined || tag === ZERO_ID ? undefined : subjectOf(batch, tag)
  debit.debits.push(index)
  credit.credits.push(index)
  tagged?.tagged.push(index)
  batch.debit.push(debit)
  batch.credit.push(credit)
  batch.tag.push(tagged)
}

/** False when the batch has the account on another ledger too. */
function isOnLedger(account: Subject, ledger: number): boolean {
  if (account.ledger === 0) account.ledger = ledger
  return account.ledger === ledger
}

function addMovement(
  debit: Subject,
  credit: Subject,
  event: Extract<TransferEvent, { kind: 'posted' | 'pending' }>,
): void {
  const { amount } = event
  debit.debitRoom -= amount
  if (-debit.debitRoom > debit.debitNeed) debit.debitNeed = -debit.debitRoom
  credit.creditRoom -= amount
  if (-credit.creditRoom > credit.creditNeed) credit.creditNeed = -credit.creditRoom
  if (event.kind === 'posted') {
    debit.debitsPosted += amount
    debit.creditRoom += amount
    credit.creditsPosted += amount
    credit.debitRoom += amount
  } else {
    debit.debitsPending += amount
    credit.creditsPending += amount
  }
}

function addToHold(batch: CleanBatch, event: PendingTransfer, index: number): void {
  const { ledger, timeoutSeconds } = event
  let place = batch.newHolds.findIndex(
    (hold) => hold.ledger === ledger && hold.timeoutSeconds === timeoutSeconds,
  )
  if (place < 0) place = batch.newHolds.push({ ledger, timeoutSeconds, members: [] }) - 1
  const { members } = batch.newHolds[place] as NewHold
  batch.timeout.push(timeoutSeconds)
  batch.hold.push(place + 1)
  batch.bit.push(members.push(index) - 1)
}

/** False when the post exceeds what was reserved, or the batch has posted or voided it already. */
function addResolution(
  batch: CleanBatch,
  debit: Subject,
  credit: Subject,
  event: Extract<TransferEvent, { kind: 'post' | 'void' }>,
  reservation: Reservation,
): boolean {
  const { hold, bit, amount: reserved } = reservation
  const moved = event.kind === 'void' ? 0n : (event.amount ?? reserved)
  if (moved > reserved) return false
  let resolution = batch.resolutions.get(hold)
  if (!resolution) {
    resolution = { posted: zeroBits(hold.size), voided: zeroBits(hold.size) }
    batch.resolutions.set(hold, resolution)
  }
  if (hasBit(resolution.posted, bit) || hasBit(resolution.voided, bit)) return false
  setBit(event.kind === 'post' ? resolution.posted : resolution.voided, bit)
  debit.debitsPending -= reserved
  debit.debitsPosted += moved
  debit.debitRoom += reserved - moved
  debit.creditRoom += moved
  credit.creditsPending -= reserved
  credit.creditsPosted += moved
  credit.debitRoom += moved
  credit.creditRoom += reserved - moved
  return true
}

/** A hold goes by the id of its first transfer. */
export const holdId = (batch: CleanBatch, hold: NewHold): LedgerId =>
  (batch.events[hold.members[0] as number] as TransferEvent).id

/** After the batch was applied: remembers what it reserved, forgets what it posted and voided. */
export function noteApplied(batch: CleanBatch, reservations: Reservations): void {
  for (const newHold of batch.newHolds) {
    const hold: Hold = { id: holdId(batch, newHold), size: newHold.members.length }
    for (const [bit, place] of newHold.members.entries())
      reservations.add(batch.events[place] as PendingTransfer, hold, bit)
  }
  for (const id of batch.pendingId) if (id !== undefined) reservations.remove(id)
}
