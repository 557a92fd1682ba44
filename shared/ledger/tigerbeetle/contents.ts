import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../platform/index.ts'
import type { LedgerContents, StoredAccount, StoredTransfer } from '../contents.ts'
import { LedgerCopyRefusal } from '../errors.ts'
import type { LedgerId, Transfer } from '../port.ts'
import type { ReplicaAddress } from './addresses.ts'
import { decodeAccount, decodeTransfer, encodeCopiedAccount, encodeCopiedTransfer } from './encode.ts'
import { toU128, toUuid } from './ids.ts'
import { withinLimit } from './messages.ts'
import {
  accountFlag,
  loadNative,
  type Native,
  type NativeAccount,
  type NativeClient,
  type NativeTransfer,
  type QueryFilter,
  queryFlag,
} from './native.ts'
import { isImported, isLinked, isSameAccount, isSameTransfer } from './repeats.ts'
import {
  OUTCOME_UNKNOWN,
  type RequestContext,
  readAccounts,
  readStates,
  readTransfers,
  sendAccounts,
  sendTransfers,
  UNAVAILABLE,
} from './requests.ts'
import { createSession } from './session.ts'
import { createStatuses } from './statuses.ts'

/** What a TigerBeetle ledger holds; and how it is filled with what another one held. */
export interface TigerBeetleContents extends LedgerContents {
  /** Whether all that it holds was copied into it. */
  isCopy(): Promise<boolean>
  /** At their own timestamps, which must ascend from call to call. What is there already with the same fields stays. */
  copyAccounts(accounts: readonly StoredAccount[]): Promise<void>
  /** Whole chains only. */
  copyTransfers(transfers: readonly StoredTransfer[]): Promise<void>
  close(): Promise<void>
}

export interface TigerBeetleContentsOptions {
  clusterId: bigint
  replicas: readonly ReplicaAddress[]
  log: Logger
  native?: Native
}

const READS_MAX = 8189
const EVENTS_MAX = 2000
const TIMEOUT_MS = 60_000
/** How far the cluster's clock may be behind that of the ledger it is filled from. */
const CLOCK_WAIT_MS_MAX = 30_000
const CLOCK_PAUSE_MS = 500

export async function openTigerBeetleContents(
  options: TigerBeetleContentsOptions,
): Promise<TigerBeetleContents> {
  const native = options.native ?? (await loadNative())
  const session = createSession({
    native,
    clusterId: options.clusterId,
    replicas: options.replicas,
    log: options.log,
    timeoutMs: TIMEOUT_MS,
    silenceMsMax: TIMEOUT_MS,
    connectMsMax: TIMEOUT_MS,
  })
  const ctx: RequestContext = {
    session,
    statuses: createStatuses(native),
    limits: { events: { max: EVENTS_MAX }, lookups: { max: READS_MAX }, queries: { max: READS_MAX } },
  }
  const decodeTransfers = async (transfers: readonly NativeTransfer[]): Promise<StoredTransfer[]> => {
    const states = await readStates(ctx, transfers)
    return transfers.map((transfer) => toStored(transfer, states.get(transfer.id)))
  }
  return {
    async *accounts() {
      for await (const page of pages(ctx, queryAccounts)) yield page.map(toStoredAccount)
    },
    async *transfers() {
      for await (const page of pages(ctx, queryTransfers)) yield await decodeTransfers(page)
    },
    async findAccounts(ids) {
      const found = await readAccounts(ctx, ids.map(toU128), UNAVAILABLE)
      return inOrder(ids, [...found.values()].map(toStoredAccount))
    },
    async findTransfers(ids) {
      const found = await readTransfers(ctx, ids.map(toU128), UNAVAILABLE)
      return inOrder(ids, await decodeTransfers([...found.values()]))
    },
    async isCopy() {
      const account = await newest(ctx, queryAccounts)
      const transfer = await newest(ctx, queryTransfers)
      const isImportedAccount = !account || (account.flags & accountFlag.imported) !== 0
      return isImportedAccount && (!transfer || isImported(transfer))
    },
    copyAccounts: (accounts) =>
      copyEvents(accounts.map(encodeCopiedAccount), {
        find: (events) => readAccounts(ctx, idsOf(events), OUTCOME_UNKNOWN),
        isSame: (event, stored) => isSameAccount(event, stored.get(event.id)),
        send: (events) => sendAccounts(ctx, events),
        nameOf: nameIn(native.CreateAccountStatus),
      }),
    copyTransfers: (transfers) =>
      copyEvents(transfers.map(encodeCopiedTransfer), {
        find: (events) =>
          readTransfers(
            ctx,
            events.flatMap(({ id, pending_id }) => (pending_id === 0n ? [id] : [id, pending_id])),
            OUTCOME_UNKNOWN,
          ),
        isSame: isSameTransfer,
        send: (events) => sendTransfers(ctx, events, OUTCOME_UNKNOWN),
        nameOf: nameIn(native.CreateTransferStatus),
      }),
    close: async () => session.close(),
  }
}

const idsOf = (events: readonly { id: bigint }[]): bigint[] => events.map(({ id }) => id)
const nameIn = (codes: object) => (code: number) =>
  Object.entries(codes).find(([, value]) => value === code)?.[0] ?? String(code)

function inOrder<T extends { id: LedgerId }>(
  ids: readonly LedgerId[],
  found: readonly T[],
): (T | undefined)[] {
  const byId = new Map(found.map((item) => [item.id, item]))
  return ids.map((id) => byId.get(id.toLowerCase()))
}

const toStoredAccount = (account: NativeAccount): StoredAccount => ({
  ...decodeAccount(account),
  linked: isLinked(account),
  timestamp: account.timestamp,
})

const toStored = (transfer: NativeTransfer, state: Transfer['state']): StoredTransfer => ({
  ...decodeTransfer(transfer, state),
  linked: isLinked(transfer),
  timestamp: transfer.timestamp,
})

/** Without a condition. */
const everything = { user_data_128: 0n, user_data_64: 0n, user_data_32: 0, ledger: 0, code: 0 }
type Query<T> = (client: NativeClient, range: Omit<QueryFilter, keyof typeof everything>) => Promise<T[]>
const queryAccounts: Query<NativeAccount> = (client, range) =>
  client.queryAccounts({ ...everything, ...range })
const queryTransfers: Query<NativeTransfer> = (client, range) =>
  client.queryTransfers({ ...everything, ...range })

async function* pages<T extends { timestamp: bigint }>(
  { session, limits }: RequestContext,
  query: Query<T>,
): AsyncIterable<T[]> {
  for (let last = 0n; ; ) {
    const limit = limits.queries.max
    const range = { timestamp_min: last + 1n, timestamp_max: 0n, limit, flags: 0 }
    const page = await withinLimit(limits.queries, limit, () =>
      session.run((client) => query(client, range), UNAVAILABLE),
    )
    if (!page) continue
    if (page.length > 0) yield page
    if (page.length < limit) return
    last = page.at(-1)?.timestamp ?? last
  }
}

async function newest<T>({ session }: RequestContext, query: Query<T>): Promise<T | undefined> {
  const range = { timestamp_min: 0n, timestamp_max: 0n, limit: 1, flags: queryFlag.reversed }
  const [found] = await session.run((client) => query(client, range), UNAVAILABLE)
  return found
}

interface CopyOf<Event> {
  find(events: readonly Event[]): Promise<ReadonlyMap<bigint, Event>>
  isSame(event: Event, stored: ReadonlyMap<bigint, Event>): boolean
  /** TigerBeetle's numbers, one per event. */
  send(events: Event[]): Promise<number[]>
  nameOf(code: number): string
}

const NOT_YET = 'imported_event_timestamp_must_not_advance'
const CHAIN_FAILED = 'linked_event_failed'
const isMade = (name: string) => name === 'created' || name === 'exists'

/** What exists is compared and the rest is made, again and again until a look finds all of it. */
async function copyEvents<Event extends { id: bigint }>(events: Event[], copy: CopyOf<Event>): Promise<void> {
  const deadline = performance.now() + CLOCK_WAIT_MS_MAX
  for (;;) {
    const stored = await copy.find(events)
    const different = events.find((event) => stored.has(event.id) && !copy.isSame(event, stored))
    if (different) throw refused(different, 'it is there with other fields')
    const missing = events.filter(({ id }) => !stored.has(id))
    if (missing.length === 0) return
    const names = (await copy.send(missing)).map(copy.nameOf)
    if (names.every(isMade)) return
    // A chain that is sent twice fails by its first event, which exists.
    const cause = names.findIndex((name) => !isMade(name) && name !== CHAIN_FAILED)
    const status = cause < 0 ? CHAIN_FAILED : names[cause]
    const mayPass = status === NOT_YET || status === CHAIN_FAILED
    if (!mayPass || performance.now() > deadline) throw refused(missing[Math.max(0, cause)], String(status))
    await sleep(status === NOT_YET ? CLOCK_PAUSE_MS : 0)
  }
}

const refused = (event: { id: bigint } | undefined, reason: string) =>
  new LedgerCopyRefusal('target_refused', {
    message: `TigerBeetle does not take ${event ? toUuid(event.id) : 'an event'}: ${reason}`,
  })
