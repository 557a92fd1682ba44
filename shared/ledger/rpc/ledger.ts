import { setTimeout as sleep } from 'node:timers/promises'
import {
  createRpcCall,
  type LedgerMethod,
  parsedAnswer,
  type RpcCallOptions,
} from '../../connector-client/index.ts'
import { assert, Fault, messageOf } from '../../platform/index.ts'
import { batchedCalls } from '../batched-calls.ts'
import { createBatcher } from '../batcher.ts'
import { OUTCOME_TIMEOUT_MS, remotePatience } from '../deadlines.ts'
import { accountsNeededBy, makeNeededAccounts, withoutNeeds } from '../needed-accounts.ts'
import {
  type CreateTransferStatus,
  EVENTS_PER_CALL_MAX,
  type Ledger,
  type LedgerId,
  type NewAccount,
  type Transfer,
  type TransferEvent,
  type TransferFilter,
} from '../port.ts'
import {
  parseAccountStatuses,
  parseFoundAccounts,
  parseFoundTransfers,
  parseTransferStatuses,
  parseTransfers,
  toWire,
} from './wire.ts'

export interface RpcLedgerOptions extends RpcCallOptions {
  /** That of the ledger behind the connector: this one's patience comes from it. */
  outcomeTimeoutMs?: number
  /** Events that wait at most. */
  queueSizeMax?: number
}

const PAUSE_MS = { first: 25, max: 1_000 }
const OVERLOADED = 'ledger_overloaded'
/** The connector answered, and would answer the same a moment later. */
const REFUSED = 'ledger_call_refused'
const refusedCodes = new Set(['unauthorized', 'internal_error'])

function errorOf({ code, message }: { code: string; message: string }): Error {
  const words = `the connector answered ${code}: ${message}`
  // Refused before anything was applied: an event is not well-formed. The batcher finds out whose it is.
  if (code === 'invalid_request') return new Error(words)
  if (code === OVERLOADED) return new Fault(OVERLOADED, { retryable: true, message })
  return new Fault(refusedCodes.has(code) ? REFUSED : 'connector_unavailable', {
    retryable: true,
    message: words,
  })
}

/** Applies the chains that have no refused event; the others fail here as they would there. */
async function applyOthers(
  events: readonly TransferEvent[],
  refused: ReadonlySet<TransferEvent>,
  apply: (others: readonly TransferEvent[]) => Promise<CreateTransferStatus[]>,
): Promise<CreateTransferStatus[]> {
  const failures = new Map<number, CreateTransferStatus>()
  for (let first = 0, last = 0; first < events.length; first = ++last) {
    while (last < events.length - 1 && events[last]?.linked) last++
    const culprit = events.findIndex((event, index) => index >= first && index <= last && refused.has(event))
    if (culprit < 0) continue
    for (let index = first; index <= last; index++)
      failures.set(index, index === culprit ? 'needed_account_refused' : 'linked_event_failed')
  }
  const others = events.filter((_event, index) => !failures.has(index))
  const statuses = others.length > 0 ? await apply(others) : []
  assert(statuses.length === others.length, 'one status per event', { statuses, events: others.length })
  let at = 0
  return events.map((_event, index) => failures.get(index) ?? (statuses[at++] as CreateTransferStatus))
}

/**
 * The ledger as processes have it that can hold no session with it: over the connector's RPC, with the port's semantics. Calls that are
 * made at the same time go together. A call whose answer does not come is repeated under the same ids, and ends as
 * `ledger_outcome_unknown`.
 */
export function createRpcLedger(options: RpcLedgerOptions): Ledger {
  const timeoutMs = options.outcomeTimeoutMs ?? OUTCOME_TIMEOUT_MS
  const { answerMs, repeatMsMax } = remotePatience(timeoutMs)
  const call = createRpcCall(options, errorOf)

  /** Until it is answered or the time is over; `unknown` names what is not known then. */
  async function ask<T>(
    method: LedgerMethod,
    params: unknown,
    parse: (value: unknown) => T,
    unknown: 'ledger_outcome_unknown' | 'ledger_unavailable',
  ): Promise<T> {
    const lastAt = performance.now() + repeatMsMax
    for (let pauseMs = PAUSE_MS.first; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS.max)) {
      try {
        return parsedAnswer(parse, await call(method, params, answerMs))
      } catch (error) {
        if (!(error instanceof Fault) || error.code === OVERLOADED) throw error
        if (error.code === REFUSED || performance.now() + pauseMs >= lastAt)
          throw new Fault(unknown, { retryable: true, message: messageOf(error), cause: error })
      }
      await sleep(pauseMs)
    }
  }

  const write = <Event, Status>(method: LedgerMethod, parse: (value: unknown) => Status[]) =>
    createBatcher<Event, Status>({
      ...limits,
      apply: (events) => ask(method, toWire(events), parse, 'ledger_outcome_unknown'),
    })
  const read = <T>(method: LedgerMethod, parse: (value: unknown) => T[]) =>
    createBatcher<LedgerId, T>({
      ...limits,
      apply: (ids) => ask(method, ids, parse, 'ledger_unavailable'),
    })
  const limits = {
    batchSizeMax: EVENTS_PER_CALL_MAX,
    queueSizeMax: options.queueSizeMax ?? 20_000,
    waitMsMax: timeoutMs,
  }
  const accounts = write<NewAccount, Awaited<ReturnType<Ledger['createAccounts']>>[number]>(
    'createAccounts',
    parseAccountStatuses,
  )
  const askTransfers = (
    method: 'createTransfers' | 'createTransfersWithAccounts',
    events: readonly TransferEvent[],
  ) => ask(method, toWire(events), parseTransferStatuses, 'ledger_outcome_unknown')
  /** As connectors from before this method understand it: one call for the accounts, and one for the transfers. */
  const inTwoCalls = async (events: readonly TransferEvent[]): Promise<CreateTransferStatus[]> => {
    const refused = await makeNeededAccounts(events, (needed) =>
      ask('createAccounts', toWire(needed), parseAccountStatuses, 'ledger_outcome_unknown'),
    )
    return await applyOthers(events, refused, (others) =>
      askTransfers('createTransfers', withoutNeeds(others)),
    )
  }
  const transfers = createBatcher<TransferEvent, CreateTransferStatus>({
    ...limits,
    async apply(events) {
      if (accountsNeededBy(events).length === 0) return await askTransfers('createTransfers', events)
      try {
        return await askTransfers('createTransfersWithAccounts', events)
      } catch (error) {
        // Refused before anything was applied. Perhaps it is the method that is not known there.
        if (error instanceof Fault) throw error
        return await inTwoCalls(events)
      }
    },
  })
  const accountReads = read('lookupAccounts', parseFoundAccounts)
  const transferReads = read('lookupTransfers', parseFoundTransfers)
  let queriesUnderWay: Promise<unknown>[] = []
  let closed = false

  const query = (filter: TransferFilter): Promise<Transfer[]> => {
    if (closed)
      return Promise.reject(new Fault('ledger_closed', { retryable: false, message: 'the ledger is closed' }))
    const asked = ask('queryTransfers', toWire(filter), parseTransfers, 'ledger_unavailable')
    const settled = asked
      .catch(() => undefined)
      .then(() => {
        queriesUnderWay = queriesUnderWay.filter((other) => other !== settled)
      })
    queriesUnderWay.push(settled)
    return asked
  }

  return {
    ...batchedCalls({
      accounts,
      transfers,
      accountReads,
      transferReads,
      readSizeMax: EVENTS_PER_CALL_MAX,
      search: query,
    }),
    async close() {
      closed = true
      await Promise.all([accounts.close(), transfers.close(), accountReads.close(), transferReads.close()])
      await Promise.all(queriesUnderWay)
    },
  }
}
