import {
  type Arena,
  bigintArray,
  bitsArray,
  idListArray,
  integerArray,
  oneBits,
  placeholders,
  resetArena,
  uuidArray,
} from './binary.ts'
import { type CleanBatch, holdId, type NewHold, type Subject } from './clean-batch.ts'
import { ACCOUNT_PARAMETERS } from './ordered-batch.ts'

const PARAMETERS = 34
export const APPLY_CLEAN = `select ledger.apply_clean(${placeholders(PARAMETERS)}) as applied`

/**
 * The accounts that the batch needs, and then the batch, unless one of them is refused: `accounts` says so then, and `applied` is null.
 * The locks of both are taken first, in the order in which everybody takes them (128 is that of accounts). Each part is what the next
 * one waits for, so nothing but this order is possible. The parameters are those of {@link APPLY_CLEAN}, and those of CREATE_ACCOUNTS
 * without their first, which is the same.
 */
export const APPLY_CLEAN_WITH_ACCOUNTS = `
  select made.statuses as accounts,
    case when made.statuses ~ '^(created|exists)(,(created|exists))*$'
      then ledger.apply_clean(${placeholders(PARAMETERS)}) end as applied
  from (
    select case when ledger.take_locks($2::integer[] || 128) is not null
      then ledger.create_accounts($1, ${placeholders(ACCOUNT_PARAMETERS - 1, PARAMETERS)}) end as statuses
    offset 0
  ) made`

/** Ledgers share so many locks (ledger.locks_of). */
const LOCKS = 128

const locksOf = (accounts: readonly Subject[]): number[] =>
  [...new Set(accounts.map((account) => account.ledger % LOCKS))].sort((a, b) => a - b)

const placesOf = (subjects: readonly (Subject | undefined)[]): number[] =>
  subjects.map((subject) => subject?.place ?? 0)

/** As p_closed of `ledger.apply_clean` has it. */
const closedBits = ({ foundClosed, closed }: Subject): number | undefined =>
  foundClosed === undefined ? undefined : (foundClosed ? 2 : 0) + (closed ? 1 : 0)

/** Numbers the subjects, accounts first. */
function inPlace(batch: CleanBatch): { subjects: Subject[]; accounts: Subject[] } {
  const accounts: Subject[] = []
  const tags: Subject[] = []
  for (const subject of batch.subjects.values()) (subject.ledger === 0 ? tags : accounts).push(subject)
  const subjects = tags.length === 0 ? accounts : accounts.concat(tags)
  for (let index = 0; index < subjects.length; index++) (subjects[index] as Subject).place = index + 1
  return { subjects, accounts }
}

/** The parameters of {@link APPLY_CLEAN}, in its order. */
export function encodeClean(arena: Arena, batch: CleanBatch, now: Date | undefined): unknown[] {
  resetArena(arena)
  const { subjects, accounts } = inPlace(batch)
  const integers = (values: readonly (number | undefined)[]) => integerArray(arena, values)
  const bigints = (values: readonly bigint[]) => bigintArray(arena, values)
  const uuids = (values: readonly (string | undefined)[]) => uuidArray(arena, values)
  const sums = (pick: (account: Subject) => bigint) => bigints(accounts.map(pick))
  const holds = <T>(pick: (hold: NewHold) => T): T[] => batch.newHolds.map(pick)
  const ids = uuids(batch.events.map((event) => event.id))
  const idLists = (lists: readonly (readonly number[])[]) => idListArray(arena, ids, lists)
  const resolutions = [...batch.resolutions.values()]
  return [
    now ?? null,
    integers(locksOf(accounts)),
    uuids(subjects.map((subject) => subject.id)),
    integers(accounts.map((account) => account.ledger)),
    sums((account) => account.debitsPending),
    sums((account) => account.debitsPosted),
    sums((account) => account.creditsPending),
    sums((account) => account.creditsPosted),
    sums((account) => account.debitNeed),
    sums((account) => account.creditNeed),
    integers(accounts.map(closedBits)),
    idLists(subjects.map((subject) => subject.debits)),
    idLists(subjects.map((subject) => subject.credits)),
    idLists(subjects.map((subject) => subject.tagged)),
    ids,
    integers(batch.meta),
    integers(placesOf(batch.debit)),
    integers(placesOf(batch.credit)),
    integers(placesOf(batch.tag)),
    bigints(batch.amount),
    bigints(batch.userData64),
    integers(batch.userData32),
    integers(batch.timeout),
    integers(batch.hold),
    integers(batch.bit),
    uuids(batch.pendingId),
    uuids(holds((hold) => holdId(batch, hold))),
    integers(holds((hold) => hold.ledger)),
    integers(holds((hold) => hold.timeoutSeconds)),
    bitsArray(
      arena,
      holds((hold) => oneBits(hold.members.length)),
    ),
    idLists(holds((hold) => hold.members)),
    uuids([...batch.resolutions.keys()]),
    bitsArray(
      arena,
      resolutions.map((resolution) => resolution.posted),
    ),
    bitsArray(
      arena,
      resolutions.map((resolution) => resolution.voided),
    ),
  ]
}
