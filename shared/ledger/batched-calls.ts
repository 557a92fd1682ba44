import { assert } from '../platform/index.ts'
import type { Batcher } from './batcher.ts'
import { assertNewAccounts, assertTransferEvents } from './checks.ts'
import { inParts } from './in-parts.ts'
import type {
  Account,
  CreateAccountStatus,
  CreateTransferStatus,
  Ledger,
  LedgerId,
  NewAccount,
  Transfer,
  TransferEvent,
  TransferFilter,
} from './port.ts'

/** What a store brings: a batcher for each kind of call, and its search. */
export interface BatchedStore {
  accounts: Batcher<NewAccount, CreateAccountStatus>
  transfers: Batcher<TransferEvent, CreateTransferStatus>
  accountReads: Batcher<LedgerId, Account | undefined>
  transferReads: Batcher<LedgerId, Transfer | undefined>
  /** Ids of one read at most. */
  readSizeMax: number
  search(filter: TransferFilter): Promise<Transfer[]>
}

/** Refuses as the batcher does: by a promise. */
const checked =
  <Item, Result>(check: (items: readonly Item[]) => void, submit: Batcher<Item, Result>['submit']) =>
  (items: readonly Item[]): Promise<Result[]> => {
    try {
      check(items)
    } catch (error) {
      return Promise.reject(error)
    }
    return submit(items)
  }

/** The port over batchers, the same for every store: what is not well-formed reaches none, and any number of ids is read in parts. */
export const batchedCalls = (store: BatchedStore): Omit<Ledger, 'close'> => ({
  createAccounts: checked(assertNewAccounts, store.accounts.submit),
  createTransfers: checked(assertTransferEvents, store.transfers.submit),
  lookupAccounts: (ids) => inParts(ids, store.readSizeMax, store.accountReads.submit),
  lookupTransfers: (ids) => inParts(ids, store.readSizeMax, store.transferReads.submit),
  async queryTransfers(filter) {
    assert(filter.accountId ?? filter.userData128, 'a query names an account or user data', filter)
    return store.search(filter)
  },
})
