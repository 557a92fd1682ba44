import { setTimeout as sleep } from 'node:timers/promises'
import { assert, type Logger } from '../../platform/index.ts'
import { batchedCalls } from '../batched-calls.ts'
import { createBatcher } from '../batcher.ts'
import { OUTCOME_TIMEOUT_MS } from '../deadlines.ts'
import {
  type Account,
  EVENTS_PER_CALL_MAX,
  type Ledger,
  type LedgerId,
  type NewAccount,
  type Transfer,
  type TransferEvent,
  type TransferFilter,
} from '../port.ts'
import type { ReplicaAddress } from './addresses.ts'
import { decodeAccount, decodeTransfer } from './encode.ts'
import { toU128 } from './ids.ts'
import { loadNative, type Native, type NativeTransfer } from './native.ts'
import {
  applyAccounts,
  applyTransfers,
  type RequestContext,
  readAccounts,
  readStates,
  readTransfers,
  searchTransfers,
  UNAVAILABLE,
} from './requests.ts'
import { createSession } from './session.ts'
import { createStatuses } from './statuses.ts'

export interface TigerBeetleLedgerOptions {
  clusterId: bigint
  replicas: readonly ReplicaAddress[]
  log: Logger
  /** How long a batch is repeated, under the same ids, while its outcome is unknown. */
  outcomeTimeoutMs?: number
  /** A client that is silent for so long is replaced, and the addresses are resolved again. */
  silenceMsMax?: number
  /** The same for a client that was never answered. */
  connectMsMax?: number
  /** Events that wait at most. */
  queueSizeMax?: number
  /** How long a close waits for what was accepted. */
  closeTimeoutMs?: number
  /** TigerBeetle's client; loaded when absent. */
  native?: Native
}

/**
 * Events per message at most. TigerBeetle takes 8189; handing one over blocks the process for about a microsecond per event, and
 * batches beyond some hundreds gain little.
 */
const EVENTS_PER_MESSAGE_MAX = 2 * EVENTS_PER_CALL_MAX
/** Ids, and found transfers, per message. */
const READS_PER_MESSAGE_MAX = 8189

/**
 * A ledger in TigerBeetle. A process opens one: each has a session of its own, of which a cluster has few. Nothing is connected
 * before the first call, and a cluster that is away delays nobody's start.
 */
export async function createTigerBeetleLedger(options: TigerBeetleLedgerOptions): Promise<Ledger> {
  const native = options.native ?? (await loadNative())
  const timeoutMs = options.outcomeTimeoutMs ?? OUTCOME_TIMEOUT_MS
  const session = createSession({
    native,
    clusterId: options.clusterId,
    replicas: options.replicas,
    log: options.log,
    timeoutMs,
    silenceMsMax: options.silenceMsMax ?? 4_000,
    connectMsMax: options.connectMsMax ?? 10_000,
  })
  const ctx: RequestContext = {
    session,
    statuses: createStatuses(native),
    limits: {
      events: { max: EVENTS_PER_MESSAGE_MAX },
      lookups: { max: READS_PER_MESSAGE_MAX },
      queries: { max: READS_PER_MESSAGE_MAX },
    },
  }
  const limits = {
    batchSizeMax: EVENTS_PER_MESSAGE_MAX,
    queueSizeMax: options.queueSizeMax ?? 20_000,
    waitMsMax: timeoutMs,
  }
  const transfers = createBatcher({
    ...limits,
    apply: (events: readonly TransferEvent[]) => applyTransfers(ctx, events),
  })
  const accounts = createBatcher({
    ...limits,
    apply: (events: readonly NewAccount[]) => applyAccounts(ctx, events),
  })
  const accountReads = createBatcher({
    ...limits,
    apply: (ids: readonly LedgerId[]) => findAccounts(ctx, ids),
  })
  const transferReads = createBatcher({
    ...limits,
    apply: (ids: readonly LedgerId[]) => findTransfers(ctx, ids),
  })
  // A session has one request under way: more than one query at a time would only wait in another place.
  const queries = createBatcher({
    ...limits,
    batchSizeMax: 1,
    apply: async ([filter]: readonly TransferFilter[]) => [await queryTransfers(ctx, filter)],
  })
  const batchers = [transfers, accounts, accountReads, transferReads, queries]

  return {
    ...batchedCalls({
      accounts,
      transfers,
      accountReads,
      transferReads,
      readSizeMax: EVENTS_PER_MESSAGE_MAX,
      async search(filter) {
        const [found = []] = await queries.submit([filter])
        return found
      },
    }),
    async close() {
      const drained = Promise.all(batchers.map((batcher) => batcher.close()))
      const patience = new AbortController()
      const waited = sleep(options.closeTimeoutMs ?? 5_000, undefined, { signal: patience.signal })
      await Promise.race([drained, waited])
      patience.abort()
      waited.catch(() => undefined)
      session.close()
      await drained
    },
  }
}

async function findAccounts(ctx: RequestContext, ids: readonly LedgerId[]): Promise<(Account | undefined)[]> {
  const keys = ids.map(toU128)
  const found = await readAccounts(ctx, keys, UNAVAILABLE)
  return keys.map((key) => {
    const account = found.get(key)
    return account && decodeAccount(account)
  })
}

async function findTransfers(
  ctx: RequestContext,
  ids: readonly LedgerId[],
): Promise<(Transfer | undefined)[]> {
  const keys = ids.map(toU128)
  const found = await readTransfers(ctx, keys, UNAVAILABLE)
  const decode = await decoder(ctx, found.values())
  return keys.map((key) => {
    const transfer = found.get(key)
    return transfer && decode(transfer)
  })
}

async function queryTransfers(ctx: RequestContext, filter: TransferFilter | undefined): Promise<Transfer[]> {
  assert(filter, 'a query has its filter')
  const found = await searchTransfers(ctx, filter)
  return found.map(await decoder(ctx, found))
}

async function decoder(
  ctx: RequestContext,
  transfers: Iterable<NativeTransfer>,
): Promise<(transfer: NativeTransfer) => Transfer> {
  const states = await readStates(ctx, transfers)
  return (transfer) => decodeTransfer(transfer, states.get(transfer.id))
}
