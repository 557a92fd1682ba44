import { assert, type Clock } from '../platform/index.ts'
import { expiryId, type LedgerContents, type StoredAccount, type StoredTransfer } from './contents.ts'
import type { CopyTarget } from './copy.ts'
import { createModelLedger } from './model.ts'
import { isSuccess, type LedgerId, type TransferEvent } from './port.ts'

/** For reservations whose end is told: longer than any copy. */
const FOREVER_SECONDS = 2 ** 31 - 1

/** A target in memory that is as strict as TigerBeetle about what is copied into it. */
export function createFakeCopyTarget(clock: Clock): CopyTarget & LedgerContents {
  const ledger = createModelLedger(clock)
  const accounts = new Map<LedgerId, StoredAccount>()
  const transfers = new Map<LedgerId, StoredTransfer>()
  const last = { account: 0n, transfer: 0n }
  const used = new Set<bigint>()
  const take = (kind: keyof typeof last, timestamp: bigint) => {
    assert(timestamp > last[kind], 'timestamps ascend', { kind, timestamp })
    assert(!used.has(timestamp), 'no two things have one timestamp', timestamp)
    last[kind] = timestamp
    used.add(timestamp)
  }
  const findAccounts = async (ids: readonly LedgerId[]) =>
    (await ledger.lookupAccounts(ids)).map((account) => {
      const stored = account && accounts.get(account.id)
      return stored && { ...stored, ...account }
    })
  const findTransfers = async (ids: readonly LedgerId[]) =>
    (await ledger.lookupTransfers(ids)).map((transfer): StoredTransfer | undefined => {
      const stored = transfer && transfers.get(transfer.id)
      if (!stored) return undefined
      const isExpired = transfers.has(expiryId(transfer.id))
      return { ...stored, ...transfer, ...(isExpired && { state: 'expired' as const }) }
    })
  async function* pages<T>(ids: Iterable<LedgerId>, find: (ids: LedgerId[]) => Promise<(T | undefined)[]>) {
    yield (await find([...ids])).filter((item) => item !== undefined)
  }
  return {
    accounts: () => pages(accounts.keys(), findAccounts),
    transfers: () => pages(transfers.keys(), findTransfers),
    findAccounts,
    findTransfers,
    isCopy: async () => true,
    async copyAccounts(events) {
      const missing = events.filter(({ id }) => !accounts.has(id))
      for (const account of missing) take('account', account.timestamp)
      const statuses = await ledger.createAccounts(missing)
      assert(statuses.every(isSuccess), 'accounts can be made', statuses)
      for (const account of missing) accounts.set(account.id, account)
    },
    async copyTransfers(events) {
      assert(events.at(-1)?.linked !== true, 'chains are whole')
      for (const transfer of events) {
        if (transfers.has(transfer.id)) continue
        take('transfer', transfer.timestamp)
        for (const id of [transfer.debitAccountId, transfer.creditAccountId])
          assert((accounts.get(id)?.timestamp ?? 0n) < transfer.timestamp, 'accounts are there before', id)
        const [status] = await ledger.createTransfers([{ ...toEvent(transfer), linked: false }])
        assert(status && isSuccess(status), 'transfers can be made in this order', { transfer, status })
        transfers.set(transfer.id, transfer)
      }
    },
  }
}

function toEvent(transfer: StoredTransfer): TransferEvent {
  const { id, kind, amount, ledger, code, userData128, userData64, userData32 } = transfer
  const common = { id, userData128, userData64, userData32 }
  const pendingId = transfer.pendingId ?? id
  if (kind === 'post') return { ...common, kind, pendingId, amount }
  if (kind === 'void') return { ...common, kind, pendingId }
  if (kind === 'close') return { ...common, kind, accountId: transfer.creditAccountId, ledger, code }
  const { debitAccountId, creditAccountId } = transfer
  const movement = { ...common, debitAccountId, creditAccountId, ledger, code, amount }
  return kind === 'posted' ? { ...movement, kind } : { ...movement, kind, timeoutSeconds: FOREVER_SECONDS }
}
