import type { Account, LedgerId, Transfer, TransferFilter } from '../port.ts'
import { type Arena, resetArena, uuidArray } from './binary.ts'
import { type Connections, type Statement, UNAVAILABLE } from './connections.ts'
import type { Reservations } from './reservations.ts'

export const ACCOUNT_COLUMNS = `a.id, a.ledger, a.code, a.debits_must_not_exceed_credits, a.credits_must_not_exceed_debits,
  a.user_data_128, a.user_data_64, a.user_data_32, a.debits_pending, a.debits_posted, a.credits_pending,
  a.credits_posted, a.closed, a.created_at`

/**
 * "limit 1" makes each id a look-up of its own, whatever the planner believes about the size of the table. The select around the
 * list of ids hides how long it is: one plan is kept for all lists, instead of a cheaper-looking one that is made for each.
 */
const LOOKUP_ACCOUNTS = `select u.place, ${ACCOUNT_COLUMNS} from unnest((select $1::uuid[])) with ordinality u(id, place)
  cross join lateral (select * from ledger.accounts x where x.id = u.id limit 1) a`

/** With the time in $1. */
export const TRANSFER_COLUMNS = `t.id, t.debit_account_id, t.credit_account_id, t.ledger, t.code, t.amount, t.kind, t.pending_id,
  t.timeout, t.user_data_128, t.user_data_64, t.user_data_32, t.created_at, h.expires_at,
  case
    when t.kind not in (1, 4) then null
    when get_bit(h.posted, t.hold_bit) = 1 then 'posted'
    when get_bit(h.voided, t.hold_bit) = 1 then 'voided'
    when get_bit(h.open, t.hold_bit) = 1 and h.expires_at > coalesce($1::timestamptz, clock_timestamp()) then 'pending'
    else 'expired'
  end as state`

const LOOKUP_TRANSFERS = `select u.place, ${TRANSFER_COLUMNS}, t.hold_id, t.hold_bit, bit_length(h.open) as hold_size
  from unnest((select $2::uuid[])) with ordinality u(id, place)
  cross join lateral (select * from ledger.transfers x where x.id = u.id limit 1) t
  left join lateral (select * from ledger.holds x where x.id = t.hold_id limit 1) h on true`

/** The list of ids that a query reads, and how many bytes it has. */
const LISTS = {
  both: { ids: 'x.debits || x.credits', size: '(octet_length(x.debits) + octet_length(x.credits))' },
  debits: { ids: 'x.debits', size: 'octet_length(x.debits)' },
  credits: { ids: 'x.credits', size: 'octet_length(x.credits)' },
  tagged: { ids: 'x.tagged', size: 'octet_length(x.tagged)' },
} as const

/**
 * Batches of the subject, newest or oldest first, as many as hold `limit` transfers of the list; then the transfers.
 * A second condition filters what was found, so the batches are then not limited.
 */
function queryStatement(filter: TransferFilter, now: Date | undefined): Statement {
  const direction = filter.reversed ? 'desc' : 'asc'
  const { accountId, userData128 } = filter
  const list = LISTS[userData128 === undefined ? (filter.side ?? 'both') : 'tagged']
  const isFiltered = accountId !== undefined && userData128 !== undefined
  const sides = {
    both: '$4::uuid in (t.debit_account_id, t.credit_account_id)',
    debits: 't.debit_account_id = $4::uuid',
    credits: 't.credit_account_id = $4::uuid',
  }
  const condition = isFiltered ? `where ${sides[filter.side ?? 'both']}` : ''
  return {
    text: `with lists as materialized (
      select b.ids from (
        select ${list.ids} as ids, sum(${list.size}) over (order by x.batch ${direction}) - ${list.size} as before
        from (
          select * from ledger.transfer_index x where x.subject = $2::uuid and ${list.size} > 0
          order by x.batch ${direction} ${isFiltered ? '' : 'limit $3::integer'}
        ) x
      ) b ${isFiltered ? '' : 'where b.before < 16 * $3::integer'}
    ), found as (
      select distinct ledger.id_at(l.ids, n) as id
      from lists l cross join lateral generate_series(0, octet_length(l.ids) / 16 - 1) n
    )
    select ${TRANSFER_COLUMNS} from found f
    cross join lateral (select * from ledger.transfers x where x.id = f.id limit 1) t
    left join lateral (select * from ledger.holds x where x.id = t.hold_id limit 1) h on true
    ${condition} order by t.sequence ${direction} limit $3::integer`,
    values: [now ?? null, userData128 ?? accountId, filter.limit, ...(isFiltered ? [accountId] : [])],
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a row is untyped until its mapper has read it.
export type Row = Record<string, any>

const lowerCase = (id: LedgerId): LedgerId => id.toLowerCase()
const unsigned64 = (text: string): bigint => BigInt.asUintN(64, BigInt(text))
const unsigned32 = (value: number): number => value >>> 0

export const toAccount = (row: Row): Account => ({
  id: row.id,
  ledger: row.ledger,
  code: row.code,
  debitsMustNotExceedCredits: row.debits_must_not_exceed_credits,
  creditsMustNotExceedDebits: row.credits_must_not_exceed_debits,
  userData128: row.user_data_128,
  userData64: unsigned64(row.user_data_64),
  userData32: unsigned32(row.user_data_32),
  debitsPending: BigInt(row.debits_pending),
  debitsPosted: BigInt(row.debits_posted),
  creditsPending: BigInt(row.credits_pending),
  creditsPosted: BigInt(row.credits_posted),
  closed: row.closed,
  createdAt: row.created_at,
})

const KINDS = ['posted', 'pending', 'post', 'void', 'close'] as const

export const toTransfer = (row: Row): Transfer => ({
  id: row.id,
  debitAccountId: row.debit_account_id,
  creditAccountId: row.credit_account_id,
  ledger: row.ledger,
  code: row.code,
  amount: BigInt(row.amount),
  kind: KINDS[row.kind as number] ?? 'posted',
  ...(row.state !== null && { state: row.state }),
  ...(row.timeout !== null && { timeoutSeconds: row.timeout, expiresAt: row.expires_at }),
  ...(row.pending_id !== null && { pendingId: row.pending_id }),
  userData128: row.user_data_128,
  userData64: unsigned64(row.user_data_64),
  userData32: unsigned32(row.user_data_32),
  createdAt: row.created_at,
})

export function inPlace<T>(count: number, rows: Row[], map: (row: Row) => T): (T | undefined)[] {
  const found = new Array<T | undefined>(count).fill(undefined)
  for (const row of rows) found[Number(row.place) - 1] = map(row)
  return found
}

export async function readAccounts(
  connections: Connections,
  arena: Arena,
  ids: readonly LedgerId[],
): Promise<(Account | undefined)[]> {
  resetArena(arena)
  const values = [uuidArray(arena, ids.map(lowerCase))]
  const rows = await connections.run(() => ({ text: LOOKUP_ACCOUNTS, values }), UNAVAILABLE)
  return inPlace(ids.length, rows, toAccount)
}

export async function readTransfers(
  connections: Connections,
  arena: Arena,
  ids: readonly LedgerId[],
  now: Date | undefined,
  reservations: Reservations,
): Promise<(Transfer | undefined)[]> {
  resetArena(arena)
  const cleared = reservations.cleared()
  const values = [now ?? null, uuidArray(arena, ids.map(lowerCase))]
  const rows = await connections.run(() => ({ text: LOOKUP_TRANSFERS, values }), UNAVAILABLE)
  const found = inPlace(ids.length, rows, toTransfer)
  if (reservations.cleared() === cleared)
    for (const row of rows) noteFound(row, found[Number(row.place) - 1] as Transfer, reservations)
  return found
}

/** Who looks up a reservation is about to post or void it, or to open an account that it closes. */
function noteFound(row: Row, transfer: Transfer, reservations: Reservations): void {
  const { id, kind } = transfer
  if (kind !== 'pending' && kind !== 'close') return
  if (transfer.state !== 'pending') reservations.remove(id)
  else if (!reservations.get(id))
    reservations.add({ ...transfer, kind }, { id: row.hold_id, size: row.hold_size }, row.hold_bit)
}

export async function searchTransfers(
  connections: Connections,
  filter: TransferFilter,
  now: Date | undefined,
): Promise<Transfer[]> {
  const rows = await connections.run(() => queryStatement(filter, now), UNAVAILABLE)
  return rows.map(toTransfer)
}
