import { expiryIds, type LedgerContents, type StoredAccount, type StoredTransfer } from './contents.ts'
import type { LedgerId } from './port.ts'

/** What is in a ledger, counted up. */
export interface LedgerTotals {
  ledger: number
  accounts: number
  debitsPosted: bigint
  creditsPosted: bigint
  debitsPending: bigint
  creditsPending: bigint
}

export interface LedgerComparison {
  /** Of the first, by ledger number. */
  totals: LedgerTotals[]
  /** Of the first. */
  accounts: number
  transfers: number
  /** The first of them, each with an id. Empty: the two are equal. */
  differences: string[]
  differenceCount: number
}

export interface LedgerCompareOptions {
  /** What the two are called. */
  names: readonly [string, string]
  /** How many differences are told; all are counted. */
  differencesMax?: number
  /** Called now and then with how many accounts and transfers were read. */
  onProgress?: (count: number) => void
}

type Sides = readonly [LedgerContents, LedgerContents]

const accountFields = [
  'ledger',
  'code',
  'debitsMustNotExceedCredits',
  'creditsMustNotExceedDebits',
  'userData128',
  'userData64',
  'userData32',
  'debitsPending',
  'debitsPosted',
  'creditsPending',
  'creditsPosted',
  'closed',
  'linked',
] as const satisfies readonly (keyof StoredAccount)[]

/** An account as it was made: all but what moved on it since. */
export const accountIdentity = accountFields.filter((field) => !/Pending|Posted|closed/.test(field))

const transferFields = [
  'debitAccountId',
  'creditAccountId',
  'ledger',
  'code',
  'amount',
  'kind',
  'state',
  'pendingId',
  'userData128',
  'userData64',
  'userData32',
  'linked',
] as const satisfies readonly (keyof StoredTransfer)[]

/** Fields in which the two differ, with both values. Times are none of them: a copy orders them strictly (replay.ts). */
export function differencesOf<Item extends object>(
  fields: readonly (keyof Item & string)[],
  one: Item,
  other: Item,
): string[] {
  return fields
    .filter((field) => one[field] !== other[field])
    .map((field) => `${field} ${String(one[field])} and ${String(other[field])}`)
}

/** Holds two ledgers against each other: every account, every transfer, and each for itself debits against credits. */
export async function compareLedgers(sides: Sides, options: LedgerCompareOptions): Promise<LedgerComparison> {
  const report = createReport(options)
  const totals = await compareAccounts(sides, report)
  await findMissing(sides, report, 'account')
  const transfers = await compareTransfers(sides, report)
  await findMissing(sides, report, 'transfer')
  return {
    totals,
    accounts: totals.reduce((sum, { accounts }) => sum + accounts, 0),
    transfers,
    differences: report.differences,
    differenceCount: report.count(),
  }
}

interface Report {
  names: readonly [string, string]
  differences: string[]
  add(difference: string): void
  count(): number
  progress(items: number): void
}

function createReport({ names, differencesMax = 100, onProgress }: LedgerCompareOptions): Report {
  const differences: string[] = []
  let count = 0
  let read = 0
  return {
    names,
    differences,
    add(difference) {
      if (++count <= differencesMax) differences.push(difference)
    },
    count: () => count,
    progress(items) {
      read += items
      onProgress?.(read)
    },
  }
}

async function compareAccounts([one, other]: Sides, report: Report): Promise<LedgerTotals[]> {
  const sums = createSums()
  const otherSums = createSums()
  for await (const page of one.accounts()) {
    const found = await other.findAccounts(page.map(({ id }) => id))
    for (const [index, account] of page.entries()) {
      sums.add(account)
      const twin = found[index]
      if (twin) otherSums.add(twin)
      const what = twin ? differencesOf(accountFields, account, twin) : [`only in ${report.names[0]}`]
      if (what.length > 0) report.add(`account ${account.id}: ${what.join('; ')}`)
    }
    report.progress(page.length)
  }
  for (const [name, { list }] of [
    [report.names[0], sums],
    [report.names[1], otherSums],
  ] as const)
    for (const total of list()) if (!isConserved(total)) report.add(unbalanced(name, total))
  return sums.list()
}

const isConserved = (total: LedgerTotals): boolean =>
  total.debitsPosted === total.creditsPosted && total.debitsPending === total.creditsPending

const unbalanced = (name: string, total: LedgerTotals): string =>
  `ledger ${total.ledger} of ${name}: debits posted ${total.debitsPosted} pending ${total.debitsPending}, credits posted ${total.creditsPosted} pending ${total.creditsPending}`

function createSums() {
  const byLedger = new Map<number, LedgerTotals>()
  return {
    add(account: StoredAccount) {
      const { ledger } = account
      const sums = byLedger.get(ledger)
      byLedger.set(ledger, {
        ledger,
        accounts: (sums?.accounts ?? 0) + 1,
        debitsPosted: (sums?.debitsPosted ?? 0n) + account.debitsPosted,
        creditsPosted: (sums?.creditsPosted ?? 0n) + account.creditsPosted,
        debitsPending: (sums?.debitsPending ?? 0n) + account.debitsPending,
        creditsPending: (sums?.creditsPending ?? 0n) + account.creditsPending,
      })
    },
    list: () => [...byLedger.values()].toSorted((a, b) => a.ledger - b.ledger),
  }
}

async function compareTransfers([one, other]: Sides, report: Report): Promise<number> {
  let count = 0
  for await (const page of one.transfers()) {
    const found = await other.findTransfers(page.map(({ id }) => id))
    const expiries = await findExpiries(page, found, other)
    for (const [index, transfer] of page.entries()) {
      const twin = found[index]
      if (!twin && expiries.has(transfer.id)) continue
      count++
      const what = twin ? differencesOf(transferFields, transfer, twin) : [`only in ${report.names[0]}`]
      if (what.length > 0) report.add(`transfer ${transfer.id}: ${what.join('; ')}`)
    }
    report.progress(page.length)
  }
  return count
}

/** Of the transfers that the other side has not: those that stand for a reservation that expired there. */
async function findExpiries(
  page: readonly StoredTransfer[],
  found: readonly (StoredTransfer | undefined)[],
  other: LedgerContents,
): Promise<Set<LedgerId>> {
  const candidates = page.filter(
    ({ id, kind, pendingId }, index) =>
      !found[index] && kind === 'void' && pendingId !== undefined && expiryIds(pendingId).includes(id),
  )
  if (candidates.length === 0) return new Set()
  const pending = await other.findTransfers(candidates.map(({ pendingId }) => pendingId as LedgerId))
  return new Set(candidates.flatMap(({ id }, index) => (pending[index]?.state === 'expired' ? [id] : [])))
}

/** What only the second one has. */
async function findMissing([one, other]: Sides, report: Report, what: 'account' | 'transfer'): Promise<void> {
  const add = (id: LedgerId) => report.add(`${what} ${id}: only in ${report.names[1]}`)
  if (what === 'account') {
    for await (const page of other.accounts()) {
      const found = await one.findAccounts(page.map(({ id }) => id))
      for (const [index, { id }] of page.entries()) if (!found[index]) add(id)
    }
    return
  }
  for await (const page of other.transfers()) {
    const found = await one.findTransfers(page.map(({ id }) => id))
    const expiries = await findExpiries(page, found, one)
    for (const [index, { id }] of page.entries()) if (!found[index] && !expiries.has(id)) add(id)
    report.progress(page.length)
  }
}
