import type { StoredTransfer } from '../../shared/ledger/index.ts'
import { type Db, type Row, sql } from '../../shared/platform/index.ts'

/** What the ledger says of one account, by what its transfers were for. Only money that moved: posted transfers and posts. */
export interface AccountMovements {
  packetDebits: bigint
  packetCredits: bigint
  /** Number of transfers that took money out as packets or local payments. */
  packetDebitCount: number
  deposits: bigint
  withdrawals: bigint
}

export const noMovements: AccountMovements = {
  packetDebits: 0n,
  packetCredits: 0n,
  packetDebitCount: 0,
  deposits: 0n,
  withdrawals: 0n,
}

/** Transfers of one kind that an account took part in. */
interface Movement {
  accountId: string
  code: number
  isDebit: boolean
  amount: bigint
  count: number
}

export type Movements = Map<string, AccountMovements>

/** Accounting.md §2: code 1 transfer, 2 deposit, 3 withdrawal. */
function noteMovement(movements: Movements, { accountId, code, isDebit, amount, count }: Movement): void {
  const account = movements.get(accountId) ?? { ...noMovements }
  movements.set(accountId, account)
  if (code === 1 && isDebit) {
    account.packetDebits += amount
    account.packetDebitCount += count
  } else if (code === 1) account.packetCredits += amount
  else if (code === 2 && !isDebit) account.deposits += amount
  else if (code === 3 && isDebit) account.withdrawals += amount
}

/** The same of transfers that are read one by one. */
export function noteTransfer(movements: Movements, transfer: StoredTransfer): void {
  const { kind, debitAccountId, creditAccountId, code, amount } = transfer
  if (kind !== 'posted' && kind !== 'post') return
  noteMovement(movements, { accountId: debitAccountId, code, isDebit: true, amount, count: 1 })
  noteMovement(movements, { accountId: creditAccountId, code, isDebit: false, amount, count: 1 })
}

/** Movements by account id, of a ledger in Postgres. */
export async function readMovements(db: Db): Promise<Movements> {
  const rows = await db.many(
    (row: Row): Movement => ({
      accountId: row.account_id as string,
      code: Number(row.code),
      isDebit: row.is_debit as boolean,
      amount: row.amount as bigint,
      count: Number(row.count),
    }),
    sql`
      select account_id, code, is_debit, sum(amount) as amount, count(*) as count
      from (
        select debit_account_id as account_id, code, true as is_debit, amount from ledger.transfers where kind in (0, 2)
        union all
        select credit_account_id, code, false, amount from ledger.transfers where kind in (0, 2)
      ) movements
      group by account_id, code, is_debit`,
  )
  const movements: Movements = new Map()
  for (const row of rows) noteMovement(movements, row)
  return movements
}

export interface OutgoingRow {
  id: string
  state: string
  method: string
  receiver: string
  debitAmount: bigint
  sentAmount: bigint | null
  deliveredAmount: bigint
  packetsFulfilled: number
  fundingStarted: boolean
  endEvents: number
}

export const readOutgoing = (db: Db): Promise<OutgoingRow[]> =>
  db.many(
    (row) => ({
      id: row.id,
      state: row.state,
      method: row.method,
      receiver: row.receiver,
      debitAmount: row.debit_amount,
      sentAmount: row.sent_amount,
      deliveredAmount: row.delivered_amount,
      packetsFulfilled: row.packets_fulfilled,
      fundingStarted: row.funding_started,
      endEvents: Number(row.end_events),
    }),
    sql`
      select p.id, p.state, q.method, q.receiver, q.debit_amount, p.sent_amount, p.delivered_amount, p.packets_fulfilled,
        p.funding_started_at is not null as funding_started,
        (select count(*) from webhook_events e where e.outgoing_payment_id = p.id
           and e.type in ('outgoing_payment.completed', 'outgoing_payment.failed')) as end_events
      from outgoing_payments p join quotes q on q.id = p.id`,
  )

export interface IncomingRow {
  id: string
  state: string
  announced: boolean
  /** Sum of `receivedAmount` over its completed and expired events. */
  announcedAmount: bigint
  announcements: number
}

export const readIncoming = (db: Db): Promise<IncomingRow[]> =>
  db.many(
    (row) => ({
      id: row.id,
      state: row.state,
      announced: row.announced,
      announcedAmount: row.announced_amount,
      announcements: Number(row.announcements),
    }),
    sql`
      select p.id, p.state, p.announced_at is not null as announced,
        coalesce(sum((e.data #>> '{receivedAmount,value}')::numeric), 0) as announced_amount,
        count(e.id) as announcements
      from incoming_payments p
      left join webhook_events e on e.incoming_payment_id = p.id
        and e.type in ('incoming_payment.completed', 'incoming_payment.expired')
      group by p.id`,
  )

export interface PeerRow {
  id: string
  staticIlpAddress: string
  assetCode: string
  assetScale: number
}

export const readPeers = (db: Db): Promise<PeerRow[]> =>
  db.many(
    (row) => ({
      id: row.id,
      staticIlpAddress: row.static_ilp_address,
      assetCode: row.code,
      assetScale: row.scale,
    }),
    sql`select p.id, p.static_ilp_address, a.code, a.scale from peers p join assets a on a.id = p.asset_id`,
  )
