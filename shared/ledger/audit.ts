import { createDb, type Db, rawSql, type Sql, sql } from '../platform/index.ts'

export type LedgerInvariant =
  /** Per ledger, debits equal credits. */
  | 'conservation'
  /** No account is beyond its limit, and no balance is negative. */
  | 'no_overdraft'
  /** Running balances are what the transfers add up to. */
  | 'balances_follow_transfers'
  /** What expired is released, each post or void belongs to one reservation, and a closed account to the transfer that closed it. */
  | 'reservations'
  /** Every transfer is found by its accounts and its user data. */
  | 'index'

export interface AuditFinding {
  invariant: LedgerInvariant
  message: string
}

export interface AuditOptions {
  /** Default: the database's clock. */
  now?: Date
  /** How long after its expiry a reservation may still be held, until a sweep comes by. */
  marginSeconds?: number
}

const FINDINGS_PER_CHECK_MAX = 20

const conservation = sql`
  select format('ledger %s: debits posted %s pending %s, credits posted %s pending %s', ledger,
    sum(debits_posted), sum(debits_pending), sum(credits_posted), sum(credits_pending)) as message
  from ledger.accounts group by ledger
  having (sum(debits_posted), sum(debits_pending)) <> (sum(credits_posted), sum(credits_pending))`

const overdrafts = sql`
  select format('account %s of ledger %s: debits posted %s pending %s, credits posted %s pending %s', id, ledger,
    debits_posted, debits_pending, credits_posted, credits_pending) as message
  from ledger.accounts
  where least(debits_posted, debits_pending, credits_posted, credits_pending) < 0
    or (debits_must_not_exceed_credits and debits_pending + debits_posted > credits_posted)
    or (credits_must_not_exceed_debits and credits_pending + credits_posted > debits_posted)`

const recomputed = sql`
  with transfers as (
    select t.*, t.kind in (0, 2) as is_posted, t.kind = 1 and get_bit(h.open, t.hold_bit) = 1 as is_open
    from ledger.transfers t left join ledger.holds h on h.id = t.hold_id
  ), sides as (
    select debit_account_id as id, ledger, sum(amount) filter (where is_open) as debits_pending,
      sum(amount) filter (where is_posted) as debits_posted, 0 as credits_pending, 0 as credits_posted
    from transfers group by 1, 2
    union all
    select credit_account_id, ledger, 0, 0, sum(amount) filter (where is_open), sum(amount) filter (where is_posted)
    from transfers group by 1, 2
  ), sums as (
    select id, ledger, coalesce(sum(debits_pending), 0) as debits_pending,
      coalesce(sum(debits_posted), 0) as debits_posted, coalesce(sum(credits_pending), 0) as credits_pending,
      coalesce(sum(credits_posted), 0) as credits_posted
    from sides group by 1, 2
  )
  select format('account %s: debits posted %s pending %s, credits posted %s pending %s, but its transfers give %s %s, %s %s',
    coalesce(a.id, s.id), a.debits_posted, a.debits_pending, a.credits_posted, a.credits_pending,
    s.debits_posted, s.debits_pending, s.credits_posted, s.credits_pending) as message
  from ledger.accounts a full join sums s on s.id = a.id and s.ledger = a.ledger
  where (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted) is distinct from
    (coalesce(s.debits_pending, 0), coalesce(s.debits_posted, 0), coalesce(s.credits_pending, 0), coalesce(s.credits_posted, 0))`

const overdue = (now: Date | undefined, marginSeconds: number): Sql => sql`
  select format('hold %s of ledger %s expired at %s and is not released', id, ledger, expires_at) as message
  from ledger.holds
  where not closed
    and expires_at < coalesce(${now ?? null}::timestamptz, clock_timestamp()) - make_interval(secs => ${marginSeconds})`

const contradictoryHolds = sql`
  select format('hold %s contradicts itself: open %s, posted %s, voided %s, closed %s, %s ids', id, open, posted, voided,
    closed, octet_length(transfer_ids) / 16) as message
  from ledger.holds
  where closed = (position(B'1' in open) > 0)
    or position(B'1' in (open & posted) | (open & voided) | (posted & voided)) > 0
    or octet_length(transfer_ids) <> 16 * bit_length(open)
    or ledger.id_at(transfer_ids, 0) <> id`

const resolutions = sql`
  with resolved as (
    select r.pending_id, count(*) as count, min(r.kind) as kind, max(r.amount) as amount,
      bool_and(r.debit_account_id = p.debit_account_id and r.credit_account_id = p.credit_account_id
        and r.ledger = p.ledger and r.code = p.code) as is_same
    from ledger.transfers r join ledger.transfers p on p.id = r.pending_id and p.kind in (1, 4)
    where r.kind in (2, 3) group by r.pending_id
  )
  select format('pending transfer %s: posted %s, voided %s, but %s posts or voids name it', p.id,
    get_bit(h.posted, p.hold_bit), get_bit(h.voided, p.hold_bit), coalesce(r.count, 0)) as message
  from ledger.transfers p
  left join ledger.holds h on h.id = p.hold_id
  left join resolved r on r.pending_id = p.id
  where p.kind in (1, 4) and (
    h.id is null
    or ledger.id_at(h.transfer_ids, p.hold_bit) <> p.id
    or h.ledger <> p.ledger
    or (get_bit(h.posted, p.hold_bit) = 1) <> (coalesce(r.kind, 0) = 2)
    or (get_bit(h.voided, p.hold_bit) = 1) <> (coalesce(r.kind, 0) = 3)
    or r.count > 1 or r.amount > p.amount or not r.is_same)`

const orphans = sql`
  select format('transfer %s posts or voids %s, which is not a pending transfer', r.id, r.pending_id) as message
  from ledger.transfers r left join ledger.transfers p on p.id = r.pending_id and p.kind in (1, 4)
  where r.kind in (2, 3) and p.id is null`

const closures = sql`
  with closing as (
    select t.credit_account_id as id, count(*) as count
    from ledger.transfers t join ledger.holds h on h.id = t.hold_id
    where t.kind = 4 and get_bit(h.open, t.hold_bit) = 1 group by 1
  )
  select format('account %s is closed: %s, by %s closing transfers', a.id, a.closed, coalesce(c.count, 0)) as message
  from ledger.accounts a left join closing c on c.id = a.id
  where a.closed::integer <> coalesce(c.count, 0)`

/** By number, per account or tag; each list's content was written together with its transfers. */
const unindexed = (list: 'debits' | 'credits' | 'tagged', column: string): Sql => sql`
  with listed as (
    select subject, sum(octet_length(${rawSql(list)})) / 16 as count from ledger.transfer_index group by subject
  ), stored as (
    select ${rawSql(column)} as subject, count(*) as count from ledger.transfers
    where ${rawSql(column)} <> '00000000-0000-0000-0000-000000000000' group by 1
  )
  select format(${`%s: %s transfers are listed under ${list}, %s exist`}, coalesce(l.subject, s.subject),
    coalesce(l.count, 0), coalesce(s.count, 0)) as message
  from listed l full join stored s using (subject) where coalesce(l.count, 0) <> coalesce(s.count, 0)`

/** Proves the books of a Postgres ledger, on one snapshot: it may be in use meanwhile. Empty when all is well. */
export async function auditLedger(
  connectionString: string,
  options: AuditOptions = {},
): Promise<AuditFinding[]> {
  const db = createDb({ connectionString, poolSizeMax: 1, applicationName: 'upesi-audit' })
  try {
    return await db.tx(async (tx) => {
      await tx.execute(sql`set transaction isolation level repeatable read, read only`)
      return [
        ...(await check(tx, 'conservation', conservation)),
        ...(await check(tx, 'no_overdraft', overdrafts)),
        ...(await check(tx, 'balances_follow_transfers', recomputed)),
        ...(await check(tx, 'reservations', overdue(options.now, options.marginSeconds ?? 60))),
        ...(await check(tx, 'reservations', contradictoryHolds)),
        ...(await check(tx, 'reservations', resolutions)),
        ...(await check(tx, 'reservations', orphans)),
        ...(await check(tx, 'reservations', closures)),
        ...(await check(tx, 'index', unindexed('debits', 'debit_account_id'))),
        ...(await check(tx, 'index', unindexed('credits', 'credit_account_id'))),
        ...(await check(tx, 'index', unindexed('tagged', 'user_data_128'))),
      ]
    })
  } finally {
    await db.close()
  }
}

async function check(db: Db, invariant: LedgerInvariant, query: Sql): Promise<AuditFinding[]> {
  const limited = sql`${query} limit ${FINDINGS_PER_CHECK_MAX}`
  return db.many((row) => ({ invariant, message: String(row.message) }), limited)
}
