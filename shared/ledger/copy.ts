import { auditLedger } from './audit.ts'
import { accountIdentity, differencesOf } from './compare.ts'
import type { StoredTransfer } from './contents.ts'
import { LedgerCopyRefusal } from './errors.ts'
import type { LedgerId } from './port.ts'
import type { PostgresContents } from './postgres/contents.ts'
import type { Fence } from './postgres/fence.ts'
import { createAccountReplay, createTransferReplay } from './replay.ts'
import type { TigerBeetleContents } from './tigerbeetle/contents.ts'

export type CopySource = Pick<
  PostgresContents,
  'accounts' | 'transfers' | 'findAccounts' | 'findOpenHolds' | 'findUse'
>
export type CopyTarget = Pick<
  TigerBeetleContents,
  'accounts' | 'findAccounts' | 'isCopy' | 'copyAccounts' | 'copyTransfers'
>

export interface LedgerCopyOptions {
  onProgress?: (copied: { accounts: number; transfers: number }) => void
}

const HOLDS_TOLD_MAX = 20
const DIFFERENCES_TOLD_MAX = 20
/** Accounts whose timestamps are remembered. */
const TIMESTAMPS_MAX = 100_000

const refusal = (code: LedgerCopyRefusal['code'], message: string) => new LedgerCopyRefusal(code, { message })

/**
 * Copies all that a Postgres ledger holds into a TigerBeetle cluster of its own, under the same ids and in the same order. What is
 * there already is compared and left, so a copy that was interrupted is finished by the next one. Throws {@link LedgerCopyRefusal}.
 */
export async function copyLedger(
  source: CopySource,
  target: CopyTarget,
  options: LedgerCopyOptions = {},
): Promise<{ accounts: number; transfers: number }> {
  await assertNotInUse(source)
  await assertNoOpenHolds(source)
  await assertTargetIsOurs(source, target)
  const copied = { accounts: 0, transfers: 0 }
  const tell = () => options.onProgress?.({ ...copied })

  const accountsOf = createAccountReplay()
  for await (const page of inChains(source.accounts())) {
    await target.copyAccounts(accountsOf(page))
    copied.accounts += page.length
    tell()
  }

  const timestamps = createTimestamps(target)
  const replay = createTransferReplay(timestamps.of)
  for await (const page of source.transfers()) {
    await timestamps.learn(page)
    await target.copyTransfers(replay.next(page))
    copied.transfers += page.length
    tell()
  }
  await target.copyTransfers(replay.end())
  await assertNotInUse(source)
  return copied
}

/** Throws {@link LedgerCopyRefusal} when the books of a Postgres ledger do not hold: a copy would carry that along. */
export async function assertSound(connectionString: string): Promise<void> {
  const findings = await auditLedger(connectionString)
  if (findings.length > 0)
    throw refusal(
      'ledger_not_sound',
      [
        'the books of the ledger do not hold:',
        ...findings.map((found) => `  ${found.invariant}: ${found.message}`),
      ].join('\n'),
    )
}

/** Ends all booking in a ledger that was copied. Throws {@link LedgerCopyRefusal} when something was written since: the copy lacks it. */
export async function fenceSource(source: Pick<PostgresContents, 'fence'>, movedTo: string): Promise<void> {
  const use = await source.fence(movedTo)
  if (use !== undefined) throw inUse(use)
}

/**
 * Throws {@link LedgerCopyRefusal} when a Postgres ledger has moved, and to another place than this: an empty cluster looks like one that
 * nobody has used.
 */
export function assertMovedHere(fence: Fence | undefined, place: string): void {
  if (fence !== undefined && fence.movedTo !== place)
    throw refusal(
      'moved_elsewhere',
      `the ledger moved to ${fence.movedTo} on ${fence.raisedAt.toISOString()}, and the environment names ${place}. What was booked there since is not in Postgres (--reopen=unchecked, if it is lost)`,
    )
}

/** Throws {@link LedgerCopyRefusal} when a copy holds what its source does not know. */
export async function assertUnused(target: Pick<CopyTarget, 'isCopy'>): Promise<void> {
  const isUsed = !(await target.isCopy())
  if (isUsed)
    throw refusal(
      'target_used',
      'TigerBeetle was used: it holds what Postgres does not know. Whoever opens Postgres all the same (--reopen=unchecked) loses that',
    )
}

const inUse = (use: string) =>
  refusal(
    'ledger_in_use',
    `the ledger is in use: ${use}. Stop every deployable of the node, and run this again`,
  )

async function assertNotInUse(source: CopySource): Promise<void> {
  const use = await source.findUse()
  if (use !== undefined) throw inUse(use)
}

async function assertNoOpenHolds(source: CopySource): Promise<void> {
  const holds = await source.findOpenHolds(HOLDS_TOLD_MAX + 1)
  if (holds.length === 0) return
  const told = holds.slice(0, HOLDS_TOLD_MAX)
  const lines = told.map(
    ({ id, debitAccountId, amount, expiresAt }) =>
      `  ${id}: ${amount} of account ${debitAccountId} until ${expiresAt?.toISOString()}`,
  )
  throw refusal(
    'ledger_holds_open',
    [
      'money is reserved by transfers that are still pending:',
      ...lines,
      ...(holds.length > told.length ? ['  …'] : []),
    ].join('\n'),
  )
}

/** Before anything is written: what is there must be of an earlier copy of this ledger, and of nothing else. */
async function assertTargetIsOurs(source: CopySource, target: CopyTarget): Promise<void> {
  if (!(await target.isCopy()))
    throw refusal(
      'target_differs',
      'the TigerBeetle cluster is in use already: something was made there that is no copy',
    )
  const differences: string[] = []
  for await (const page of target.accounts()) {
    const found = await source.findAccounts(page.map(({ id }) => id))
    for (const [index, account] of page.entries()) {
      const own = found[index]
      const what = own ? differencesOf(accountIdentity, own, account) : ['not an account of this node']
      if (what.length > 0) differences.push(`  account ${account.id}: ${what.join('; ')}`)
    }
    if (differences.length >= DIFFERENCES_TOLD_MAX) break
  }
  if (differences.length > 0)
    throw refusal(
      'target_differs',
      ['the TigerBeetle cluster holds another ledger:', ...differences.slice(0, DIFFERENCES_TOLD_MAX)].join(
        '\n',
      ),
    )
}

/** Pages that end where a chain does. */
async function* inChains<Item extends { linked: boolean }>(
  pages: AsyncIterable<readonly Item[]>,
): AsyncIterable<Item[]> {
  let open: Item[] = []
  for await (const page of pages) {
    const items = [...open, ...page]
    const end = items.findLastIndex(({ linked }) => !linked) + 1
    open = items.slice(end)
    if (end > 0) yield items.slice(0, end)
  }
  if (open.length > 0) yield open
}

/** Which timestamps the copied accounts were given. */
function createTimestamps(target: CopyTarget) {
  const known = new Map<LedgerId, bigint>()
  return {
    of: (id: LedgerId): bigint => known.get(id) ?? 0n,
    async learn(page: readonly StoredTransfer[]) {
      if (known.size > TIMESTAMPS_MAX) known.clear()
      const ids = new Set(
        page.flatMap(({ debitAccountId, creditAccountId }) => [debitAccountId, creditAccountId]),
      )
      const found = await target.findAccounts([...ids].filter((id) => !known.has(id)))
      for (const account of found) if (account) known.set(account.id, account.timestamp)
    },
  }
}
