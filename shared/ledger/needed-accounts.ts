import { type CreateAccountStatus, isSuccess, type NewAccount, type TransferEvent } from './port.ts'

const neededBy = (event: TransferEvent): readonly NewAccount[] =>
  event.kind === 'posted' || event.kind === 'pending' ? (event.needs ?? []) : []

/** Most events need none, so looking for them costs next to nothing. */
export function accountsNeededBy(events: readonly TransferEvent[]): NewAccount[] {
  const accounts: NewAccount[] = []
  for (const event of events) for (const account of neededBy(event)) accounts.push(account)
  return accounts
}

/** Those events whose accounts could not be made, from what was said about each of {@link accountsNeededBy}. */
export function refusedEvents(
  events: readonly TransferEvent[],
  accountStatuses: readonly CreateAccountStatus[],
): ReadonlySet<TransferEvent> {
  const refused = new Set<TransferEvent>()
  const statuses = accountStatuses.values()
  for (const event of events)
    for (const _account of neededBy(event)) {
      const { value: status } = statuses.next()
      if (status === undefined || !isSuccess(status)) refused.add(event)
    }
  return refused
}

/** Makes the accounts that events need. Those events that cannot have theirs. */
export async function makeNeededAccounts(
  events: readonly TransferEvent[],
  make: (accounts: readonly NewAccount[]) => Promise<readonly CreateAccountStatus[]>,
): Promise<ReadonlySet<TransferEvent>> {
  const accounts = accountsNeededBy(events)
  return refusedEvents(events, accounts.length === 0 ? [] : await make(accounts))
}

/** The events as they are once the accounts that they need are there. */
export const withoutNeeds = (events: readonly TransferEvent[]): TransferEvent[] =>
  events.map((event) => {
    if (neededBy(event).length === 0) return event
    const { needs: _needs, ...rest } = event as Extract<TransferEvent, { needs?: unknown }>
    return rest
  })
