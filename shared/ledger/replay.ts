import { expiryId, type StoredAccount, type StoredTransfer } from './contents.ts'
import type { LedgerId } from './port.ts'

// A cluster has no two things with one timestamp: accounts have even ones, transfers odd ones.
const STEP = 2n
const NANOSECONDS_PER_MILLISECOND = 1_000_000n

const greatest = (first: bigint, ...others: bigint[]): bigint =>
  others.reduce((most, next) => (next > most ? next : most), first)

/** Gives accounts timestamps that ascend, as near to their own as can be. The same accounts get the same ones, run by run. */
export function createAccountReplay(): (accounts: readonly StoredAccount[]) => StoredAccount[] {
  let last = 0n
  return (accounts) =>
    accounts.map((account) => {
      last = greatest(last + STEP, account.timestamp - (account.timestamp % STEP))
      return { ...account, timestamp: last }
    })
}

export interface TransferReplay {
  /** What is to be made next, in whole chains: what ends with an open chain waits for the following page. */
  next(transfers: readonly StoredTransfer[]): StoredTransfer[]
  /** What is left when there are no more. */
  end(): StoredTransfer[]
}

/**
 * The transfers of a ledger as another one can be told of them. Reservations that ran out are ended by voids, each in front of the
 * first chain that came after it: there at the latest their money was free again. The same transfers give the same, run by run, and
 * what is appended changes nothing of what is before it. Of the accounts of each page `timestampOf` knows what they were given.
 */
export function createTransferReplay(timestampOf: (accountId: LedgerId) => bigint): TransferReplay {
  const expiring = createExpiries()
  let chain: StoredTransfer[] = []
  // The odd number below all.
  let last = -1n
  const behindItsAccounts = (transfer: StoredTransfer): StoredTransfer => {
    const accounts = greatest(timestampOf(transfer.debitAccountId), timestampOf(transfer.creditAccountId))
    return { ...transfer, timestamp: greatest(transfer.timestamp, accounts + 1n) }
  }
  const at = (transfer: StoredTransfer): StoredTransfer => {
    last = greatest(last + STEP, transfer.timestamp + ((transfer.timestamp + 1n) % STEP))
    return { ...transfer, timestamp: last }
  }
  const finish = (): StoredTransfer[] => {
    const finished = chain.map(at)
    for (const transfer of chain) if (transfer.state === 'expired') expiring.add(transfer)
    chain = []
    return finished
  }
  return {
    next(transfers) {
      const planned: StoredTransfer[] = []
      for (const transfer of transfers) {
        if (chain.length === 0) planned.push(...expiring.take(transfer.timestamp).map(at))
        chain.push(behindItsAccounts(transfer))
        if (!transfer.linked) planned.push(...finish())
      }
      return planned
    },
    end: () => [...finish(), ...expiring.take(undefined).map(at)],
  }
}

const expiryOf = ({ expiresAt }: StoredTransfer): bigint =>
  BigInt(expiresAt?.getTime() ?? 0) * NANOSECONDS_PER_MILLISECOND

/** Pending transfers that ran out, until the replay has come so far. */
function createExpiries() {
  /** By expiry. */
  const waiting: StoredTransfer[] = []
  const placeOf = (expiry: bigint): number => {
    let low = 0
    for (let high = waiting.length; low < high; ) {
      const middle = (low + high) >>> 1
      if (expiryOf(waiting[middle] as StoredTransfer) <= expiry) low = middle + 1
      else high = middle
    }
    return low
  }
  return {
    add: (transfer: StoredTransfer) => void waiting.splice(placeOf(expiryOf(transfer)), 0, transfer),
    /** The voids of those that had run out by then; of all without it. */
    take: (until: bigint | undefined): StoredTransfer[] =>
      waiting.splice(0, until === undefined ? waiting.length : placeOf(until)).map(toVoid),
  }
}

function toVoid(pending: StoredTransfer): StoredTransfer {
  const { state: _state, timeoutSeconds: _timeout, expiresAt: _expiry, ...movement } = pending
  return {
    ...movement,
    id: expiryId(pending.id),
    kind: 'void',
    pendingId: pending.id,
    linked: false,
    timestamp: expiryOf(pending),
  }
}
