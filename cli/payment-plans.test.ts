import assert from 'node:assert/strict'
import { afterEach, beforeEach, it } from 'node:test'
import { createDb, type Db, rawSql, sql } from '../shared/platform/index.ts'
import { waitFor } from '../shared/testing/index.ts'
import { ended, prepare } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 120_000
const LOCAL = 30
const REMOTE = 20
/** Entries of one index that are read for a payment, dead ones of its own rows and those that a sweep reads included. */
const READ_MAX = 30
const liquidity = { assetLiquidity: 10n ** 12n, peerLiquidity: 10n ** 12n }
/** What leads to a payment's own rows, and to those that a sweep looks for. All others are for lists. */
const BY_PAYMENT =
  /_pkey$|_once$|_request_id_key$|^wallet_addresses_(address_key|page|credited|announce)$|^webhook_events_incoming_payment$|^incoming_payments_(open|due)$|^outgoing_payments_(unfinished|unfunded)$|^webhook_(deliveries_dead|events_sealed)$/

let banks: TestBanks
beforeEach(async () => {
  banks = await startTestBanks({
    plans: { a: { ...plainPlans.a, ...liquidity }, b: { ...plainPlans.b, ...liquidity } },
  })
})
afterEach(() => banks.close())

const TABLES = [
  'wallet_addresses',
  'wallet_address_properties',
  'quotes',
  'outgoing_payments',
  'incoming_payments',
  'webhook_events',
  'webhook_deliveries',
]

async function alone<T>(connectionString: string, run: (db: Db) => Promise<T>): Promise<T> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    return await run(db)
  } finally {
    await db.close()
  }
}

async function leaveUnanalysed(db: Db): Promise<void> {
  for (const table of TABLES) await db.execute(rawSql(`alter table ${table} set (autovacuum_enabled = off)`))
}

const untilDelivered = (db: Db): Promise<boolean> =>
  waitFor(
    async () => (await db.execute(sql`select from webhook_deliveries where state = 'pending'`)) === 0,
    timeoutMs,
  )

const COPIES = 300

/** What was made in one moment is made at several: rows that differ by their ids alone lead to no plan of a real node. */
async function analyse(db: Db): Promise<void> {
  for (const table of TABLES.filter((name) => name !== 'wallet_address_properties'))
    await db.execute(rawSql(`update ${table} set created_at = created_at - random() * interval '1 hour'`))
  await db.execute(rawSql(`analyze ${TABLES.join()}`))
}

/** Copies of each payment that was made so far, with all that was written of it. */
async function multiplyHistory(connectionString: string): Promise<void> {
  const copying = await alone(connectionString, async (db) => {
    await db.execute(
      sql`insert into wallet_address_properties (wallet_address_id, key, value) select id, 'one', 'of its own' from wallet_addresses`,
    )
    for (const table of TABLES) {
      const columns = await db.many(
        (row) => row.name as string,
        sql`select column_name as name from information_schema.columns where table_name = ${table} and is_generated = 'NEVER'`,
      )
      // One id gives the same copy wherever it stands. Copies of payments stay with the wallet address.
      const isCopied =
        table === 'wallet_address_properties'
          ? /^wallet_address_id$/
          : /^id$|^event_id$|^(in|out)(com|go)ing_payment_id$/
      const values = columns.map((name) => {
        if (isCopied.test(name)) return `md5(${name}::text || n)::uuid`
        return name === 'address' ? 'address || n' : name
      })
      await db.execute(
        rawSql(
          `insert into ${table} (${columns.join()}) select ${values.join()} from ${table} cross join generate_series(1, ${COPIES}) n`,
        ),
      )
    }
    return await db.one((row) => Number(row.pid), sql`select pg_backend_pid() as pid`)
  })
  await alone(connectionString, async (db) => {
    // What the copying read, foreign keys included, is told when its session ends.
    await waitFor(
      async () => (await db.execute(sql`select from pg_stat_activity where pid = ${copying}`)) === 0,
      timeoutMs,
    )
    await db.execute(sql`select pg_stat_reset()`)
  })
}

interface IndexUse {
  name: string
  scans: number
  read: number
}

/** Entries read are counted also where they lead to no row, as when an index is only intersected with another. */
const indexUse = (connectionString: string): Promise<IndexUse[]> =>
  alone(connectionString, async (db) => {
    // Sessions tell their counts after a while, and when they end.
    await db.execute(
      sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    return await db.many(
      (row) => ({ name: row.name, scans: Number(row.scans), read: Number(row.read) }),
      sql`select indexrelname as name, idx_scan as scans, idx_tup_read as read from pg_stat_user_indexes where relname = any(${TABLES})`,
    )
  })

for (const tables of ['have never been analysed', 'were analysed when there was little in them'])
  it(`payments find their rows by what is theirs, never along an index for lists, whatever was paid before, with plans of the beginning and tables that ${tables}`, async () => {
    const databases = Object.values(banks.databases).map(({ resources }) => resources)
    const pay = async (local: number, remote: number) => {
      const payments = await Promise.all([
        prepare(banks, ['a', 'amara'], local, timeoutMs),
        prepare(banks, ['b', 'bob'], remote, timeoutMs),
      ])
      await ended(payments.flat())
      await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
      // Copies of what is under way would be work.
      for (const database of databases) await alone(database, untilDelivered)
    }
    // Or a slow run is analysed in the middle of it, with rows of one moment.
    for (const database of databases) await alone(database, leaveUnanalysed)
    // Plans are kept from the first statement on, until the tables are analysed.
    await pay(8, 6)
    if (tables !== 'have never been analysed') {
      for (const database of databases) await alone(database, analyse)
      await pay(4, 2)
    }
    for (const database of databases) await multiplyHistory(database)
    await pay(LOCAL, REMOTE)
    for (const database of databases) {
      const used = await indexUse(database)
      assert.ok(used.some(({ name, scans }) => name === 'webhook_events_pkey' && scans > 0))
      assert.deepEqual(
        used.filter(({ name, scans }) => scans > 0 && !BY_PAYMENT.test(name)),
        [],
      )
      assert.deepEqual(
        used.filter(({ read }) => read > READ_MAX * (LOCAL + REMOTE)),
        [],
      )
    }
  })
