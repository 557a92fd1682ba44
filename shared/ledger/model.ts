import { assert, type Clock, isUuid } from '../platform/index.ts'
import {
  accountRefusal,
  assertNewAccounts,
  assertTransferEvents,
  canonicalEvents,
  transferRefusal,
} from './checks.ts'
import { accountsNeededBy, refusedEvents } from './needed-accounts.ts'
import {
  type Account,
  type CreateAccountStatus,
  type CreateTransferStatus,
  type Ledger,
  type LedgerId,
  movementOfClose,
  type NewAccount,
  type Transfer,
  type TransferEvent,
  ZERO_ID,
} from './port.ts'

/** A transfer as the model keeps it. */
type StoredTransfer = Transfer & { linked: boolean }
type StoredAccount = Account & { linked: boolean }

const idsOf = (event: TransferEvent): LedgerId[] => {
  if ('pendingId' in event) return [event.id, event.pendingId]
  if (event.kind === 'close') return [event.id, event.accountId]
  return [event.id, event.debitAccountId, event.creditAccountId]
}

const BALANCE_MAX = 2n ** 128n - 1n

/**
 * The ledger's semantics in memory, as plainly as they can be said: one event after the other, every change with its undo.
 * Tests hold the real adapters against it.
 */
export function createModelLedger(clock: Clock): Ledger {
  const accounts = new Map<LedgerId, StoredAccount>()
  const transfers = new Map<LedgerId, StoredTransfer>()
  let undo: (() => void)[] = []
  /** Events of the call whose accounts could not be made. */
  let refused: ReadonlySet<TransferEvent> = new Set()

  const change = <T extends object>(target: T, fields: Partial<T>) => {
    const before = { ...target }
    Object.assign(target, fields)
    undo.push(() => Object.assign(target, before))
  }
  const insert = <T extends { id: LedgerId }>(map: Map<LedgerId, T>, item: T) => {
    map.set(item.id, item)
    undo.push(() => map.delete(item.id))
  }

  const release = (pending: StoredTransfer, state: 'posted' | 'voided' | 'expired') => {
    const debit = accounts.get(pending.debitAccountId) as StoredAccount
    const credit = accounts.get(pending.creditAccountId) as StoredAccount
    change(debit, { debitsPending: debit.debitsPending - pending.amount })
    change(credit, { creditsPending: credit.creditsPending - pending.amount })
    change(pending, { state })
  }

  const move = (debitId: LedgerId, creditId: LedgerId, amount: bigint, kind: 'posted' | 'pending') => {
    const debit = accounts.get(debitId) as StoredAccount
    const credit = accounts.get(creditId) as StoredAccount
    if (kind === 'pending') {
      change(debit, { debitsPending: debit.debitsPending + amount })
      change(credit, { creditsPending: credit.creditsPending + amount })
    } else {
      change(debit, { debitsPosted: debit.debitsPosted + amount })
      change(credit, { creditsPosted: credit.creditsPosted + amount })
    }
  }

  const expire = () => {
    for (const transfer of transfers.values())
      if (transfer.state === 'pending' && transfer.expiresAt && transfer.expiresAt <= clock.now())
        release(transfer, 'expired')
    undo = []
  }

  /** What would be stored; `undefined` for a post or void of something unknown. */
  const drafted = (event: TransferEvent): StoredTransfer | undefined => {
    const pending = 'pendingId' in event ? transfers.get(event.pendingId) : undefined
    const isOwn = event.kind === 'posted' || event.kind === 'pending'
    const movement = isOwn ? event : event.kind === 'close' ? movementOfClose(event) : pending
    if (!movement) return undefined
    const own = {
      userData128: event.userData128 === ZERO_ID ? undefined : event.userData128,
      userData64: event.userData64 || undefined,
      userData32: event.userData32 || undefined,
    }
    return {
      id: event.id,
      kind: event.kind,
      linked: event.linked === true,
      debitAccountId: movement.debitAccountId,
      creditAccountId: movement.creditAccountId,
      ledger: movement.ledger,
      code: movement.code,
      amount: ('amount' in event ? event.amount : undefined) ?? movement.amount,
      ...(event.kind === 'pending' && {
        state: 'pending' as const,
        timeoutSeconds: event.timeoutSeconds,
        expiresAt: clock.fromNow(event.timeoutSeconds * 1000),
      }),
      ...(event.kind === 'close' && { state: 'pending' as const }),
      ...('pendingId' in event && { pendingId: event.pendingId }),
      userData128: own.userData128 ?? pending?.userData128 ?? ZERO_ID,
      userData64: own.userData64 ?? pending?.userData64 ?? 0n,
      userData32: own.userData32 ?? pending?.userData32 ?? 0,
      createdAt: clock.now(),
    }
  }

  const isSame = (event: TransferEvent, stored: StoredTransfer): boolean => {
    const draft = drafted(event)
    const compared = [
      'kind',
      'linked',
      'debitAccountId',
      'creditAccountId',
      'ledger',
      'code',
      'amount',
      'timeoutSeconds',
      'pendingId',
      'userData128',
      'userData64',
      'userData32',
    ] as const
    return draft !== undefined && compared.every((field) => draft[field] === stored[field])
  }

  const applyMovement = (
    event: Extract<TransferEvent, { kind: 'posted' | 'pending' | 'close' }>,
  ): CreateTransferStatus => {
    const movement = event.kind === 'close' ? movementOfClose(event) : event
    const { debitAccountId, creditAccountId, amount } = movement
    const debit = accounts.get(debitAccountId)
    const credit = accounts.get(creditAccountId)
    if (!debit) return 'debit_account_not_found'
    if (!credit) return 'credit_account_not_found'
    if (debit.ledger !== credit.ledger) return 'accounts_must_have_the_same_ledger'
    if (debit.ledger !== event.ledger) return 'transfer_must_have_the_same_ledger_as_accounts'
    if (debit.closed) return 'debit_account_already_closed'
    if (credit.closed) return 'credit_account_already_closed'
    const debits = debit.debitsPending + debit.debitsPosted + amount
    const credits = credit.creditsPending + credit.creditsPosted + amount
    if (debits > BALANCE_MAX || credits > BALANCE_MAX) return 'overflows'
    if (debit.debitsMustNotExceedCredits && debits > debit.creditsPosted) return 'exceeds_credits'
    if (credit.creditsMustNotExceedDebits && credits > credit.debitsPosted) return 'exceeds_debits'
    if (event.kind === 'close') change(credit, { closed: true })
    else move(debitAccountId, creditAccountId, amount, event.kind)
    return 'created'
  }

  const applyResolution = (
    event: Extract<TransferEvent, { kind: 'post' | 'void' }>,
  ): CreateTransferStatus => {
    const pending = transfers.get(event.pendingId)
    if (!pending) return 'pending_transfer_not_found'
    if (pending.kind !== 'pending' && pending.kind !== 'close') return 'pending_transfer_not_pending'
    const amount = (event.kind === 'post' ? event.amount : undefined) ?? pending.amount
    if (amount > pending.amount) return 'exceeds_pending_transfer_amount'
    if (pending.state === 'posted') return 'pending_transfer_already_posted'
    if (pending.state === 'voided') return 'pending_transfer_already_voided'
    if (pending.state === 'expired') return 'pending_transfer_expired'
    const credit = accounts.get(pending.creditAccountId) as StoredAccount
    if (event.kind === 'post') {
      if (accounts.get(pending.debitAccountId)?.closed) return 'debit_account_already_closed'
      if (credit.closed) return 'credit_account_already_closed'
    }
    if (pending.kind === 'close') change(credit, { closed: false })
    release(pending, event.kind === 'post' ? 'posted' : 'voided')
    if (event.kind === 'post') move(pending.debitAccountId, pending.creditAccountId, amount, 'posted')
    return 'created'
  }

  const applyTransfer = (event: TransferEvent): CreateTransferStatus => {
    const stored = transfers.get(event.id)
    if (stored) return isSame(event, stored) ? 'exists' : 'exists_with_different_fields'
    const refusal = transferRefusal(event)
    if (refusal) return refusal
    if (refused.has(event)) return 'needed_account_refused'
    const draft = drafted(event)
    const isResolution = event.kind === 'post' || event.kind === 'void'
    const status = isResolution ? applyResolution(event) : applyMovement(event)
    if (status === 'created' && draft) insert(transfers, draft)
    return status
  }

  const applyAccount = (event: NewAccount): CreateAccountStatus => {
    const draft: StoredAccount = {
      id: event.id,
      ledger: event.ledger,
      code: event.code,
      linked: event.linked === true,
      debitsMustNotExceedCredits: event.debitsMustNotExceedCredits === true,
      creditsMustNotExceedDebits: event.creditsMustNotExceedDebits === true,
      userData128: event.userData128 ?? ZERO_ID,
      userData64: event.userData64 ?? 0n,
      userData32: event.userData32 ?? 0,
      debitsPending: 0n,
      debitsPosted: 0n,
      creditsPending: 0n,
      creditsPosted: 0n,
      closed: false,
      createdAt: clock.now(),
    }
    const stored = accounts.get(event.id)
    const compared = [
      'ledger',
      'code',
      'linked',
      'debitsMustNotExceedCredits',
      'creditsMustNotExceedDebits',
      'userData128',
      'userData64',
      'userData32',
    ] as const
    if (stored)
      return compared.every((field) => stored[field] === draft[field])
        ? 'exists'
        : 'exists_with_different_fields'
    const refusal = accountRefusal(event)
    if (refusal) return refusal
    insert(accounts, draft)
    return 'created'
  }

  /** Chain by chain: all or nothing, and a chain that exists whole is a repeat. */
  const applyChains = <Event extends { linked?: boolean }, Status extends string>(
    events: readonly Event[],
    apply: (event: Event) => Status,
  ): Status[] => {
    const statuses: Status[] = []
    for (let first = 0; first < events.length; ) {
      let last = first
      while (last < events.length - 1 && events[last]?.linked) last++
      const chain = events.slice(first, last + 1)
      statuses.push(...applyChain(chain, apply, chain.at(-1)?.linked === true))
      first = last + 1
    }
    return statuses
  }

  const applyChain = <Event, Status extends string>(
    chain: readonly Event[],
    apply: (event: Event) => Status,
    isOpen: boolean,
  ): Status[] => {
    undo = []
    const results: Status[] = []
    for (const [index, event] of chain.entries()) {
      const isLast = index === chain.length - 1
      const status = isOpen && isLast ? ('linked_event_chain_open' as Status) : apply(event)
      results.push(status)
      // A chain goes on while everything in it is new, or everything in it exists.
      if (status !== results[0] || (status !== 'created' && status !== 'exists')) break
    }
    const isWhole =
      results.length === chain.length &&
      (results.every((status) => status === 'created') || results.every((status) => status === 'exists'))
    if (isWhole) return results
    for (const step of undo.reverse()) step()
    undo = []
    const failed = chain.map(() => 'linked_event_failed' as Status)
    const culprit = results[0] === 'exists' ? 0 : results.length - 1
    failed[culprit] = results[culprit] as Status
    if (isOpen) failed[chain.length - 1] = 'linked_event_chain_open' as Status
    return failed
  }

  const visible = (transfer: StoredTransfer): Transfer => {
    const { linked: _linked, ...rest } = transfer
    return { ...rest }
  }

  return {
    async createAccounts(events) {
      assertNewAccounts(events)
      return applyChains(events, applyAccount)
    },
    async createTransfers(events) {
      assertTransferEvents(events)
      for (const event of events) for (const id of idsOf(event)) assert(isUuid(id), 'an id is a UUID', id)
      expire()
      const canonical = canonicalEvents(events)
      refused = refusedEvents(canonical, applyChains(accountsNeededBy(canonical), applyAccount))
      return applyChains(canonical, applyTransfer)
    },
    async lookupAccounts(ids) {
      expire()
      return ids.map((id) => {
        const account = accounts.get(id.toLowerCase())
        if (!account) return undefined
        const { linked: _linked, ...rest } = account
        return { ...rest }
      })
    },
    async lookupTransfers(ids) {
      expire()
      return ids.map((id) => {
        const transfer = transfers.get(id.toLowerCase())
        return transfer && visible(transfer)
      })
    },
    async queryTransfers(filter) {
      expire()
      const { side } = filter
      const accountId = filter.accountId?.toLowerCase()
      const userData128 = filter.userData128?.toLowerCase()
      const found = [...transfers.values()].filter(
        (transfer) =>
          (userData128 === undefined || transfer.userData128 === userData128) &&
          (accountId === undefined ||
            (side !== 'credits' && transfer.debitAccountId === accountId) ||
            (side !== 'debits' && transfer.creditAccountId === accountId)),
      )
      if (filter.reversed) found.reverse()
      return found.slice(0, filter.limit).map(visible)
    },
    async close() {},
  }
}
