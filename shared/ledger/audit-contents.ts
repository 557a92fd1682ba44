import type { AuditFinding, LedgerInvariant } from './audit.ts'
import { expiryIds, type LedgerContents, type StoredAccount, type StoredTransfer } from './contents.ts'
import type { LedgerId } from './port.ts'

export interface ContentsAudit {
  findings: AuditFinding[]
  /** Accounts that moved while they were read: nothing is known of their sums. At rest there are none. */
  movedCount: number
  accounts: number
  transfers: number
}

export interface ContentsAuditOptions {
  /** Default: now. */
  now?: Date
  /** How long after its expiry a reservation may still be held. */
  marginSeconds?: number
  /** Told of each transfer, so that the history is read once. */
  onTransfer?: (transfer: StoredTransfer) => void
}

const FINDINGS_PER_CHECK_MAX = 20
const figures = ['debitsPending', 'debitsPosted', 'creditsPending', 'creditsPosted'] as const
type Sums = Record<(typeof figures)[number], bigint> & { closings: number }
type Side = 'debits' | 'credits'

/**
 * Proves the books of any ledger by reading all of it, as `auditLedger` does for one in Postgres. There is no moment at which all of it is
 * read: balances come first, then transfers, and an account whose sums differ is looked at again. If it moved meanwhile, that is
 * said, and nothing else of it.
 */
export async function auditContents(
  contents: LedgerContents,
  options: ContentsAuditOptions = {},
): Promise<ContentsAudit> {
  const accounts = new Map<LedgerId, StoredAccount>()
  for await (const page of contents.accounts()) for (const account of page) accounts.set(account.id, account)
  const history = createHistory(contents, {
    now: options.now ?? new Date(),
    marginMs: (options.marginSeconds ?? 60) * 1000,
  })
  let transfers = 0
  for await (const page of contents.transfers()) {
    transfers += page.length
    if (options.onTransfer) for (const transfer of page) options.onTransfer(transfer)
    await history.read(page)
  }
  history.end()

  const findings = createFindings()
  for (const message of history.problems) findings.add('reservations', message)
  for (const account of accounts.values())
    if (isOverdrawn(account)) findings.add('no_overdraft', balancesOf(account))
  const moved = new Set<LedgerId>()
  const stillAsRead = async (ids: readonly LedgerId[]): Promise<Set<LedgerId>> => {
    const found = await contents.findAccounts(ids)
    const same = ids.filter((id, index) => isUnmoved(accounts.get(id), found[index]))
    const rest = new Set(same)
    for (const id of ids) if (!rest.has(id)) moved.add(id)
    return rest
  }
  await checkSums({ accounts, sums: history.sums, stillAsRead, findings })
  await checkConservation({ accounts, stillAsRead, findings })
  return { findings: findings.list, movedCount: moved.size, accounts: accounts.size, transfers }
}

function createFindings() {
  const list: AuditFinding[] = []
  const counts = new Map<LedgerInvariant, number>()
  return {
    list,
    add(invariant: LedgerInvariant, message: string) {
      const count = counts.get(invariant) ?? 0
      counts.set(invariant, count + 1)
      if (count < FINDINGS_PER_CHECK_MAX) list.push({ invariant, message })
    },
  }
}

const noSums = (): Sums => ({
  debitsPending: 0n,
  debitsPosted: 0n,
  creditsPending: 0n,
  creditsPosted: 0n,
  closings: 0,
})

/** What is known of a pending or closing transfer until its end was read. */
type Unended = Pick<StoredTransfer, 'debitAccountId' | 'creditAccountId' | 'ledger' | 'code' | 'amount'> & {
  state?: StoredTransfer['state'] | undefined
}

/** Adds up what transfers did, and holds each reservation against what ended it. */
function createHistory(contents: LedgerContents, { now, marginMs }: { now: Date; marginMs: number }) {
  const sums = new Map<LedgerId, Sums>()
  const unended = new Map<LedgerId, Unended>()
  const problems: string[] = []
  const sumsOf = (id: LedgerId): Sums => {
    const known = sums.get(id) ?? noSums()
    sums.set(id, known)
    return known
  }
  const move = (transfer: Unended, kind: 'Pending' | 'Posted') => {
    const add = (id: LedgerId, side: Side) => {
      sumsOf(id)[`${side}${kind}`] += transfer.amount
    }
    add(transfer.debitAccountId, 'debits')
    add(transfer.creditAccountId, 'credits')
  }

  const begin = (transfer: StoredTransfer) => {
    const { id, debitAccountId, creditAccountId, ledger, code, amount, state, expiresAt } = transfer
    if (state === 'pending') {
      if (transfer.kind === 'close') sumsOf(creditAccountId).closings++
      else move(transfer, 'Pending')
      if (expiresAt && expiresAt.getTime() + marginMs < now.getTime())
        problems.push(`transfer ${id} expired at ${expiresAt.toISOString()} and is not released`)
    }
    if (state !== 'expired') unended.set(id, { debitAccountId, creditAccountId, ledger, code, amount, state })
  }
  const endKnown = (end: StoredTransfer, pending: Unended) => {
    unended.delete(end.pendingId as LedgerId)
    const isSame = (['debitAccountId', 'creditAccountId', 'ledger', 'code'] as const).every(
      (field) => end[field] === pending[field],
    )
    if (!isSame || end.amount > pending.amount)
      problems.push(`transfer ${end.id} ends ${end.pendingId}, and is about something else`)
    const state = end.kind === 'post' ? 'posted' : 'voided'
    // One that was still pending when it was read was ended meanwhile.
    if (pending.state !== state && pending.state !== 'pending')
      problems.push(`pending transfer ${end.pendingId} is ${pending.state}, and ${end.id} says ${state}`)
  }
  /** Only a copy ends what had run out, under an id of its own (see `expiryId`). */
  const endUnknown = async (ends: readonly StoredTransfer[]) => {
    if (ends.length === 0) return
    const found = await contents.findTransfers(ends.map((end) => end.pendingId as LedgerId))
    for (const [index, end] of ends.entries()) {
      const pending = found[index]
      const isExpiry =
        pending?.kind === 'pending' && pending.state === 'expired' && expiryIds(pending.id).includes(end.id)
      if (!isExpiry)
        problems.push(
          `transfer ${end.id} posts or voids ${end.pendingId}, which is no pending transfer, or has its end already`,
        )
    }
  }

  return {
    sums,
    problems,
    async read(page: readonly StoredTransfer[]) {
      const unknown: StoredTransfer[] = []
      for (const transfer of page) {
        if (transfer.kind === 'pending' || transfer.kind === 'close') begin(transfer)
        if (transfer.kind === 'posted' || transfer.kind === 'post') move(transfer, 'Posted')
        if (transfer.kind !== 'post' && transfer.kind !== 'void') continue
        const pending = unended.get(transfer.pendingId as LedgerId)
        if (pending) endKnown(transfer, pending)
        else unknown.push(transfer)
      }
      await endUnknown(unknown)
    },
    end() {
      for (const [id, { state }] of unended)
        if (state !== 'pending') problems.push(`pending transfer ${id} is ${state}, and nothing says so`)
    },
  }
}

const isOverdrawn = (account: StoredAccount): boolean =>
  figures.some((figure) => account[figure] < 0n) ||
  (account.debitsMustNotExceedCredits &&
    account.debitsPending + account.debitsPosted > account.creditsPosted) ||
  (account.creditsMustNotExceedDebits &&
    account.creditsPending + account.creditsPosted > account.debitsPosted)

const balancesOf = (account: StoredAccount): string =>
  `account ${account.id} of ledger ${account.ledger}: debits posted ${account.debitsPosted} pending ${account.debitsPending}, credits posted ${account.creditsPosted} pending ${account.creditsPending}`

const isUnmoved = (before: StoredAccount | undefined, after: StoredAccount | undefined): boolean =>
  before === undefined || after === undefined
    ? before === after
    : before.closed === after.closed && figures.every((figure) => before[figure] === after[figure])

type StillAsRead = (ids: readonly LedgerId[]) => Promise<Set<LedgerId>>
type Findings = ReturnType<typeof createFindings>

interface Read {
  accounts: ReadonlyMap<LedgerId, StoredAccount>
  stillAsRead: StillAsRead
  findings: Findings
}

async function checkSums({
  accounts,
  sums,
  stillAsRead,
  findings,
}: Read & { sums: ReadonlyMap<LedgerId, Sums> }): Promise<void> {
  const none = noSums()
  const isExplained = (id: LedgerId): boolean => {
    const account = accounts.get(id)
    const sum = sums.get(id) ?? none
    return (
      account !== undefined &&
      figures.every((figure) => account[figure] === sum[figure]) &&
      Number(account.closed) === sum.closings
    )
  }
  const doubtful = [...new Set([...accounts.keys(), ...sums.keys()])].filter((id) => !isExplained(id))
  for (const id of await stillAsRead(doubtful)) {
    const account = accounts.get(id)
    const sum = sums.get(id) ?? none
    if (!account)
      findings.add('balances_follow_transfers', `account ${id} is not there, and transfers name it`)
    else if (figures.some((figure) => account[figure] !== sum[figure]))
      findings.add(
        'balances_follow_transfers',
        `${balancesOf(account)}, but its transfers give ${sum.debitsPosted} ${sum.debitsPending}, ${sum.creditsPosted} ${sum.creditsPending}`,
      )
    if (account && Number(account.closed) !== sum.closings)
      findings.add(
        'reservations',
        `account ${id} is closed: ${account.closed}, by ${sum.closings} closing transfers`,
      )
  }
}

async function checkConservation({ accounts, stillAsRead, findings }: Read): Promise<void> {
  const byLedger = Map.groupBy(accounts.values(), (account) => account.ledger)
  for (const [ledger, members] of byLedger) {
    const sum = (figure: (typeof figures)[number]) =>
      members.reduce((total, account) => total + account[figure], 0n)
    const [debitsPending, debitsPosted, creditsPending, creditsPosted] = figures.map(sum)
    if (debitsPending === creditsPending && debitsPosted === creditsPosted) continue
    const ids = members.map(({ id }) => id)
    // Read at different moments, sums of a ledger in use need not agree.
    if ((await stillAsRead(ids)).size < ids.length) continue
    findings.add(
      'conservation',
      `ledger ${ledger}: debits posted ${debitsPosted} pending ${debitsPending}, credits posted ${creditsPosted} pending ${creditsPending}`,
    )
  }
}
