import { transferRefusal } from '../checks.ts'
import {
  type CloseTransfer,
  type LedgerId,
  movementOfClose,
  type PendingTransfer,
  type TransferEvent,
  ZERO_ID,
} from '../port.ts'
import { type Bits, hasBit, setBit, zeroBits } from './binary.ts'
import { type Hold, type Reservation, type Reservations, reservedBy } from './reservations.ts'

/** Sums beyond do not fit the parameters; such a batch takes the other path. */
const BIGINT_MAX = 2n ** 63n - 1n
const KIND = { posted: 0, pending: 1, post: 2, void: 3, close: 4 } as const
const LINKED = 8
const CODE_SHIFT = 4

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
  /** Whether the batch must find it closed, and whether it is closed at this point of it; `undefined`: no matter. */
  foundClosed: boolean | undefined
  closed: boolean | undefined
  /** Places of transfers in the batch, from 0. */
  debits: number[]
  credits: number[]
  tagged: number[]
}

export interface NewHold {
  ledger: number
  /** Closing transfers have no end. */
  timeoutSeconds: number | undefined
  /** Places of its transfers in the batch, from 0. */
  members: number[]
}

interface Resolution {
  hold: Hold
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
  /** By the id of the hold. */
  resolutions: Map<LedgerId, Resolution>
  /** Per event, what is stored. */
  debit: Subject[]
  credit: Subject[]
  tag: (Subject | undefined)[]
  meta: number[]
  amount: bigint[]
  userData64: bigint[]
  userData32: number[]
  pendingId: (LedgerId | undefined)[]
  /** Of pending and closing transfers: seconds, place in {@link newHolds} from 1, and bit there. */
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
    foundClosed: undefined,
    closed: undefined,
    debits: [],
    credits: [],
    tagged: [],
  }
  batch.subjects.set(id, subject)
  return subject
}

/**
 * Sums up what the events do. `undefined` when one of them cannot be part of a clean batch: it is refused by itself, or it
 * names an account that the batch has closed, or it posts or voids what this process does not know to be open. Two events with
 * one id are found by the ledger's key.
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
  if (transferRefusal(event)) return false
  const reserved = 'pendingId' in event ? reservations.get(event.pendingId) : undefined
  const movement = 'pendingId' in event ? reserved : event.kind === 'close' ? movementOfClose(event) : event
  if (!movement) return false
  batch.total += movement.amount
  if (batch.total > BIGINT_MAX) return false
  const debit = subjectOf(batch, movement.debitAccountId)
  const credit = subjectOf(batch, movement.creditAccountId)
  if (!isOnLedger(debit, movement.ledger) || !isOnLedger(credit, movement.ledger)) return false
  if (!mayPass(debit, credit, event, reserved)) return false
  if (event.kind === 'posted' || event.kind === 'pending') addMovement(debit, credit, event)
  else if (event.kind !== 'close' && !addResolution(batch, debit, credit, event, reserved as Reservation))
    return false

  batch.meta.push(KIND[event.kind] + (event.linked ? LINKED : 0) + (movement.code << CODE_SHIFT))
  batch.amount.push(event.kind === 'post' ? (event.amount ?? movement.amount) : movement.amount)
  batch.userData64.push(event.userData64 || (reserved?.userData64 ?? 0n))
  batch.userData32.push((event.userData32 || (reserved?.userData32 ?? 0)) | 0)
  batch.pendingId.push(reserved?.id)
  if (event.kind === 'pending' || event.kind === 'close') addToHold(batch, event, index)
  else {
    batch.timeout.push(undefined)
    batch.hold.push(undefined)
    batch.bit.push(undefined)
  }
  const tag = event.userData128 && event.userData128 !== ZERO_ID ? event.userData128 : reserved?.userData128
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

/** False when the batch has it in the other state at this point. */
function isClosedHere(account: Subject, closed: boolean): boolean {
  if (account.closed === undefined) {
    account.foundClosed = closed
    account.closed = closed
  }
  return account.closed === closed
}

/** Whether accounts are open, or closed, as the event needs them, and what it makes of them. Of reservations, a void always passes. */
function mayPass(
  debit: Subject,
  credit: Subject,
  event: TransferEvent,
  reserved: Reservation | undefined,
): boolean {
  if (event.kind === 'void') {
    if (reserved?.kind !== 'close') return true
    if (!isClosedHere(credit, true)) return false
    credit.closed = false
    return true
  }
  if (!isClosedHere(debit, false) || !isClosedHere(credit, false)) return false
  if (event.kind === 'close') credit.closed = true
  return true
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

function addToHold(batch: CleanBatch, event: PendingTransfer | CloseTransfer, index: number): void {
  const { ledger } = event
  const timeoutSeconds = event.kind === 'close' ? undefined : event.timeoutSeconds
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
  let resolution = batch.resolutions.get(hold.id)
  if (!resolution) {
    resolution = { hold, posted: zeroBits(hold.size), voided: zeroBits(hold.size) }
    batch.resolutions.set(hold.id, resolution)
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
      reservations.add(reservedBy(batch.events[place] as PendingTransfer | CloseTransfer), hold, bit)
  }
  for (const id of batch.pendingId) if (id !== undefined) reservations.remove(id)
}
