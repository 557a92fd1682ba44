import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { createDb, rawSql, sql } from '../shared/platform/index.ts'
import { ended, prepare } from './testing/many-payments.ts'
import { plainPlans, startTestBanks, type TestBanks } from './testing/test-banks.ts'

const timeoutMs = 120_000
const LOCAL = 60
const REMOTE = 40
/** Entries of one index that are read for a payment, dead ones of its own rows and those that a sweep reads included. */
const READ_MAX = 30
const liquidity = { assetLiquidity: 10n ** 12n, peerLiquidity: 10n ** 12n }
/** What leads to a payment's own rows, and to those that a sweep looks for. All others are for lists. */
const BY_PAYMENT =
  /_pkey$|_once$|_request_id_key$|^webhook_events_incoming_payment$|^incoming_payments_(open|due)$|^outgoing_payments_(unfinished|unfunded)$|^webhook_(deliveries_dead|events_sealed)$/

let banks: TestBanks
before(async () => {
  banks = await startTestBanks({
    plans: { a: { ...plainPlans.a, ...liquidity }, b: { ...plainPlans.b, ...liquidity } },
  })
})
after(() => banks.close())

/** Copies of each payment that was made so far, with all that was written of it. */
const COPIES = 300

async function multiplyHistory(connectionString: string): Promise<void> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    for (const table of [
      'quotes',
      'outgoing_payments',
      'incoming_payments',
      'webhook_events',
      'webhook_deliveries',
    ]) {
      const columns = await db.many(
        (row) => row.name as string,
        sql`select column_name as name from information_schema.columns where table_name = ${table} and is_generated = 'NEVER'`,
      )
      // One id gives the same copy wherever it stands.
      const values = columns.map((name) =>
        /^id$|^event_id$|^(in|out)(com|go)ing_payment_id$/.test(name)
          ? `md5(${name}::text || n)::uuid`
          : name,
      )
      await db.execute(
        rawSql(
          `insert into ${table} (${columns.join()}) select ${values.join()} from ${table} cross join generate_series(1, ${COPIES}) n`,
        ),
      )
    }
  } finally {
    await db.close()
  }
  // What the copying read is told when its session ends.
  const counts = createDb({ connectionString, poolSizeMax: 1 })
  await counts.execute(sql`select pg_stat_reset()`).finally(() => counts.close())
}

interface IndexUse {
  name: string
  scans: number
  read: number
}

/** Entries read are counted also where they lead to no row, as when an index is only intersected with another. */
async function indexUse(connectionString: string): Promise<IndexUse[]> {
  const db = createDb({ connectionString, poolSizeMax: 1 })
  try {
    // Sessions tell their counts after a while, and when they end.
    await db.execute(
      sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    return await db.many(
      (row) => ({ name: row.name, scans: Number(row.scans), read: Number(row.read) }),
      sql`select indexrelname as name, idx_scan as scans, idx_tup_read as read from pg_stat_user_indexes
        where relname in ('incoming_payments', 'outgoing_payments', 'quotes', 'webhook_events', 'webhook_deliveries')`,
    )
  } finally {
    await db.close()
  }
}

it('payments find their rows by what is theirs, never along an index for lists, whatever was paid before, with plans made while the tables were empty', async () => {
  const databases = Object.values(banks.databases).map(({ resources }) => resources)
  const pay = async (local: number, remote: number) => {
    const payments = await Promise.all([
      prepare(banks, ['a', 'amara'], local, timeoutMs),
      prepare(banks, ['b', 'bob'], remote, timeoutMs),
    ])
    await ended(payments.flat())
    await Promise.all([banks.a.wallet.settled(), banks.b.wallet.settled()])
  }
  // Plans are kept from the first statement on.
  await pay(6, 4)
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
