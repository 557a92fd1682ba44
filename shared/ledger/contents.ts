import { deriveTransferId, formerTransferId } from './derived-ids.ts'
import type { Account, LedgerId, Transfer } from './port.ts'

/** How a thing was made: what the port does not tell, and a copy needs. */
interface Origin {
  /** Whether it was created as a link of a chain. */
  linked: boolean
  /** Nanoseconds since 1970. */
  timestamp: bigint
}

export type StoredAccount = Account & Origin
export type StoredTransfer = Transfer & Origin

/** All that a ledger holds, a page at a time, whatever there is of it. */
export interface LedgerContents {
  /** In the order of creation. Accounts that were made at once come with those first that are linked. */
  accounts(): AsyncIterable<StoredAccount[]>
  /** In the order of creation, chains whole but across pages. */
  transfers(): AsyncIterable<StoredTransfer[]>
  /** In the order of `ids`. */
  findAccounts(ids: readonly LedgerId[]): Promise<(StoredAccount | undefined)[]>
  findTransfers(ids: readonly LedgerId[]): Promise<(StoredTransfer | undefined)[]>
}

/**
 * The void by which a copy ends a pending transfer that had expired: TigerBeetle takes no end of time for what was made elsewhere.
 * By its id it is known as what it is.
 */
export const expiryId = (pendingId: LedgerId): LedgerId => deriveTransferId('ledger copy: expired', pendingId)

/** The same, and as copies by earlier versions have it. */
export const expiryIds = (pendingId: LedgerId): LedgerId[] => [
  expiryId(pendingId),
  formerTransferId('ledger copy: expired', pendingId),
]
