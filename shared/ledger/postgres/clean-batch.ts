import { transferRefusal } from '../checks.ts'
import { type LedgerId, type PendingTransfer, type TransferEvent, ZERO_ID } from '../port.ts'
import {
  type Bits,
  bigintArray,
  bitsArray,
  bytesArray,
  hasBit,
  integerArray,
  oneBits,
  setBit,
  textArray,
  uuidArray,
  uuidOffset,
  zeroBits,
} from './binary.ts'
import { placeholders } from './ordered-batch.ts'
import type { Hold, Reservation, Reservations } from './reservations.ts'

export const APPLY_CLEAN = `select ledger.apply_clean(${placeholders(30)}) as batch`

const KIND = { posted: 0, pending: 1, post: 2, void: 3 } as const
const LINKED = 4
const CODE_SHIFT = 3
const ID_BYTES = 16

/** What a batch does to one account, and which of its transfers an account or tag takes part in. */
interface Subject {
  id: LedgerId
  /** 0: not an account. */
  ledger: number
  /** From 1, accounts first. */
  place: number
  debitsPending: bigint
  debitsPosted: bigint
  creditsPending: bigint
  creditsPosted: bigint
  /** How much less (or more) than before the batch can be debited and credited at this point of it. */
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

interface NewHold {
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
  subjects: Map<LedgerId, Subject>
  /** Per event. */
  debit: Subject[]
  credit: Subject[]
  tag: (Subject | undefined)[]
  resolved: (Reservation | undefined)[]
  /** Place in {@link newHolds} from 1, and bit; 0 for others than pending transfers. */
  hold: number[]
  bit: number[]
  newHolds: NewHold[]
  resolutions: Map<Hold, Resolution>
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
 * posts or voids what this process does not know to be open. Two events with one id are found by the ledger's key.
 */
export function planClean(
  events: readonly TransferEvent[],
  reservations: Reservations,
): CleanBatch | undefined {
  if (events.at(-1)?.linked) return undefined
  const batch: CleanBatch = {
    events,
    subjects: new Map(),
    debit: [],
    credit: [],
    tag: [],
    resolved: [],
    hold: [],
    bit: [],
    newHolds: [],
    resolutions: new Map(),
  }
  for (const [index, event] of events.entries()) {
    if (transferRefusal(event)) return undefined
    const reservation = 'pendingId' in event ? reservations.get(event.pendingId) : undefined
    if (event.kind === 'posted' || event.kind === 'pending') {
      if (!addMovement(batch, event, index)) return undefined
    } else if (!reservation || !addResolution(batch, event, reservation, index)) return undefined
    const tag = tagOf(event, reservation)
    const tagged = tag === ZERO_ID ? undefined : subjectOf(batch, tag)
    tagged?.tagged.push(index)
    batch.tag.push(tagged)
    batch.resolved.push(reservation)
  }
  return batch
}

const tagOf = (event: TransferEvent, reservation: Reservation | undefined): LedgerId => {
  const own = event.userData128
  return (own === ZERO_ID ? undefined : own) ?? reservation?.transfer.userData128 ?? ZERO_ID
}

/** Notes the transfer with its accounts; false when an account would be on two ledgers. */
function addParties(
  batch: CleanBatch,
  parties: { debitAccountId: LedgerId; creditAccountId: LedgerId; ledger: number },
  index: number,
): boolean {
  const debit = subjectOf(batch, parties.debitAccountId)
  const credit = subjectOf(batch, parties.creditAccountId)
  debit.debits.push(index)
  credit.credits.push(index)
  batch.debit.push(debit)
  batch.credit.push(credit)
  for (const subject of [debit, credit]) {
    if (subject.ledger !== 0 && subject.ledger !== parties.ledger) return false
    subject.ledger = parties.ledger
  }
  return true
}

function addMovement(
  batch: CleanBatch,
  event: Extract<TransferEvent, { kind: 'posted' | 'pending' }>,
  index: number,
): boolean {
  if (!addParties(batch, event, index)) return false
  const { amount } = event
  const debit = batch.debit[index] as Subject
  const credit = batch.credit[index] as Subject
  debit.debitRoom -= amount
  if (-debit.debitRoom > debit.debitNeed) debit.debitNeed = -debit.debitRoom
  credit.creditRoom -= amount
  if (-credit.creditRoom > credit.creditNeed) credit.creditNeed = -credit.creditRoom
  if (event.kind === 'posted') {
    debit.debitsPosted += amount
    debit.creditRoom += amount
    credit.creditsPosted += amount
    credit.debitRoom += amount
    batch.hold.push(0)
    batch.bit.push(0)
  } else {
    debit.debitsPending += amount
    credit.creditsPending += amount
    addToHold(batch, event, index)
  }
  return true
}

function addToHold(batch: CleanBatch, event: PendingTransfer, index: number): void {
  const { ledger, timeoutSeconds } = event
  let place = batch.newHolds.findIndex(
    (hold) => hold.ledger === ledger && hold.timeoutSeconds === timeoutSeconds,
  )
  if (place < 0) place = batch.newHolds.push({ ledger, timeoutSeconds, members: [] }) - 1
  const { members } = batch.newHolds[place] as NewHold
  batch.hold.push(place + 1)
  batch.bit.push(members.push(index) - 1)
}

function addResolution(
  batch: CleanBatch,
  event: Extract<TransferEvent, { kind: 'post' | 'void' }>,
  reservation: Reservation,
  index: number,
): boolean {
  const { transfer, hold, bit } = reservation
  const amount = postedAmount(event, transfer)
  if (amount > transfer.amount || !addParties(batch, transfer, index)) return false
  batch.hold.push(0)
  batch.bit.push(0)

  let resolution = batch.resolutions.get(hold)
  if (!resolution) {
    resolution = { posted: zeroBits(hold.size), voided: zeroBits(hold.size) }
    batch.resolutions.set(hold, resolution)
  }
  if (hasBit(resolution.posted, bit) || hasBit(resolution.voided, bit)) return false
  setBit(event.kind === 'post' ? resolution.posted : resolution.voided, bit)

  const debit = batch.debit[index] as Subject
  const credit = batch.credit[index] as Subject
  debit.debitsPending -= transfer.amount
  debit.debitsPosted += amount
  debit.debitRoom += transfer.amount - amount
  debit.creditRoom += amount
  credit.creditsPending -= transfer.amount
  credit.creditsPosted += amount
  credit.debitRoom += amount
  credit.creditRoom += transfer.amount - amount
  return true
}

/** What moves: nothing when voided. */
const postedAmount = (
  event: Extract<TransferEvent, { kind: 'post' | 'void' }>,
  pending: PendingTransfer,
): bigint => (event.kind === 'void' ? 0n : (event.amount ?? pending.amount))

/** The parameters of {@link APPLY_CLEAN}. */
export function encodeClean(batch: CleanBatch, now: Date | undefined): unknown[] {
  const { events, resolved } = batch
  const all = [...batch.subjects.values()]
  const accounts = all.filter((subject) => subject.ledger !== 0)
  const subjects = accounts.concat(all.filter((subject) => subject.ledger === 0))
  for (const [index, subject] of subjects.entries()) subject.place = index + 1
  const ids = uuidArray(events.map((event) => event.id))
  const idsAt = (places: readonly number[]): Buffer => {
    const list = Buffer.allocUnsafe(places.length * ID_BYTES)
    for (const [index, place] of places.entries())
      ids.copy(list, index * ID_BYTES, uuidOffset(place), uuidOffset(place) + ID_BYTES)
    return list
  }
  const pendingOf = (index: number) => resolved[index]?.transfer
  const resolutions = [...batch.resolutions.entries()]
  return [
    now ?? null,
    uuidArray(subjects.map((subject) => subject.id)),
    integerArray(accounts.map((account) => account.ledger)),
    textArray(accounts.map((account) => account.debitsPending)),
    textArray(accounts.map((account) => account.debitsPosted)),
    textArray(accounts.map((account) => account.creditsPending)),
    textArray(accounts.map((account) => account.creditsPosted)),
    textArray(accounts.map((account) => account.debitNeed)),
    textArray(accounts.map((account) => account.creditNeed)),
    bytesArray(subjects.map((subject) => idsAt(subject.debits))),
    bytesArray(subjects.map((subject) => idsAt(subject.credits))),
    bytesArray(subjects.map((subject) => idsAt(subject.tagged))),
    ids,
    integerArray(events.map((event, index) => metaOf(event, pendingOf(index)))),
    integerArray(batch.debit.map((subject) => subject.place)),
    integerArray(batch.credit.map((subject) => subject.place)),
    integerArray(batch.tag.map((subject) => subject?.place ?? 0)),
    bigintArray(events.map((event, index) => storedAmount(event, pendingOf(index)))),
    bigintArray(events.map((event, index) => event.userData64 || (pendingOf(index)?.userData64 ?? 0n))),
    integerArray(events.map((event, index) => (event.userData32 || (pendingOf(index)?.userData32 ?? 0)) | 0)),
    integerArray(batch.hold),
    integerArray(batch.bit),
    uuidArray(resolved.map((reservation) => reservation?.transfer.id)),
    integerArray(batch.newHolds.map((hold) => hold.ledger)),
    integerArray(batch.newHolds.map((hold) => hold.timeoutSeconds)),
    bitsArray(batch.newHolds.map((hold) => oneBits(hold.members.length))),
    bytesArray(batch.newHolds.map((hold) => idsAt(hold.members))),
    bigintArray(resolutions.map(([hold]) => BigInt(hold.id))),
    bitsArray(resolutions.map(([, resolution]) => resolution.posted)),
    bitsArray(resolutions.map(([, resolution]) => resolution.voided)),
  ]
}

function metaOf(event: TransferEvent, pending: PendingTransfer | undefined): number {
  const code = 'code' in event ? event.code : (pending?.code ?? 0)
  return KIND[event.kind] + (event.linked ? LINKED : 0) + (code << CODE_SHIFT)
}

/** A void carries the amount that it releases. */
const storedAmount = (event: TransferEvent, pending: PendingTransfer | undefined): bigint =>
  ('amount' in event ? event.amount : undefined) ?? pending?.amount ?? 0n

/** After the batch was applied: remembers what it reserved, forgets what it posted and voided. */
export function noteApplied(batch: CleanBatch, number: number, reservations: Reservations): void {
  for (const [index, newHold] of batch.newHolds.entries()) {
    const hold: Hold = { id: number * 1024 + index + 1, size: newHold.members.length }
    for (const [bit, place] of newHold.members.entries())
      reservations.add({ hold, bit, transfer: { ...(batch.events[place] as PendingTransfer) } })
  }
  for (const reservation of batch.resolved) if (reservation) reservations.remove(reservation.transfer.id)
}
