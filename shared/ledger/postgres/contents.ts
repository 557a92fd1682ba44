import pg from 'pg'
import type { LedgerContents, StoredAccount, StoredTransfer } from '../contents.ts'
import { inParts } from '../in-parts.ts'
import { EVENTS_PER_CALL_MAX, type LedgerId, type Transfer } from '../port.ts'
import { ACCOUNT_COLUMNS, inPlace, type Row, TRANSFER_COLUMNS, toAccount, toTransfer } from './reads.ts'

/** What a Postgres ledger holds, as it was at one moment. */
export interface PostgresContents extends LedgerContents {
  /** Reservations that nobody has ended, oldest first. */
  findOpenHolds(limit: number): Promise<Transfer[]>
  /** What says that somebody uses the ledger, or has used it since that moment; `undefined`: nothing does. */
  findUse(): Promise<string | undefined>
  /**
   * Ends all booking here, for good, if nothing was written since that moment: what says that something was; `undefined`: it ended. The
   * last look and the fence are one transaction, in which nobody else can write.
   */
  fence(movedTo: string): Promise<string | undefined>
  close(): Promise<void>
}

const PAGE_SIZE = 2000
const SWEEP_SIZE = 1000
const APPLICATION = 'upesi-ledger-contents'
/** As createConnections names those of a ledger that is open. */
const LEDGER_APPLICATION = 'upesi-ledger'

const WRITTEN = 'it was written to meanwhile'

const ORIGIN = (table: string) =>
  `${table}.linked, ((extract(epoch from ${table}.created_at) * 1000000)::bigint * 1000)::text as timestamp`
const ACCOUNTS = `${ACCOUNT_COLUMNS}, ${ORIGIN('a')}`
const TRANSFERS = `${TRANSFER_COLUMNS}, ${ORIGIN('t')}`
const HOLD_OF_TRANSFER =
  'left join lateral (select * from ledger.holds x where x.id = t.hold_id limit 1) h on true'

/** Changes with every write. */
const FIGURES = `select concat_ws(' ', a.*, t.*) as figures from
  (select count(*), sum(debits_pending), sum(debits_posted), sum(credits_posted), count(*) filter (where closed)
    from ledger.accounts) a,
  (select count(*), max(sequence) from ledger.transfers) t`

const originOf = (row: Row) => ({ linked: row.linked as boolean, timestamp: BigInt(row.timestamp as string) })
const toStoredAccount = (row: Row): StoredAccount => ({ ...toAccount(row), ...originOf(row) })
const toStoredTransfer = (row: Row): StoredTransfer => ({ ...toTransfer(row), ...originOf(row) })

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: APPLICATION })
  // It says so where it is used as well; an event that nobody hears would end the process.
  client.on('error', () => undefined)
  await client.connect()
  // Whatever the server does to statements and connections that take long: this reads everything.
  await client.query('set statement_timeout = 0; set idle_in_transaction_session_timeout = 0')
  return client
}

/** Releases what has expired, as a ledger that is open does every second, and takes a look at all that is there then. */
export async function openPostgresContents(connectionString: string): Promise<PostgresContents> {
  const client = await connect(connectionString)
  try {
    for (let count = SWEEP_SIZE; count === SWEEP_SIZE; ) {
      const { rows } = await client.query('select ledger.sweep(null, $1) as count', [SWEEP_SIZE])
      count = Number(rows[0]?.count)
    }
    await client.query('begin isolation level repeatable read, read only')
    const { rows } = await client.query<{ now: Date; figures: string }>(
      `select f.figures, clock_timestamp() as now from (${FIGURES}) f`,
    )
    return readContents(client, connectionString, rows[0] as { now: Date; figures: string })
  } catch (error) {
    await client.end()
    throw error
  }
}

function readContents(
  client: pg.Client,
  connectionString: string,
  { now, figures }: { now: Date; figures: string },
): PostgresContents {
  let cursors = 0
  async function* pages<T>(map: (row: Row) => T, text: string, values: unknown[]): AsyncIterable<T[]> {
    const cursor = `contents_${++cursors}`
    await client.query(`declare ${cursor} no scroll cursor for ${text}`, values)
    try {
      for (;;) {
        const { rows } = await client.query<Row>(`fetch ${PAGE_SIZE} from ${cursor}`)
        if (rows.length > 0) yield rows.map(map)
        if (rows.length < PAGE_SIZE) return
      }
    } finally {
      await client.query(`close ${cursor}`)
    }
  }
  const find = async <T>(map: (row: Row) => T, text: string, ids: readonly LedgerId[], values: unknown[]) =>
    inParts(ids, EVENTS_PER_CALL_MAX, async (part) => {
      const { rows } = await client.query<Row>(text, [...values, part])
      return inPlace(part.length, rows, map)
    })

  return {
    accounts: () =>
      pages(
        toStoredAccount,
        `select ${ACCOUNTS} from ledger.accounts a order by a.created_at, a.linked desc, a.id`,
        [],
      ),
    transfers: () =>
      pages(
        toStoredTransfer,
        `select ${TRANSFERS} from ledger.transfers t left join ledger.holds h on h.id = t.hold_id order by t.sequence`,
        [now],
      ),
    findAccounts: (ids) =>
      find(
        toStoredAccount,
        `select u.place, ${ACCOUNTS} from unnest($1::uuid[]) with ordinality u(id, place)
          cross join lateral (select * from ledger.accounts x where x.id = u.id limit 1) a`,
        ids,
        [],
      ),
    findTransfers: (ids) =>
      find(
        toStoredTransfer,
        `select u.place, ${TRANSFERS} from unnest($2::uuid[]) with ordinality u(id, place)
          cross join lateral (select * from ledger.transfers x where x.id = u.id limit 1) t ${HOLD_OF_TRANSFER}`,
        ids,
        [now],
      ),
    async findOpenHolds(limit) {
      const { rows } = await client.query<Row>(
        `select ${TRANSFERS} from (
          select ledger.id_at(h.transfer_ids, n) as id
          from ledger.holds h cross join lateral generate_series(0, bit_length(h.open) - 1) n
          where not h.closed and h.expires_at <> 'infinity' and h.expires_at > $1::timestamptz and get_bit(h.open, n) = 1
          order by h.expires_at limit $2
        ) o join ledger.transfers t on t.id = o.id join ledger.holds h on h.id = t.hold_id order by h.expires_at`,
        [now, limit],
      )
      return rows.map(toTransfer)
    },
    async findUse() {
      const another = await connect(connectionString)
      try {
        const { rows } = await another.query<{ figures: string; sessions: string }>(
          `select f.figures, (select count(*) from pg_stat_activity
            where datname = current_database() and application_name = $1) as sessions from (${FIGURES}) f`,
          [LEDGER_APPLICATION],
        )
        const current = rows[0]
        if (Number(current?.sessions) > 0)
          return `${current?.sessions} connections of a running node are open`
        return current?.figures === figures ? undefined : WRITTEN
      } finally {
        await another.end()
      }
    },
    async fence(movedTo) {
      const another = await connect(connectionString)
      try {
        await another.query('begin isolation level read committed')
        const { rowCount } = await another.query('select from ledger.fence')
        if (rowCount === 0) {
          await another.query('select ledger.take_all_locks()')
          const { rows } = await another.query<{ figures: string }>(FIGURES)
          if (rows[0]?.figures !== figures) return WRITTEN
          await another.query('insert into ledger.fence (moved_to) values ($1)', [movedTo])
        }
        await another.query('commit')
        return undefined
      } finally {
        // Without a commit, nothing is there.
        await another.end()
      }
    },
    async close() {
      await client.query('rollback').catch(() => undefined)
      await client.end()
    },
  }
}
